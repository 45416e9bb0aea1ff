package spool

import (
	"log/slog"
	"testing"
)

func TestOldestSegmentsGoFirstAndAreCounted(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.SegmentBytes, cfg.MaxBytes = 1<<10, 8<<10
	s := open(t, cfg, Deps{})
	const written = 200
	for n := range uint64(written) {
		put(t, s, event(n+1, 1), event(n+1, 2))
	}
	st := s.Stats()
	got := drain(t, s)
	if st.Bytes > cfg.MaxBytes+10<<10 { // the checkpoint is not dropped for batches
		t.Fatalf("%d bytes on disk", st.Bytes)
	}
	if st.DroppedBatches == 0 || int(st.DroppedBatches)+len(got) != written || st.DroppedRows != 2*st.DroppedBatches {
		t.Fatalf("%d batches (%d rows) dropped and %d kept of %d", st.DroppedBatches, st.DroppedRows, len(got), written)
	}
	if st.Batches != uint64(len(got)) {
		t.Fatalf("%d batches shown, %d there", st.Batches, len(got))
	}
	if first := got[0].Number; first != st.DroppedBatches+1 || got[len(got)-1].Number != written {
		t.Fatalf("kept %d to %d", first, got[len(got)-1].Number)
	}
	// What was told about a flow is known although its batches are gone.
	if got := len(totals(s)); got != written {
		t.Fatalf("totals of %d flows, want %d", got, written)
	}
}

func TestDroppedCountLeavesAcknowledgedOut(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s := open(t, cfg, Deps{})
	for n := range uint64(10) {
		put(t, s, event(1, n+1))
	}
	s.Acknowledge(s.Stats().Epoch, 4)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.sealLocked(); err != nil {
		t.Fatal(err)
	}
	if err := s.dropOldestLocked(); err != nil {
		t.Fatal(err)
	}
	if s.dropped.batches != 6 || s.dropped.rows != 6 {
		t.Fatalf("dropped %+v, want 6 of 10", s.dropped)
	}
}

func TestSmallBoundHolds(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.MaxBytes = 64 << 10 // far below the default size of a segment
	s := open(t, cfg, Deps{Logger: slog.New(slog.DiscardHandler)})
	for n := range uint64(1000) {
		put(t, s, event(1, n+1))
	}
	if st := s.Stats(); st.Bytes > cfg.MaxBytes || st.Bytes < cfg.MaxBytes/2 || st.DroppedBatches == 0 {
		t.Errorf("%+v", st)
	}
	cfg.MaxBytes = 100
	if _, err := Open(cfg, Deps{}); err == nil {
		t.Error("a bound of 100 bytes is taken")
	}
}
