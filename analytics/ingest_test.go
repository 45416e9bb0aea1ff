package analytics

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestStoreIsExactlyOnce(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now()
	other := Origin{org.OrgID, "dev-2", 7}
	for _, c := range []struct {
		o     Origin
		epoch string
		n     uint64
		want  int64
	}{
		{org, "a", 1, 1}, {org, "a", 1, 1}, {org, "a", 2, 2}, {org, "a", 1, 2},
		{org, "b", 1, 3}, {other, "a", 1, 4}, {other, "a", 1, 4},
		{org, "a", 9, 5}, {org, "a", 9, 5}, // the router dropped some
	} {
		store(t, db, c.o, batch(c.epoch, c.n, flow(now)))
		if got := ask(t, db, org.OrgID, &ngfwv1.LogsRequest{}).Total; got != c.want {
			t.Fatalf("%s %s %d: %d rows, want %d", c.o.DeviceID, c.epoch, c.n, got, c.want)
		}
	}
	if n := count(t, db.metrics.duplicates); n != 4 {
		t.Errorf("duplicates %v, want 4", n)
	}
	for dev, want := range map[string]map[string]uint64{"dev-1": {"a": 9, "b": 1}, "dev-2": {"a": 1}, "dev-3": {}} {
		got, err := db.Positions(t.Context(), dev)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("positions of %s: %v %s", dev, err, d)
		}
	}
	t.Run("another process on the same table knows it too", func(t *testing.T) {
		again := runTest(t, db.cfg, Deps{Log: db.log, Engine: shared.engine})
		store(t, again, org, batch("a", 9, flow(now)))
		store(t, again, org, batch("b", 1, flow(now)))
		if got := ask(t, again, org.OrgID, &ngfwv1.LogsRequest{}).Total; got != 5 {
			t.Errorf("%d rows, want 5", got)
		}
	})
	t.Run("positions are read from the projection", func(t *testing.T) {
		rows, err := db.conn.Query(t.Context(), "EXPLAIN indexes = 1 SELECT epoch, max(batch) FROM flows WHERE device_id = {d:String} GROUP BY epoch", named("d", "dev-1"))
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var plan strings.Builder
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(line + "\n")
		}
		if !strings.Contains(plan.String(), "ReadFromMergeTree (positions)") {
			t.Errorf("plan\n%s", plan.String())
		}
	})
}

func TestStoreRefusesWhatHasNoName(t *testing.T) {
	db := openTest(t, nil)
	for _, c := range []struct {
		o Origin
		b *ngfwv1.FlowBatch
	}{
		{Origin{"", "d", 1}, batch("e", 1)}, {Origin{"o", "", 1}, batch("e", 1)}, {Origin{"o", "d", 0}, batch("e", 1)},
		{org, batch("", 1)}, {org, batch("e", 0)}, {org, batch(strings.Repeat("e", 200), 1)},
	} {
		if err := db.Store(t.Context(), c.o, c.b); err == nil {
			t.Errorf("%+v %v was stored", c.o, c.b)
		}
	}
}

func TestPoisonedRowsAreSetAside(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now()
	bad := map[string]func(*ngfwv1.FlowEvent){
		"kind":           func(e *ngfwv1.FlowEvent) { e.Kind = 0 },
		"action":         func(e *ngfwv1.FlowEvent) { e.Action = 9 },
		"source_ip":      func(e *ngfwv1.FlowEvent) { e.SourceIp = []byte{1, 2, 3} },
		"destination_ip": func(e *ngfwv1.FlowEvent) { e.DestinationIp = ip("::1") },
		"nat":            func(e *ngfwv1.FlowEvent) { e.NatSourceIp = []byte{1} },
		"port":           func(e *ngfwv1.FlowEvent) { e.DestinationPort = 70000 },
		"protocol":       func(e *ngfwv1.FlowEvent) { e.Protocol = 256 },
		"counter":        func(e *ngfwv1.FlowEvent) { e.BytesSent = 1 << 63 },
		"rule":           func(e *ngfwv1.FlowEvent) { e.RuleId = -1 },
		"source_mac":     func(e *ngfwv1.FlowEvent) { e.SourceMac = []byte{1} },
		"text":           func(e *ngfwv1.FlowEvent) { e.Hostname = strings.Repeat("x", maxText+1) },
		"time":           func(e *ngfwv1.FlowEvent) { e.TimeNs = 0 },
		"past_retention": func(e *ngfwv1.FlowEvent) { e.TimeNs = now.Add(-8 * 24 * time.Hour).UnixNano() },
	}
	// Names that are too much together count as text, too.
	long := strings.Repeat("x", maxText)
	events := []*ngfwv1.FlowEvent{flow(now), nil, flow(now, func(e *ngfwv1.FlowEvent) { e.Hostname, e.App, e.ZoneTo = long, long, "WAN" })}
	for _, poison := range bad {
		events = append(events, flow(now, poison))
	}
	store(t, db, org, batch("e", 1, append(events, flow(now))...))
	if got := ask(t, db, org.OrgID, &ngfwv1.LogsRequest{}).Total; got != 2 {
		t.Errorf("%d rows, want the 2 good ones", got)
	}
	bad["empty"] = nil
	for reason := range bad {
		want := 1.0
		if reason == "text" {
			want = 2
		}
		if n := count(t, db.metrics.rejected.WithLabelValues(reason)); n != want {
			t.Errorf("rejected for %s: %v, want %v", reason, n, want)
		}
	}
	// A batch of nothing but bad rows is done with, too.
	store(t, db, org, batch("e", 2, nil))
	store(t, db, org, batch("e", 2, nil))
}

func TestTimes(t *testing.T) {
	clock := newTestClock()
	now := time.Now().UTC().Truncate(24 * time.Hour).Add(30 * time.Second) // just after midnight
	clock.set(now)
	db := openTest(t, func(_ *Config, d *Deps) { d.Now = clock.now })
	unset := func(e *ngfwv1.FlowEvent) { e.ClockUnset = true }
	store(t, db, org, batch("e", 1,
		flow(now.Add(48*time.Hour)),    // a wrong clock
		flow(now.Add(time.Minute)),     // a slightly wrong one
		flow(now.Add(-time.Minute)),    // the day before
		flow(time.Unix(20, 0), unset),  // the first seconds after power on
		flow(time.Unix(12, 0), unset),  //
		flow(now.Add(-6*24*time.Hour)), // came late
	))
	var got []time.Duration
	for _, e := range ask(t, db, org.OrgID, &ngfwv1.LogsRequest{}).Logs {
		got = append(got, time.UnixMicro(int64(e.Timestamp*1e6+.5)).Sub(now))
	}
	want := []time.Duration{futureTolerance, time.Minute, 0, -8 * time.Second, -time.Minute, -6 * 24 * time.Hour}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	var parts uint64
	if err := db.conn.QueryRow(t.Context(), "SELECT uniqExact(_partition_id) FROM flows").Scan(&parts); err != nil || parts != 1 {
		t.Errorf("%d partitions, %v: a batch must be in one", parts, err)
	}
}

// TestIngestLag tells how old the newest row of an insert is; a router whose
// clock is ahead is not early.
func TestIngestLag(t *testing.T) {
	clock := newTestClock()
	now := time.Now().Truncate(time.Second)
	clock.set(now)
	db := openTest(t, func(_ *Config, d *Deps) { d.Now = clock.now })
	store(t, db, org, batch("e", 1, flow(now.Add(-time.Hour)), flow(now.Add(-3*time.Second))))
	store(t, db, org, batch("e", 2, flow(now.Add(time.Minute))))
	var m dto.Metric
	if err := db.metrics.lagSeconds.Write(&m); err != nil {
		t.Fatal(err)
	}
	if h := m.GetHistogram(); h.GetSampleCount() != 2 || h.GetSampleSum() != 3 {
		t.Errorf("%d inserts, %v s in all; want 2 and 3", h.GetSampleCount(), h.GetSampleSum())
	}
}

func TestManyDevices(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now()
	const devices, batches = 30, 20
	var wg sync.WaitGroup
	for i := range devices {
		wg.Go(func() {
			o := Origin{org.OrgID, fmt.Sprint("dev-", i), []int{1, 7, 30}[i%3]}
			for n := range uint64(batches) {
				if err := db.Store(t.Context(), o, batch("e", n+1, flow(now), flow(now))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := ask(t, db, org.OrgID, &ngfwv1.LogsRequest{}).Total; got != devices*batches*2 {
		t.Errorf("%d rows, want %d", got, devices*batches*2)
	}
	if n := count(t, db.metrics.batches); n != devices*batches {
		t.Errorf("%v batches, want %d", n, devices*batches)
	}
	if n := count(t, db.metrics.rows.WithLabelValues("flows")); n != devices*batches*2 {
		t.Errorf("%v rows counted, want %d", n, devices*batches*2)
	}
}

func TestCallerMayLeave(t *testing.T) {
	db := openTest(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// It may be stored or not, and says so.
	stored := db.Store(ctx, org, batch("e", 1, flow(time.Now()))) == nil
	t.Log("stored:", stored)
	store(t, db, org, batch("e", 1, flow(time.Now())))
	store(t, db, org, batch("e", 2, flow(time.Now())))
	if got := ask(t, db, org.OrgID, &ngfwv1.LogsRequest{}).Total; got != 2 {
		t.Errorf("%d rows, want 2", got)
	}
}

func TestBeforeRun(t *testing.T) {
	needLibrary(t)
	cfg := DefaultConfig()
	cfg.DataDir = t.TempDir()
	db, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"store":  db.Store(t.Context(), org, batch("e", 1, flow(time.Now()))),
		"health": db.Health(t.Context()),
	} {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v, want UNAVAILABLE", name, err)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	db := openTest(t, nil)
	if err := db.conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO schema_version (version) SELECT %d", schemaVersion+1)); err != nil {
		t.Fatal(err)
	}
	again, err := New(db.cfg, Deps{Engine: shared.engine})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Run(t.Context()); !text(err, "newer ngfw-cloud") {
		t.Errorf("%v", err)
	}
}

func TestConfig(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"analytics.engine":    func(c *Config) { c.Engine = "duckdb" },
		"analytics.addresses": func(c *Config) { c.Engine = Server },
		"analytics.protocol":  func(c *Config) { c.Engine, c.Addresses, c.Protocol = Server, []string{"h:9000"}, "udp" },
		"analytics.inserts":   func(c *Config) { c.Inserts = 0 },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if _, err := New(cfg, Deps{}); !text(err, want) {
			t.Errorf("%v, want %s named", err, want)
		}
	}
	cfg := DefaultConfig()
	cfg.Password = "hunter2"
	if s := fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg); strings.Contains(s, "hunter2") {
		t.Error("the password prints itself")
	}
}

func TestRowsLeaveWithTheirRetention(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now()
	store(t, db, org, batch("e", 1, flow(now)))
	// Older than the code would take: two days, kept for one.
	err := db.conn.Exec(t.Context(), `INSERT INTO flows (org_id, device_id, epoch, batch, ts, day, retention_days, event, action)
		SELECT 'org-1', 'dev-1', 'old', number, now64(6) - toIntervalDay(2), today() - 2, 1, 'open', 'accept' FROM numbers(10)`)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the old part to be dropped", func() bool {
		if err := db.conn.Exec(t.Context(), "OPTIMIZE TABLE flows FINAL"); err != nil {
			t.Fatal(err)
		}
		var n uint64
		if err := db.conn.QueryRow(t.Context(), "SELECT count() FROM flows").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
	if p, err := db.Positions(t.Context(), org.DeviceID); err != nil || len(p) != 1 {
		t.Errorf("positions %v, %v, want epoch e alone", p, err)
	}
}

// TestManyBatchesInOneInsert hands over what a router that comes back has
// spooled: over midnight, with batches that are stored already, that hold
// nothing of use, and of two spools.
func TestManyBatchesInOneInsert(t *testing.T) {
	clock := newTestClock()
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	clock.set(midnight.Add(time.Hour))
	db := openTest(t, func(_ *Config, d *Deps) { d.Now = clock.now })
	at := func(minutes int) *ngfwv1.FlowEvent { return flow(midnight.Add(time.Duration(minutes) * time.Minute)) }
	bad := flow(midnight, func(e *ngfwv1.FlowEvent) { e.SourceIp = []byte{1} })
	store(t, db, org, batch("e", 1, at(-30)))
	all := []*ngfwv1.FlowBatch{
		batch("e", 1, at(-30)), batch("e", 2, at(-20), at(-19)), batch("e", 3, bad), batch("e", 4, at(-10)),
		batch("e", 5, at(10)), batch("e", 7, at(11)), batch("e", 6, at(12)), batch("e", 8, bad),
		batch("f", 1, at(20)), batch("f", 2),
	}
	inserts := func() float64 { return count(t, db.metrics.batches) }
	before := inserts()
	if n, err := db.StoreAll(t.Context(), org, all); err != nil || n != len(all) {
		t.Fatal(n, err)
	}
	if n := inserts() - before; n != 5 {
		t.Errorf("%v batches stored, want 5", n)
	}
	check := func(t *testing.T, db *DB) {
		t.Helper()
		var rows, days uint64
		if err := db.conn.QueryRow(t.Context(), "SELECT count(), uniqExact(day) FROM flows").Scan(&rows, &days); err != nil || rows != 7 || days != 2 {
			t.Errorf("%d rows in %d partitions, %v, want 7 in 2", rows, days, err)
		}
		p, err := db.Positions(t.Context(), org.DeviceID)
		if d := cmp.Diff(map[string]uint64{"e": 7, "f": 1}, p); d != "" || err != nil {
			t.Error(d, err)
		}
	}
	check(t, db)
	if n, err := db.StoreAll(t.Context(), org, all); err != nil || n != len(all) {
		t.Fatal(n, err)
	}
	check(t, db)
	t.Run("the first that names no batch ends it", func(t *testing.T) {
		n, err := db.StoreAll(t.Context(), org, []*ngfwv1.FlowBatch{batch("f", 3, at(21)), batch("", 4, at(22)), batch("f", 5, at(23))})
		if n != 1 || err == nil {
			t.Errorf("%d stored, %v", n, err)
		}
	})
}
