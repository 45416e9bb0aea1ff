package analytics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// The hub needs no engine: these tests feed it rows.
func testHub(keep, buffer int, at time.Time) *DB {
	cfg := DefaultConfig()
	cfg.LiveRows, cfg.LiveBuffer = keep, buffer
	db := &DB{cfg: cfg, now: func() time.Time { return at }}
	db.metrics = newMetrics(db, nil)
	db.live = newFlowHub(cfg, db.now, db.metrics, db.entry)
	return db
}

func (db *DB) feed(orgID string, number uint64, events ...*ngfwv1.FlowEvent) {
	s := &stamp{orgID: orgID, deviceID: "dev-1", epoch: "e", number: number, retention: 7}
	db.live.publish(orgID, decode(s, batch("e", number, events...), time.Now()).rows)
}

func subscribe(t testing.TB, db *DB, orgID string, r *ngfwv1.LogsRequest, cursor string) *Subscription[row] {
	t.Helper()
	q, err := ParseLogs(r)
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.Subscribe(orgID, q, cursor)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// read takes the frames that wait, told as "log PORT", "dropped N" and "gap",
// and the last cursor.
func read(t testing.TB, s *Subscription[row]) (out []string, cursor string) {
	t.Helper()
	for {
		ctx, cancel := context.WithCancel(t.Context())
		s.mu.Lock()
		if len(s.queue) == 0 {
			cancel()
		}
		s.mu.Unlock()
		f, err := s.Next(ctx)
		cancel()
		if errors.Is(err, context.Canceled) {
			return out, cursor
		}
		if err != nil {
			t.Fatal(err)
		}
		if f.Cursor <= cursor && cursor != "" {
			t.Errorf("cursor %s after %s", f.Cursor, cursor)
		}
		cursor = f.Cursor
		switch f.Type {
		case "log":
			out = append(out, fmt.Sprint("log ", f.Data.SourcePort))
		case "dropped":
			out = append(out, fmt.Sprint("dropped ", f.Count))
		default:
			out = append(out, f.Type)
		}
	}
}

func port(n int) *ngfwv1.FlowEvent {
	return flow(time.Now(), func(e *ngfwv1.FlowEvent) { e.SourcePort = uint32(n) })
}

func ports(lo, hi int) (out []*ngfwv1.FlowEvent) {
	for n := lo; n <= hi; n++ {
		out = append(out, port(n))
	}
	return out
}

func logs(lo, hi int) (out []string) {
	for n := lo; n <= hi; n++ {
		out = append(out, fmt.Sprint("log ", n))
	}
	return out
}

func want(t testing.TB, s *Subscription[row], want ...string) string {
	t.Helper()
	got, cursor := read(t, s)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("frames (-want +got)\n%s", d)
	}
	return cursor
}

func TestLiveFiltersByOrganisationAndFilter(t *testing.T) {
	db := testHub(100, 100, time.Now())
	mine := subscribe(t, db, "a", &ngfwv1.LogsRequest{}, "")
	udp := subscribe(t, db, "a", &ngfwv1.LogsRequest{Proto: []string{"udp"}}, "")
	theirs := subscribe(t, db, "b", &ngfwv1.LogsRequest{}, "")
	db.feed("a", 1, port(1), flow(time.Now(), func(e *ngfwv1.FlowEvent) { e.Protocol, e.SourcePort = 17, 2 }))
	db.feed("b", 1, port(3))
	want(t, mine, "log 1", "log 2")
	want(t, udp, "log 2")
	want(t, theirs, "log 3")
}

func TestSlowReaderIsToldWhereRowsAreMissing(t *testing.T) {
	db := testHub(100, 3, time.Now())
	s := subscribe(t, db, "a", &ngfwv1.LogsRequest{}, "")
	db.feed("a", 1, ports(1, 5)...)
	db.feed("a", 2, ports(6, 7)...)
	want(t, s, "log 1", "log 2", "log 3", "dropped 4")
	db.feed("a", 3, ports(8, 9)...)
	want(t, s, "log 8", "log 9")
	if n := count(t, db.metrics.dropped); n != 4 {
		t.Errorf("dropped %v, want 4", n)
	}
}

func TestResume(t *testing.T) {
	started := time.Now()
	db := testHub(10, 3, started)
	s := subscribe(t, db, "a", &ngfwv1.LogsRequest{}, "")
	db.feed("a", 1, ports(1, 2)...)
	cursor := want(t, s, logs(1, 2)...)
	s.Close()
	db.feed("a", 2, ports(3, 7)...)
	db.feed("b", 1, port(100))

	t.Run("without a hole, beyond the buffer", func(t *testing.T) {
		s := subscribe(t, db, "a", &ngfwv1.LogsRequest{}, cursor)
		db.feed("a", 3, port(8))
		want(t, s, logs(3, 8)...)
	})
	t.Run("from the middle of a batch", func(t *testing.T) {
		s := subscribe(t, db, "a", &ngfwv1.LogsRequest{Port: []string{"443"}}, cursor)
		f, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want(t, subscribe(t, db, "a", &ngfwv1.LogsRequest{}, f.Cursor), logs(4, 8)...)
	})
	t.Run("a gap where rows are not kept", func(t *testing.T) {
		for i := range 10 {
			db.feed("b", uint64(i+2), port(101+i)) // pushes out rows of a
		}
		db.feed("a", 4, port(9))
		want(t, subscribe(t, db, "a", &ngfwv1.LogsRequest{}, cursor), "gap", "log 9")
	})
	t.Run("no gap for whom nothing is missing", func(t *testing.T) {
		s := subscribe(t, db, "c", &ngfwv1.LogsRequest{}, liveCursor(db.live.start))
		want(t, s)
	})
	t.Run("another process, later", func(t *testing.T) {
		later := testHub(10, 3, started.Add(time.Second))
		later.feed("a", 9, port(20))
		want(t, subscribe(t, later, "a", &ngfwv1.LogsRequest{}, cursor), "gap", "log 20")
	})
	t.Run("a cursor of a later clock", func(t *testing.T) {
		earlier := testHub(10, 3, started.Add(-time.Hour))
		earlier.feed("a", 9, port(20))
		s := subscribe(t, earlier, "a", &ngfwv1.LogsRequest{}, cursor)
		f, err := s.Next(t.Context())
		if err != nil || f.Type != "gap" || f.From != cursor {
			t.Fatalf("%v, %v", f, err)
		}
		earlier.feed("a", 10, port(21))
		want(t, s, "log 21")
	})
	t.Run("nonsense", func(t *testing.T) {
		for _, c := range []string{"!", "0", "-1", "zzzzzzzzzzzzzzzzzzzzzz", "00a", "A"} {
			if _, err := db.Subscribe("a", LogQuery{}, c); !fault.Is(err, fault.InvalidConfig) {
				t.Errorf("%q: %v", c, err)
			}
		}
	})
}

func TestSubscriptionEnds(t *testing.T) {
	db := testHub(10, 3, time.Now())
	a, b := subscribe(t, db, "a", &ngfwv1.LogsRequest{}, ""), subscribe(t, db, "a", &ngfwv1.LogsRequest{}, "")
	a.Close()
	a.Close()
	if _, err := a.Next(t.Context()); !errors.Is(err, ErrStreamClosed) {
		t.Errorf("%v", err)
	}
	ended := make(chan error)
	go func() {
		_, err := b.Next(context.Background())
		ended <- err
	}()
	db.live.close()
	if err := <-ended; !errors.Is(err, ErrStreamClosed) {
		t.Errorf("%v", err)
	}
	if _, err := db.Subscribe("a", LogQuery{}, ""); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if len(db.live.readers) != 0 {
		t.Error("readers are left")
	}
}

func TestLiveDoesNotWaitForTheTable(t *testing.T) {
	db := openTest(t, nil)
	s := subscribe(t, db, org.OrgID, &ngfwv1.LogsRequest{}, "")
	var took []time.Duration
	for n := range uint64(50) {
		begun := time.Now()
		stored := make(chan error, 1)
		go func() { stored <- db.Store(t.Context(), org, batch("e", n+1, flow(time.Now()))) }()
		if _, err := s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(begun))
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(took)
	if p := took[len(took)*9/10]; p > 100*time.Millisecond {
		t.Errorf("ingest to reader: p90 %v, want at most 100 ms", p)
	}
	t.Log("ingest to reader: median", took[len(took)/2])
}

func TestRepeatedBatchIsShownOnce(t *testing.T) {
	db := openTest(t, nil)
	s := subscribe(t, db, org.OrgID, &ngfwv1.LogsRequest{}, "")
	for _, n := range []uint64{1, 1, 2, 2, 1} {
		store(t, db, org, batch("e", n, port(int(n))))
	}
	want(t, s, "log 1", "log 2")
}

// A router that sends long names does not make the cloud keep more of memory,
// only fewer rows.
func TestLongNamesWeigh(t *testing.T) {
	now := time.Now()
	kept := func(name string) (rows, bytes int) {
		db := testHub(100, 10, now)
		for n := range uint64(200) {
			db.feed("o", n+1, flow(now, func(e *ngfwv1.FlowEvent) { e.Hostname = name }))
		}
		for _, s := range db.live.recent {
			for i := range s.rows {
				rows++
				bytes += len(s.rows[i].hostname) + len(s.rows[i].words)
			}
		}
		return rows, bytes
	}
	if rows, _ := kept("host.example"); rows != 100 {
		t.Errorf("%d usual rows are kept, want 100", rows)
	}
	if rows, bytes := kept(strings.Repeat("x", maxText)); rows == 0 || bytes > 100*namesPerRow {
		t.Errorf("%d rows with %d bytes of names are kept", rows, bytes)
	}
}
