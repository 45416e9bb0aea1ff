package analytics

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// TestMigration starts on what an earlier version left behind, rows included:
// roll-ups answer for those rows as for new ones, at once and when the engine
// has rewritten them.
func TestMigration(t *testing.T) {
	for _, dump := range []string{"testdata/schema-1.sql", "testdata/schema-2.sql"} {
		t.Run(filepath.Base(dump), func(t *testing.T) { migrates(t, dump) })
	}
}

func migrates(t *testing.T, file string) {
	clock := newTestClock()
	now := time.Date(2026, 9, 14, 23, 10, 0, 0, time.UTC)
	clock.set(now)
	dump, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	db := openTestOver(t, strings.Split(strings.TrimSuffix(string(dump), ";\n"), ";\n"), func(_ *Config, d *Deps) { d.Now = clock.now })
	var version uint32
	if err := db.conn.QueryRow(t.Context(), "SELECT max(version) FROM schema_version").Scan(&version); err != nil || version != schemaVersion {
		t.Errorf("version %d, %v, want %d", version, err, schemaVersion)
	}
	if missing, err := db.lacksRollups(t.Context()); err != nil || len(missing) > 0 {
		t.Errorf("lacks %v, %v", missing, err)
	}
	if surplus, err := db.surplusRollups(t.Context()); err != nil || len(surplus) > 0 {
		t.Errorf("still has %v, %v", surplus, err)
	}
	raise(t, db, Origin{org.OrgID, "dev-2", 3650}, "e", 1, found(now))
	long := Origin{org.OrgID, org.DeviceID, 3650}
	r := &ngfwv1.TopRequest{Period: "24h"}
	before := rollupsEqualRows(t, db, 0, r, "", Rollup)
	if n := before["stats"].(*ngfwv1.TrafficStats).TotalConnections; n == 0 {
		t.Error("the rows of before are not counted")
	}
	store(t, db, long, batch("e", 3, flow(now.Add(-2*time.Hour)), flow(now.Add(-30*time.Hour))))
	mixed := rollupsEqualRows(t, db, 0, r, "", Rollup)
	waitFor(t, "the engine to rewrite the old parts", func() bool {
		var left uint64
		err := db.conn.QueryRow(t.Context(), "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done").Scan(&left)
		return err == nil && left == 0
	})
	for name, m := range rollupsEqualRows(t, db, 0, r, "", Rollup) {
		if d := cmp.Diff(mixed[name], m, protocmp.Transform()); d != "" {
			t.Errorf("%s after the rewrite:\n%s", name, d)
		}
	}
	if p, err := db.Positions(t.Context(), org.DeviceID); err != nil || p["e"] != 3 {
		t.Errorf("positions %v, %v", p, err)
	}
	log := ask(t, db, org.OrgID, &ngfwv1.LogsRequest{})
	if log.Total != 42 {
		t.Errorf("%d rows, want 42", log.Total)
	}
}

// TestMigrationIsTakenOnce starts twice on the same database.
func TestMigrationIsTakenOnce(t *testing.T) {
	db := openTest(t, nil)
	if err := db.migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n uint64
	if err := db.conn.QueryRow(t.Context(), "SELECT count() FROM schema_version").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d versions written, %v, want 1", n, err)
	}
	if err := db.conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO schema_version (version) SELECT %d", schemaVersion+1)); err != nil {
		t.Fatal(err)
	}
	if err := db.migrate(t.Context()); !text(err, fmt.Sprint(schemaVersion+1), "newer") {
		t.Errorf("a newer schema: %v", err)
	}
}
