package analytics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// content is a table as text, in its order.
func content(t *testing.T, db *DB, table string) (rows uint64, hash uint64) {
	t.Helper()
	if err := db.conn.QueryRow(t.Context(), "SELECT count(), groupBitXor(cityHash64(toString(tuple(*)))) FROM "+table).Scan(&rows, &hash); err != nil {
		t.Fatal(err)
	}
	return rows, hash
}

// TestCopy: from the embedded engine to a server, ended and begun again, and once more
// after both have gone on.
func TestCopy(t *testing.T) {
	needLibrary(t)
	cfg := DefaultConfig()
	cfg.DataDir = t.TempDir()
	source := runTest(t, cfg, Deps{Log: slog.New(slog.DiscardHandler), EngineCommand: []string{os.Args[0], "engine"}})
	wire = true
	defer func() { wire = false }()
	target := openTest(t, nil)

	rnd := rand.New(rand.NewPCG(1, 2))
	noon := time.Now().Truncate(24 * time.Hour).Add(-12 * time.Hour)
	fill := func(db *DB, device, epoch string, from, to uint64) {
		t.Helper()
		var batches []*ngfwv1.FlowBatch
		for n := from; n <= to; n++ {
			events := make([]*ngfwv1.FlowEvent, 20)
			for i := range events {
				events[i] = flow(noon.AddDate(0, 0, -len(epoch)).Add(-time.Duration(rnd.IntN(600))*time.Minute), assorted(rnd))
			}
			batches = append(batches, batch(epoch, n, events...))
		}
		if n, err := db.StoreAll(t.Context(), Origin{org.OrgID, device, 7}, batches); n != len(batches) || err != nil {
			t.Fatal(n, err)
		}
	}
	fill(source, "dev-1", "a", 1, 300)
	fill(source, "dev-1", "bb", 1, 5)
	fill(source, "dev-2", "a", 1, 40)
	raise(t, source, org, "a", 301, found(noon), found(noon.Add(-time.Hour)))
	// A router that was told of the server before its rows were copied.
	fill(target, "dev-2", "a", 41, 42)

	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	_, err := target.CopyFrom(ctx, source, func(done, total uint64) {
		if calls++; calls == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("ended after one insert: %v", err)
	}
	same := func(beside uint64) {
		t.Helper()
		var last [2]uint64
		if _, err := target.CopyFrom(t.Context(), source, func(done, total uint64) { last = [2]uint64{done, total} }); err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			want, hash := content(t, source, table.name)
			if table == &flows {
				want += beside
			}
			rows, got := content(t, target, table.name)
			if rows != want || beside == 0 && got != hash {
				t.Errorf("%s: %d rows, want %d, contents equal: %t", table.name, rows, want, got == hash)
			}
		}
		if last[0] == 0 || last[0] != last[1] {
			t.Errorf("progress ended at %v", last)
		}
	}
	same(40)
	same(40)

	// The server's rows of the other router aside, everything is the same.
	if err := target.conn.Exec(t.Context(), "ALTER TABLE flows DELETE WHERE device_id = 'dev-2' AND batch > 40 SETTINGS mutations_sync = 1"); err != nil {
		t.Fatal(err)
	}
	same(0)
	fill(source, "dev-1", "a", 302, 310)
	fill(source, "dev-1", "bb", 6, 6)
	same(0)
	for _, device := range []string{"dev-1", "dev-2"} {
		want, err := source.Positions(t.Context(), device)
		if err != nil {
			t.Fatal(err)
		}
		again := runTest(t, target.cfg, Deps{Log: target.log})
		if got, err := again.Positions(t.Context(), device); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("positions of %s: %v %s", device, err, cmp.Diff(want, got))
		}
	}
	var sums [2]string
	for i, db := range []*DB{source, target} {
		if err := db.conn.QueryRow(t.Context(), fmt.Sprintf("SELECT toString(groupArray(tuple(x, y))) FROM (SELECT toString(%s) AS x, %s AS y FROM flows GROUP BY x ORDER BY x)", clientOf, sumBytes)).Scan(&sums[i]); err != nil {
			t.Fatal(err)
		}
	}
	if sums[0] != sums[1] || sums[0] == "[]" {
		t.Errorf("clients differ: %s and %s", sums[0], sums[1])
	}
}
