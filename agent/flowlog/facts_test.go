package flowlog

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/flow"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestFactsMeetTheirRows(t *testing.T) {
	there := tuple("10.0.1.9:40000", "203.0.113.7:443", 6)
	back := tuple("203.0.113.7:443", "10.0.1.9:40000", 6)
	masqueraded := tuple("192.0.2.1:1024", "203.0.113.7:443", 6)
	forwarded := tuple("198.51.100.9:50000", "192.0.2.1:8443", 6)
	inside := tuple("198.51.100.9:50000", "10.0.1.5:443", 6)
	f := NewFacts(100)
	fill := func(e flow.Event) Fact {
		row := &ngfwv1.FlowEvent{Hostname: "from the lease"}
		f.Fill(e, row)
		return Fact{App: row.App, Threat: row.Threat, Hostname: row.Hostname}
	}
	open := flow.Event{FlowID: 7, Kind: flow.Open, Tuple: there, Translated: &masqueraded}
	if d := cmp.Diff(Fact{Hostname: "from the lease"}, fill(open)); d != "" {
		t.Error(d)
	}
	for _, way := range []flow.Tuple{there, back, tuple("[::ffff:10.0.1.9]:40000", "[::ffff:203.0.113.7]:443", 6)} {
		if id, ok := f.FlowID(way); id != 7 || !ok {
			t.Errorf("%v is flow %d, %v", way, id, ok)
		}
	}
	f.Learn(back, Fact{App: "tls"})
	f.Learn(there, Fact{Threat: "botnet", Hostname: "www.example.org"})
	open.Kind = flow.Update
	want := Fact{App: "tls", Threat: "botnet", Hostname: "www.example.org"}
	if d := cmp.Diff(want, fill(open)); d != "" {
		t.Error(d)
	}
	open.Kind = flow.Close
	if d := cmp.Diff(want, fill(open)); d != "" {
		t.Error(d)
	}
	if _, ok := f.FlowID(there); ok {
		t.Error("a closed flow is remembered")
	}

	f.Learn(inside, Fact{App: "http"}) // before the flow's first row
	in := flow.Event{FlowID: 8, Kind: flow.Open, Tuple: forwarded, Translated: &inside}
	if got := fill(in); got.App != "http" {
		t.Errorf("of a forwarded flow: %+v", got)
	}
	for kind, want := range map[flow.Kind]ngfwv1.Verdict{flow.Open: ngfwv1.Verdict_VERDICT_ACCEPT, flow.Update: ngfwv1.Verdict_VERDICT_DROP, flow.Close: ngfwv1.Verdict_VERDICT_DROP} {
		g := NewFacts(100)
		g.Learn(there, Fact{Threat: "botnet", Blocked: true})
		g.Learn(there, Fact{App: "http"}) // what is learnt later leaves it cut off
		row := &ngfwv1.FlowEvent{Action: ngfwv1.Verdict_VERDICT_ACCEPT, Reason: "rule", RuleId: 4}
		g.Fill(flow.Event{FlowID: 10, Kind: kind, Tuple: back}, row)
		if row.Action != want || (row.Reason == "threat") != (kind != flow.Open) || (row.RuleId == 0) != (kind != flow.Open) {
			t.Errorf("of a flow that was cut off, kind %d: %v by %q, rule %d", kind, row.Action, row.Reason, row.RuleId)
		}
	}

	// A flow that was cut off has its last row at once: alerts find its number, others with its ports do not.
	over := NewFacts(100)
	over.Learn(there, Fact{Threat: "botnet", Blocked: true})
	over.Fill(flow.Event{FlowID: 11, Kind: flow.Open, Tuple: there}, &ngfwv1.FlowEvent{})
	over.Fill(flow.Event{FlowID: 11, Kind: flow.Close, Tuple: there}, &ngfwv1.FlowEvent{})
	if id, ok := over.FlowID(back); id != 11 || !ok {
		t.Errorf("a flow that was cut off is %d, %v", id, ok)
	}
	next := &ngfwv1.FlowEvent{Action: ngfwv1.Verdict_VERDICT_ACCEPT}
	over.Fill(flow.Event{FlowID: 12, Kind: flow.Update, Tuple: there}, next)
	if next.Action != ngfwv1.Verdict_VERDICT_ACCEPT || next.Threat != "" {
		t.Errorf("the next flow with its ports: %v", next)
	}

	refused := flow.Event{FlowID: 9, Kind: flow.Refused, Tuple: tuple("10.0.1.9:1", "203.0.113.7:1", 17)}
	fill(refused)
	if _, ok := f.FlowID(refused.Tuple); ok {
		t.Error("a refused flow is remembered")
	}
}

func TestFactsAreBounded(t *testing.T) {
	f := NewFacts(100)
	for i := range 1000 {
		f.Learn(tuple(fmt.Sprintf("10.0.1.9:%d", i+1), "203.0.113.7:443", 6), Fact{App: "tls"})
		if n := len(f.new) + len(f.used); n > 100 {
			t.Fatalf("%d flows remembered", n)
		}
	}
	row := &ngfwv1.FlowEvent{}
	f.Fill(flow.Event{Tuple: tuple("10.0.1.9:1000", "203.0.113.7:443", 6)}, row)
	if row.App != "tls" {
		t.Error("the newest is forgotten")
	}
}
