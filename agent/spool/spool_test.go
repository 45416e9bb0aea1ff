package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func testConfig(dir string) Config {
	c := DefaultConfig()
	c.Dir = dir
	c.FlushInterval = time.Hour // batches are closed by Flush
	return c
}

func open(t testing.TB, cfg Config, deps Deps) *Spool {
	t.Helper()
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := Open(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// event is the n-th event of a flow that sends 10 bytes each time.
func event(flow, n uint64) *ngfwv1.FlowEvent {
	kind := ngfwv1.EventKind_EVENT_KIND_UPDATE
	if n == 1 {
		kind = ngfwv1.EventKind_EVENT_KIND_OPEN
	}
	return &ngfwv1.FlowEvent{
		FlowId: flow, Kind: kind, TimeNs: int64(n), SourceIp: []byte{10, 0, 0, 1}, Hostname: "printer",
		BytesSent: 10, PacketsSent: 1, TotalBytesSent: 10 * n, TotalPacketsSent: n,
	}
}

// put writes one batch of one event and returns nothing: it must work.
func put(t testing.TB, s *Spool, events ...*ngfwv1.FlowEvent) {
	t.Helper()
	if err := s.Append(events); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
}

// drain reads what can be read without waiting.
func drain(t testing.TB, s *Spool) []*Batch {
	t.Helper()
	r := s.Reader()
	defer r.Close()
	var out []*Batch
	for {
		rec, wake, err := r.take()
		if err != nil {
			t.Fatal(err)
		}
		if wake != nil {
			return out
		}
		r.handed[rec.epoch] = rec.number
		b, err := s.codec.decode(rec)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, &Batch{FlowBatch: b, Written: rec.written, Bytes: len(rec.data)})
	}
}

func names(batches []*Batch) []string {
	var out []string
	for _, b := range batches {
		out = append(out, fmt.Sprintf("%s/%d", b.Epoch, b.Number))
	}
	return out
}

func totals(s *Spool) map[uint64]Totals {
	out := map[uint64]Totals{}
	for id, t := range s.LastTotals() {
		out[id] = t
	}
	return out
}

func TestBatchesComeBackInOrderAfterReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testConfig(dir), Deps{})
	first := s.Stats().Epoch
	for n := range uint64(3) {
		put(t, s, event(1, n+1))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, testConfig(dir), Deps{})
	second := s.Stats().Epoch
	if first == second {
		t.Fatal("the epoch is used twice")
	}
	put(t, s, event(1, 4))
	got := drain(t, s)
	want := []string{first + "/1", first + "/2", first + "/3", second + "/1"}
	if d := cmp.Diff(want, names(got)); d != "" {
		t.Fatal(d)
	}
	if d := cmp.Diff(event(1, 2), got[1].Events[0], protocmp.Transform()); d != "" {
		t.Fatal(d)
	}
	wantState := &ngfwv1.SpoolState{Epochs: []*ngfwv1.SpoolState_Epoch{{Epoch: first, First: 1, Last: 3}, {Epoch: second, First: 1, Last: 1}}}
	if d := cmp.Diff(wantState, s.State(), protocmp.Transform()); d != "" {
		t.Fatal(d)
	}
	s.Forget(first, 2)
	s.Acknowledge(second, 1)
	if d := cmp.Diff([]string{first + "/3"}, names(drain(t, s))); d != "" {
		t.Fatal(d)
	}
}

// Rows of every kind share the numbers, and none shares a batch with another
// kind's.
func TestAlertsAndQueriesAreBatchesOfTheirOwn(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s := open(t, cfg, Deps{})
	alert := &ngfwv1.AlertEvent{Signature: "odd \xff name", Metadata: map[string]string{"k": "\xfe"}}
	if err := s.Append([]*ngfwv1.FlowEvent{event(1, 1), event(1, 2)}); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendAlerts([]*ngfwv1.AlertEvent{alert}); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendQueries([]*ngfwv1.QueryEvent{{Domain: "a"}, {Domain: "b"}, {Domain: "c"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.AppendAlerts([]*ngfwv1.AlertEvent{nil}); err == nil {
		t.Error("nil is taken for an alert")
	}
	put(t, s, event(1, 3))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, cfg, Deps{})
	var got []string
	for _, b := range drain(t, again) {
		got = append(got, fmt.Sprint(b.Number, ": ", len(b.Events), " ", len(b.Alerts), " ", len(b.Queries)))
		for _, a := range b.Alerts {
			if a.Signature != "odd \uFFFD name" || a.Metadata["k"] != "\uFFFD" {
				t.Errorf("%v", a)
			}
		}
	}
	if d := cmp.Diff([]string{"1: 3 0 0", "2: 0 1 0", "3: 0 0 3"}, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(uint64(30), totals(again)[1].BytesSent); d != "" {
		t.Error(d)
	}
}

func TestBatchIsClosedByAgeByRowsAndByBytes(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.FlushInterval = 10 * time.Millisecond
	cfg.BatchEvents = 3
	s := open(t, cfg, Deps{})
	r := s.Reader()
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Append([]*ngfwv1.FlowEvent{event(1, 1), event(1, 2), event(1, 3), event(1, 4)}); err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{3, 1} { // the second one only by age
		b, err := r.Next(ctx)
		if err != nil || len(b.Events) != rows {
			t.Fatalf("batch %v, %v: want %d rows", b, err, rows)
		}
	}

	cfg = testConfig(t.TempDir())
	cfg.BatchBytes = 3 * proto.Size(event(1, 1))
	s = open(t, cfg, Deps{})
	for n := range uint64(7) {
		if err := s.Append([]*ngfwv1.FlowEvent{event(1, n+1)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(drain(t, s)); got != 2 {
		t.Fatalf("%d batches closed by size, want 2", got)
	}
}

func TestAppendRefusesWhatCanNeverBeKept(t *testing.T) {
	s := open(t, testConfig(t.TempDir()), Deps{})
	big := event(1, 1)
	big.Hostname = strings.Repeat("x", s.cfg.BatchBytes)
	for _, events := range [][]*ngfwv1.FlowEvent{{event(1, 1), nil}, {event(1, 1), big}} {
		if err := s.Append(events); err == nil {
			t.Fatal("taken")
		}
	}
	if err := s.Flush(); err != nil || len(drain(t, s)) != 0 {
		t.Fatal("part of a refused call was kept")
	}
	odd := event(2, 1)
	odd.Hostname = "caf\xe9"
	put(t, s, odd)
	if got := drain(t, s)[0].Events[0].Hostname; got != "caf\uFFFD" {
		t.Fatalf("hostname %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(nil); !errors.Is(err, ErrClosed) {
		t.Fatalf("after Close: %v", err)
	}
}

func TestForeignNumbersBeginANewEpoch(t *testing.T) {
	s := open(t, testConfig(t.TempDir()), Deps{})
	put(t, s, event(1, 1))
	old := s.Stats().Epoch
	s.Acknowledge(old, 5) // nonsense, ignored
	if len(drain(t, s)) != 1 {
		t.Fatal("an acknowledgement of what was never made was believed")
	}
	s.Forget(old, 5)
	put(t, s, event(1, 2))
	if st := s.Stats(); st.Epoch == old {
		t.Fatal("the epoch goes on although somebody else used it")
	}
	if got := drain(t, s); len(got) != 1 || got[0].Number != 1 || got[0].Epoch == old {
		t.Fatalf("batches %v", names(got))
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	for name, magic := range map[string]string{"0000000000000001.seg": segmentMagic, checkpointName: checkpointMagic} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), versionHeader(magic, 2), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(testConfig(dir), Deps{})
		if err == nil || !strings.Contains(err.Error(), "format version 2, this agent knows 1") || !strings.Contains(err.Error(), name) {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestOneAgentPerDirectory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, testConfig(dir), Deps{})
	if _, err := Open(testConfig(dir), Deps{}); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Fatalf("second Open: %v", err)
	}
	_ = s.Close()
	open(t, testConfig(dir), Deps{})
}

func TestReaderWaitsAndEnds(t *testing.T) {
	s := open(t, testConfig(t.TempDir()), Deps{})
	r := s.Reader()
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { put(t, s, event(1, 1)) })
	b, err := r.Next(t.Context())
	if err != nil || b.Number != 1 {
		t.Fatal(b, err)
	}
	wg.Wait()
	wg.Go(func() { _ = s.Close() })
	if _, err := r.Next(t.Context()); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	wg.Wait()
}
