package backtest

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"ngfw.sh/policy"
)

const (
	blocked = iota
	allowed
	uncertain
	classes
)

// Entry is traffic of one client to one destination and service that one rule
// decides about.
type Entry struct {
	Client      netip.Addr
	Destination netip.Addr
	Protocol    uint8
	Port        uint16
	App         string
	Hostname    string
	Action      policy.Action // that it would get
	Decider     policy.Decider
	Reason      string // why it is uncertain, or its sums are not whole

	Bytes       uint64
	Connections uint64
	LastSeen    time.Time
	Examples    []string // ids of rows of the log
}

// Class is a kind of difference. Entries are those with the most bytes, then
// connections; the totals are of all.
type Class struct {
	Entries     []Entry
	Bytes       uint64
	Connections uint64
	Unlisted    uint64 // records that no entry counts
}

// key is what records of one entry have in common.
type key struct {
	client, destination netip.Addr
	protocol            uint8
	port                uint16
	app                 string
	decider             policy.Decider
	action              policy.Action
	reason              string
}

type class struct {
	entries map[key]*Entry
	Class
}

func (c *class) add(cfg Config, r Record, v policy.Verdict, reason string) {
	c.Bytes += r.Bytes
	c.Connections += r.Connections
	destination, port := r.destination()
	k := key{r.Packet.Src, destination, r.Packet.Protocol, port, r.App, v.Decider, v.Action, reason}
	e := c.entries[k]
	if e == nil {
		if len(c.entries) >= cfg.Entries {
			c.Unlisted++
			return
		}
		if c.entries == nil {
			c.entries = map[key]*Entry{}
		}
		e = &Entry{
			Client: k.client, Destination: k.destination, Protocol: k.protocol, Port: k.port,
			App: k.app, Action: k.action, Decider: k.decider, Reason: k.reason,
		}
		c.entries[k] = e
	}
	e.Bytes += r.Bytes
	e.Connections += r.Connections
	if r.LastSeen.After(e.LastSeen) {
		e.LastSeen = r.LastSeen
	}
	if e.Hostname == "" {
		e.Hostname = r.Hostname
	}
	if r.Example != "" && len(e.Examples) < cfg.Examples {
		e.Examples = append(e.Examples, r.Example)
	}
}

// Result is what a Test has found.
type Result struct{ Blocked, Allowed, Uncertain Class }

// Result orders what was found so far.
func (t *Test) Result() Result {
	return Result{t.classes[blocked].result(), t.classes[allowed].result(), t.classes[uncertain].result()}
}

func (c *class) result() Class {
	out := c.Class
	out.Entries = make([]Entry, 0, len(c.entries))
	for _, e := range c.entries {
		out.Entries = append(out.Entries, *e)
	}
	slices.SortFunc(out.Entries, func(a, b Entry) int {
		return cmp.Or(
			cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Connections, a.Connections), b.LastSeen.Compare(a.LastSeen),
			a.Client.Compare(b.Client), a.Destination.Compare(b.Destination),
			cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port), cmp.Compare(a.App, b.App),
			cmp.Compare(a.Decider, b.Decider), cmp.Compare(a.Reason, b.Reason),
		)
	})
	return out
}
