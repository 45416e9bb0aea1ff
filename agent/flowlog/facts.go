package flowlog

import (
	"net/netip"
	"sync"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"

	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/flow"
)

// Fact is what somebody who looked into a flow's packets knows of it; "" is
// nothing.
type Fact struct {
	App, Threat, Hostname string
	Blocked               bool // the matcher has cut the flow off; stays
}

// Facts joins rows with what the matcher finds. The kernel names a flow by its
// number, the matcher by addresses and ports as it sees them: sources before and
// destinations after translation. Both sides may come first.
//
// It holds at most a bound of flows, of which the longest unused are forgotten.
// Safe for concurrent use.
type Facts struct {
	bound int

	mu        sync.Mutex // guards below
	new, used map[flow.Tuple]known
}

type known struct {
	fact   Fact
	flowID uint64 // 0: no row has named it
	// over: its last row was written when it was cut off. Alerts of it still ask for its number.
	over bool
}

// NewFacts remembers at most so many flows.
func NewFacts(bound int) *Facts {
	return &Facts{bound: max(bound, 2), new: map[flow.Tuple]known{}}
}

// Learn adds to what is known of the flow that the tuple is one direction of;
// what is "" stays as it is.
func (f *Facts) Learn(t flow.Tuple, fact Fact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, k := f.find(t)
	if k.over { // of another flow with the same ports
		k = known{}
	}
	if fact.App != "" {
		k.fact.App = fact.App
	}
	if fact.Threat != "" {
		k.fact.Threat = fact.Threat
	}
	if fact.Hostname != "" {
		k.fact.Hostname = fact.Hostname
	}
	k.fact.Blocked = k.fact.Blocked || fact.Blocked
	f.put(at, k)
}

// FlowID is the number by which the traffic log knows the flow that the tuple is
// one direction of: what an alert names.
func (f *Facts) FlowID(t flow.Tuple) (id uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, k := f.find(t)
	return k.flowID, k.flowID != 0
}

// Fill writes what is known of a flow into its row, and remembers its number. Of a
// flow that was cut off they say so from then on: the packet programs, which judged it, accepted.
func (f *Facts) Fill(e flow.Event, row *ngfwv1.FlowEvent) {
	seen := e.Tuple
	if e.Translated != nil {
		seen.Destination = e.Translated.Destination
	}
	f.mu.Lock()
	at, k := f.find(seen)
	if k.over && k.flowID != e.FlowID {
		k = known{}
	}
	switch {
	case e.Kind == flow.Close && k.fact.Blocked:
		k.flowID, k.over = e.FlowID, true
		f.put(at, k)
	case e.Kind == flow.Close: // its row is the last
		delete(f.new, at)
		delete(f.used, at)
	case e.Kind != flow.Refused:
		k.flowID = e.FlowID
		f.put(at, k)
	}
	f.mu.Unlock()
	if k.fact.Blocked && (e.Kind == flow.Update || e.Kind == flow.Close) {
		row.Action, row.Reason = ngfwv1.Verdict_VERDICT_DROP, dataplane.DropThreat.String()
		row.RuleId, row.RuleName = 0, ""
	}
	if k.fact.App != "" {
		row.App = k.fact.App
	}
	if k.fact.Threat != "" {
		row.Threat = k.fact.Threat
	}
	if k.fact.Hostname != "" {
		row.Hostname = k.fact.Hostname
	}
}

// find looks for both directions; what is not known is put where t says.
func (f *Facts) find(t flow.Tuple) (flow.Tuple, known) {
	t = plainTuple(t)
	back := flow.Tuple{Source: t.Destination, Destination: t.Source, Protocol: t.Protocol}
	for _, m := range []map[flow.Tuple]known{f.new, f.used} {
		for _, way := range []flow.Tuple{t, back} {
			if k, ok := m[way]; ok {
				return way, k
			}
		}
	}
	return t, known{}
}

// put keeps two generations: when the new one has half of the bound, the old one
// goes.
func (f *Facts) put(t flow.Tuple, k known) {
	if _, ok := f.new[t]; !ok && len(f.new) >= f.bound/2 {
		f.used, f.new = f.new, map[flow.Tuple]known{}
	}
	f.new[t] = k
}

// plainTuple has no mapped addresses: the same flow is the same key.
func plainTuple(t flow.Tuple) flow.Tuple {
	t.Source = netip.AddrPortFrom(t.Source.Addr().Unmap(), t.Source.Port())
	t.Destination = netip.AddrPortFrom(t.Destination.Addr().Unmap(), t.Destination.Port())
	return t
}
