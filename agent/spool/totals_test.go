package spool

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestTotalsOutliveAcknowledgementAndRestart(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.SegmentBytes, cfg.MaxBytes = 1<<10, 1<<20
	s := open(t, cfg, Deps{})
	put(t, s, event(77, 1)) // idle ever after
	for n := range uint64(300) {
		put(t, s, event(1, n+1))
		s.Acknowledge(s.Stats().Epoch, n+2)
	}
	closed := event(2, 9)
	closed.Kind = ngfwv1.EventKind_EVENT_KIND_CLOSE
	refused := event(3, 1)
	refused.Kind = ngfwv1.EventKind_EVENT_KIND_REFUSED
	put(t, s, closed, refused)
	want := map[uint64]Totals{
		77: {PacketsSent: 1, BytesSent: 10},
		1:  {PacketsSent: 300, BytesSent: 3000},
		2:  {PacketsSent: 9, BytesSent: 90, Closed: true},
	}
	if d := cmp.Diff(want, totals(s)); d != "" {
		t.Fatal(d)
	}
	if st := s.Stats(); st.Bytes > 4*cfg.SegmentBytes {
		t.Fatalf("acknowledged segments stay: %d bytes", st.Bytes)
	}
	for range 2 { // restarts without any traffic keep it
		_ = s.Close()
		s = open(t, cfg, Deps{})
		if d := cmp.Diff(want, totals(s)); d != "" {
			t.Fatal(d)
		}
	}
	s.PruneTotals(func(flow uint64) bool { return flow == 77 })
	if d := cmp.Diff(map[uint64]Totals{77: want[77]}, totals(s)); d != "" {
		t.Fatal(d)
	}
}

func TestFlowBoundForgetsClosedOnesFirst(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MaxFlows = 2
	s := open(t, cfg, Deps{})
	end := event(1, 1)
	end.Kind = ngfwv1.EventKind_EVENT_KIND_CLOSE
	put(t, s, end, event(2, 1), event(3, 1), event(4, 1))
	got := totals(s)
	if _, live := got[2]; !live || len(got) != 2 || s.Stats().UnstoredFlows != 1 {
		t.Fatalf("totals %v, %d without room", got, s.Stats().UnstoredFlows)
	}
}
