package policy

import (
	"fmt"
	"slices"

	"ngfw.sh/internal/fault"
)

// Change is a part of what differs between two policies: every packet of the box
// has the action From under the one and To under the other. Where both are accept,
// NAT sends the packets elsewhere.
type Change struct {
	From       Action `json:"from"`
	To         Action `json:"to"`
	Box        Box    `json:"box"`
	Witness    Packet `json:"witness"`                // of the box; without in or out where the zone has no interface
	FromRuleID int64  `json:"from_rule_id,omitempty"` // what decides the witness; 0: no rule
	ToRuleID   int64  `json:"to_rule_id,omitempty"`

	// Where NAT sends the witness, in a comparison of policies that translate
	// destinations differently; "": where it wants to go.
	FromDestination string `json:"from_destination,omitempty"`
	ToDestination   string `json:"to_destination,omitempty"`
}

// Bounds of one Diff.
const (
	maxChanges    = 4096
	maxWorkOfDiff = 200_000_000
)

// Diff gives the packets that have another action under b than under a, as
// disjoint boxes. Zones are compared by name and packets by interface: one that
// has moved to another zone is a difference wherever that decides differently. A
// zone without an interface counts as if it had one, in both policies. Boxes are
// of packets that rules or policies decide; what the steps before them decide
// under both policies is no part of a difference (see Box.Contains). What a NAT
// rule gives its destination and accepts is compared for itself, as rules see it:
// Box.NATRuleID says which. Where the policies translate destinations differently,
// or an interface has moved, packets are compared as they arrive.
//
// The error is about one of the policies: what Validate refuses; or the
// difference is beyond what is looked for.
func Diff(a, b Policy, env Env) ([]Change, error) {
	before, err := analyse(&a, env)
	if err != nil {
		return nil, fmt.Errorf("the first policy: %w", err)
	}
	after, err := analyse(&b, env)
	if err != nil {
		return nil, fmt.Errorf("the second policy: %w", err)
	}
	around, err := circumstancesOf(before, after)
	if err != nil {
		return nil, err
	}
	d := &differ{before: before, after: after, around: around, search: search{left: maxWorkOfDiff}, known: map[string][families][]part{}}
	links := linksOf(&a, &b)
	same := before.destinations.equal(after.destinations)
	changes := []Change{}
	for _, from := range links {
		for _, to := range links {
			compare := d.between
			// NAT asks for the zones too, so that a move is another translation.
			if !same || len(before.boxes) > 0 && (from.moves() || to.moves()) {
				compare = d.arrivals
			}
			found, err := compare(from, to)
			if err != nil {
				return nil, err
			}
			changes = append(changes, found...)
			if len(changes) > maxChanges {
				return nil, tooDifferent("there are more than %d boxes of packets that change", maxChanges)
			}
		}
	}
	return changes, nil
}

func tooDifferent(format string, args ...any) error {
	return fault.New(fault.InvalidConfig, "the policies differ too much to list it: %s", fmt.Sprintf(format, args...))
}

// link is a set of interfaces that are in the same zone under each policy.
type link struct {
	before, after string // zones; "" is none
	interfaces    []string
}

func (l *link) moves() bool { return l.before != l.after }

func linksOf(a, b *Policy) []link {
	out := []link{{ZoneSelf, ZoneSelf, []string{InterfaceSelf}}}
	add := func(before, after string, interfaces ...string) {
		for i := range out {
			if out[i].before == before && out[i].after == after {
				out[i].interfaces = append(out[i].interfaces, interfaces...)
				return
			}
		}
		out = append(out, link{before, after, interfaces})
	}
	zoneOf := func(p *Policy, name string) string {
		for _, z := range p.Zones {
			if slices.Contains(z.Interfaces, name) {
				return z.Name
			}
		}
		return ""
	}
	for _, z := range a.Zones {
		if z.Name != ZoneSelf && slices.ContainsFunc(b.Zones, func(o Zone) bool { return o.Name == z.Name }) {
			add(z.Name, z.Name)
		}
		for _, name := range z.Interfaces {
			add(z.Name, zoneOf(b, name), name)
		}
	}
	for _, z := range b.Zones {
		for _, name := range z.Interfaces {
			if zoneOf(a, name) == "" {
				add("", z.Name, name)
			}
		}
	}
	return out
}
