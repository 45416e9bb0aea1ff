package analytics

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// testCluster is one shard of one replica: the engine itself. It has no Keeper,
// so its tables are not replicated, and statements are not distributed.
const (
	testCluster  = "one"
	clusterOfOne = `<clickhouse>
<tcp_port>9000</tcp_port> <!-- not opened: by it the engine knows the replica for itself -->
<remote_servers><one><shard><internal_replication>true</internal_replication>
<replica><host>127.0.0.1</host><port>9000</port></replica></shard></one></remote_servers>
</clickhouse>`
)

var replicated = regexp.MustCompile(`ReplicatedMergeTree\([^)]*\)`)

// onOneNode takes out of a statement for a cluster what needs Keeper.
func onOneNode(sql string) string {
	return replicated.ReplaceAllString(strings.ReplaceAll(sql, " ON CLUSTER "+quoteName(testCluster), ""), "MergeTree")
}

// clustered makes openTest make the cluster's form of the tables, with wire.
var clustered bool

// TestOnACluster asks and inserts through Distributed tables.
func TestOnACluster(t *testing.T) {
	wire, clustered = true, true
	defer func() { wire, clustered = false, false }()
	for name, test := range overTheWire {
		if name != "filters" && name != "many devices" { // long, and the same statements
			t.Run(name, test)
		}
	}
	t.Run("roll-ups are read", TestRollupsEqualRows)
	t.Run("size", TestStoredIsTold)
	t.Run("stored once", TestStoreIsExactlyOnce)
}

// TestStoredIsTold scrapes what the database holds, also where the current
// database is not the one that is configured, as in an engine's own process.
func TestStoredIsTold(t *testing.T) {
	registry := prometheus.NewRegistry()
	db := openTest(t, func(_ *Config, d *Deps) { d.Metrics = registry })
	store(t, db, org, batch("e", 1, flow(db.now()), flow(db.now())))
	if !clustered {
		db.cfg.Database = "elsewhere"
	}
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == "ngfw_analytics_stored_rows" && f.Metric[0].GetGauge().GetValue() == 2 {
			return
		}
	}
	t.Error("two rows are stored and not told")
}

// TestSchemaParses gives every statement of both forms to the engine's parser,
// under names that need quoting.
func TestSchemaParses(t *testing.T) {
	db := openTest(t, nil)
	parses := func(sql string) (string, error) {
		var text string
		if err := db.conn.Exec(t.Context(), "EXPLAIN AST "+sql); err != nil {
			return "", err
		}
		err := db.conn.QueryRow(t.Context(), "SELECT formatQuery({q:String})", named("q", sql)).Scan(&text)
		return text, err
	}
	for _, cluster := range []string{"", "prod", "it's `mine`"} {
		for _, sql := range Schema("flow`s", cluster) {
			text, err := parses(sql)
			if err != nil {
				t.Errorf("%q: %.100s: %v", cluster, sql, err)
			}
			if everywhere := strings.Contains(text, "ON CLUSTER"); everywhere != (cluster != "" && !strings.HasPrefix(sql, "INSERT")) {
				t.Errorf("%q: on the cluster %v: %.100s", cluster, everywhere, text)
			}
		}
	}
	if _, err := parses("CREATE TABLE t (x Int8) ENGINE = ReplicatedMergeTree('p' '{replica}') ORDER BY x"); err == nil {
		t.Error("a missing comma is not noticed")
	}
}

// TestFormsAreTheSame compares the tables that the cluster's statements make
// with those of a server: columns, codecs, indexes, projections, keys, TTL.
func TestFormsAreTheSame(t *testing.T) {
	single := openTest(t, nil)
	made := func(name string) string {
		var sql string
		if err := single.conn.QueryRow(t.Context(), "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {name:String}", named("name", name)).Scan(&sql); err != nil {
			t.Fatal(name, err)
		}
		return strings.Replace(sql, localSuffix+" (", " (", 1)
	}
	columns := func(name string) (out []string) {
		if err := single.conn.QueryRow(t.Context(), "SELECT groupArray(name || ' ' || type) FROM system.columns WHERE database = currentDatabase() AND table = {name:String}", named("name", name)).Scan(&out); err != nil {
			t.Fatal(name, err)
		}
		return out
	}
	for _, sql := range Schema(single.cfg.Database, testCluster) {
		if sql = onOneNode(sql); strings.Contains(sql, localSuffix+" (") {
			if err := single.conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, table := range tables {
		if d := cmp.Diff(made(table.name), made(table.name+localSuffix)); d != "" {
			t.Errorf("%s:\n%s", table.name, d)
		}
		want := columns(table.name)
		if err := single.conn.Exec(t.Context(), strings.Replace(onOneNode(table.distributed(single.cfg.Database, testCluster)), "."+table.name+" ", ".over_"+table.name+" ", 1)); err != nil {
			t.Fatal(err)
		}
		if got := columns("over_" + table.name); !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s over all shards: %s", table.name, cmp.Diff(want, got))
		}
	}
}

// TestFormIsChecked starts on tables of the form, or version, that was not meant.
func TestFormIsChecked(t *testing.T) {
	single := openTest(t, nil)
	single.cfg.Cluster = testCluster
	if err := single.migrate(t.Context()); !text(err, "no Distributed table", "analytics schema --cluster one") {
		t.Errorf("one server's tables for a cluster's: %v", err)
	}
	wire, clustered = true, true
	db := openTest(t, nil)
	wire, clustered = false, false
	if err := db.migrate(t.Context()); err != nil {
		t.Error(err)
	}
	db.cfg.Cluster = ""
	if err := db.migrate(t.Context()); !text(err, "is one of a cluster", "analytics.cluster") {
		t.Errorf("a cluster's tables for one server's: %v", err)
	}
	db.cfg.Cluster = testCluster
	if err := db.conn.Exec(t.Context(), "TRUNCATE TABLE schema_version"); err != nil {
		t.Fatal(err)
	}
	if err := db.migrate(t.Context()); !text(err, "has version 0", "analytics schema --cluster one") {
		t.Errorf("an older schema on a cluster: %v", err)
	}
}
