// Package backtest owns what a change of a policy would have done to recorded
// traffic: each record is judged under the policy as it is and under the one it
// would become, and what differs is gathered by client, destination, service and
// the rule that decides.
//
// A record is the first packet of flows that were alike, and what they carried.
// Judging is package policy's: by the compiled image, which a test holds equal
// to the reference evaluator. What a record cannot tell is Uncertain and says
// why, never guessed.
//
// It is pure. A Test is for one goroutine; its memory is bounded whatever the
// number of records: entries beyond the limit are counted and not listed.
package backtest

import (
	"fmt"
	"net/netip"
	"time"

	"ngfw.sh/policy"
)

// Record is traffic that was alike: all that a rule may ask is the same.
type Record struct {
	// Packet is the first packet, as it arrived: NAT rules are part of a policy.
	// A zero SrcMAC is unknown, not absent.
	Packet policy.Packet
	// Refused says that the traffic was dropped or rejected when it was seen.
	Refused bool
	// Repeats says that the record also stands for further connections of the
	// same source, rule and port, the destinations of which were not kept.
	Repeats bool

	App, Hostname string
	Bytes         uint64 // in both directions; of refused traffic, what was thrown away
	Connections   uint64
	LastSeen      time.Time
	Example       string // id of a row of the log
}

// Config bounds a Test.
type Config struct {
	Entries  int // listed in each class
	Examples int // of each entry
}

// DefaultConfig returns bounds that a page can show.
func DefaultConfig() Config { return Config{Entries: 2000, Examples: 3} }

// Test judges records one after the other.
type Test struct {
	cfg           Config
	before, after judge
	macs          []policy.MAC // that either policy names
	scheduled     bool

	areas   []Area
	bounded bool // nothing changes outside of areas

	classes  [classes]class
	Judged   uint64 // records
	Repeated uint64 // records without all destinations
}

// judge is a policy, compiled.
type judge struct{ image *policy.Image }

// New compiles both policies; the error is what policy.Compile says of one.
func New(cfg Config, before, after policy.Policy, env policy.Env) (*Test, error) {
	t := &Test{cfg: cfg, macs: append(policy.MACs(before), policy.MACs(after)...), scheduled: policy.Scheduled(before) || policy.Scheduled(after)}
	for _, side := range []struct {
		name string
		p    policy.Policy
		to   *judge
	}{{"before", before, &t.before}, {"after", after, &t.after}} {
		if env.Countries == nil {
			if err := policy.NeedCountries(side.p); err != nil {
				return nil, fmt.Errorf("the policy %s: %w", side.name, err)
			}
		}
		image, err := policy.Compile(side.p, env)
		if err != nil {
			return nil, fmt.Errorf("compile the policy %s: %w", side.name, err)
		}
		side.to.image = image
	}
	t.areas, t.bounded = areas(before, after, env)
	return t, nil
}

// Scheduled says whether either policy asks for the time: records must then be
// of one minute each. Otherwise their time is not looked at.
func (t *Test) Scheduled() bool { return t.scheduled }

// AsksMAC says whether either policy asks for the sender's MAC address. Otherwise
// records need not tell it.
func (t *Test) AsksMAC() bool { return len(t.macs) > 0 }

// Add judges a record.
func (t *Test) Add(r Record) {
	t.Judged++
	if r.Repeats {
		t.Repeated++
	}
	was, now := t.before.of(r.Packet), t.after.of(r.Packet)
	if reason := t.unknown(r, was, now); reason != "" {
		t.classes[uncertain].add(t.cfg, r, now, reason)
		return
	}
	switch {
	case passes(was) == passes(now):
	case passes(was):
		t.classes[blocked].add(t.cfg, r, now, "")
	case r.Refused:
		t.classes[allowed].add(t.cfg, r, now, reasonRefused)
	default:
		t.classes[allowed].add(t.cfg, r, now, "")
	}
}

func (j judge) of(p policy.Packet) policy.Verdict { return j.image.JudgePacket(p) }

func passes(v policy.Verdict) bool { return v.Action == policy.Accept }

// Reasons why an answer is not certain, or not whole.
const (
	reasonRefused   = "it was refused when it was seen: what it would have carried is not known"
	reasonMAC       = "a rule asks for the sender's MAC address, which the record does not have"
	reasonRepeats   = "the record stands for repeats whose destinations were not kept"
	reasonInterface = "the record does not name the interface it came from or left by"
)

// unknown says why the record cannot tell what becomes of it, "" where it can.
func (t *Test) unknown(r Record, was, now policy.Verdict) string {
	differs := passes(was) != passes(now)
	switch {
	case r.Packet.In == "" || r.Packet.Out == "":
		// Whatever its zones are, it is judged as if it had none.
		return reasonInterface
	case differs && r.Repeats:
		return reasonRepeats
	case r.Packet.SrcMAC == (policy.MAC{}) && r.Packet.In != policy.InterfaceSelf && t.turnsOnMAC(r.Packet, was, now):
		return reasonMAC
	}
	return ""
}

// turnsOnMAC tries every address that a rule could ask for: with none of them the
// verdicts are those without one.
func (t *Test) turnsOnMAC(p policy.Packet, was, now policy.Verdict) bool {
	for _, mac := range t.macs {
		p.SrcMAC = mac
		if change(was, now) != change(t.before.of(p), t.after.of(p)) {
			return true
		}
	}
	return false
}

// change is what becomes of a packet: -1 newly blocked, 1 newly allowed, 0 neither.
func change(was, now policy.Verdict) int {
	switch {
	case passes(was) && !passes(now):
		return -1
	case !passes(was) && passes(now):
		return 1
	}
	return 0
}

// destination is what the record's packet was sent to.
func (r *Record) destination() (netip.Addr, uint16) {
	if policy.HasPorts(r.Packet.Protocol) {
		return r.Packet.Dst, r.Packet.DstPort
	}
	return r.Packet.Dst, 0
}
