package inspect

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/agent/flowlog"
	"ngfw.sh/dataplane/flow"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestAlertsWaitForTheirFlowsNumber(t *testing.T) {
	end := netip.MustParseAddrPort
	late := flow.Tuple{Source: end("10.0.1.9:40000"), Destination: end("203.0.113.7:80"), Protocol: 6}
	never := flow.Tuple{Source: end("10.0.1.9:40001"), Destination: end("203.0.113.7:80"), Protocol: 6}
	type told struct {
		Signature string
		FlowID    uint64
	}
	var out []told
	g := &outbox{deps: Deps{Log: slog.New(slog.DiscardHandler), Facts: flowlog.NewFacts(100), Alerts: func(events []*ngfwv1.AlertEvent) error {
		for _, e := range events {
			out = append(out, told{e.Signature, e.FlowId})
		}
		return nil
	}}}
	for name, tuple := range map[string]flow.Tuple{"of no flow": {}, "late": late, "never": never} {
		g.waiting = append(g.waiting, waiting{event: &ngfwv1.AlertEvent{Signature: name}, flow: tuple})
	}
	expect := func(want ...told) {
		t.Helper()
		if d := cmp.Diff(want, out); d != "" {
			t.Error(d)
		}
		out = nil
	}
	g.flush(2)
	expect(told{"of no flow", 0})
	g.deps.Facts.Fill(flow.Event{FlowID: 7, Kind: flow.Open, Tuple: late}, &ngfwv1.FlowEvent{})
	g.flush(2)
	expect(told{"late", 7})
	g.flush(2)
	expect(told{"never", 0})
	g.flush(2)
	expect()
}
