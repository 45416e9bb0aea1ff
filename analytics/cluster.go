package analytics

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// On a cluster every table is two: one on each node that holds its shard's rows
// (local, replicated), and one over all of them under the name that everything
// else asks and inserts into (Distributed). A router's rows are all on one shard,
// so its batch is one block into one table there, as on a single server.

// Schema is the statements that make the schema of this binary: in a database of
// one server, or on all nodes of the cluster. They may be run again. A server's
// is made by Run itself; a cluster's is made by whoever owns it.
func Schema(database, cluster string) []string {
	inside := quoteName(database) + "."
	if cluster == "" {
		out := []string{"CREATE DATABASE IF NOT EXISTS " + quoteName(database), versionTable(inside+"schema_version", "MergeTree")}
		for _, t := range tables {
			out = append(out, t.createAs(inside+t.name, "MergeTree"))
		}
		return append(out, writeVersion(inside))
	}
	everywhere := " ON CLUSTER " + quoteName(cluster)
	out := []string{
		"CREATE DATABASE IF NOT EXISTS " + quoteName(database) + everywhere,
		// Every node has all of it, so its replicas are named by shard, too.
		versionTable(inside+"schema_version"+everywhere, "ReplicatedMergeTree('/clickhouse/tables/{database}/{table}', '{shard}-{replica}')"),
	}
	for _, t := range tables {
		out = append(out,
			t.createAs(inside+t.name+localSuffix+everywhere, "ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')"),
			t.distributed(database, cluster))
	}
	return append(out, writeVersion(inside))
}

const localSuffix = "_local"

// distributed is the statement that makes the table over those of all shards.
func (t table) distributed(database, cluster string) string {
	lines := make([]string, len(t.columns))
	for i, c := range t.columns {
		lines[i] = c.name + " " + c.kind
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.%s ON CLUSTER %s (\n%s\n)\nENGINE = Distributed(%s, %s, %s, cityHash64(org_id, device_id))",
		quoteName(database), t.name, quoteName(cluster), strings.Join(lines, ",\n"), quoteText(cluster), quoteText(database), quoteText(t.name+localSuffix))
}

func writeVersion(inside string) string {
	return fmt.Sprintf("INSERT INTO %[1]sschema_version (version) SELECT %[2]d WHERE %[2]d NOT IN (SELECT version FROM %[1]sschema_version)", inside, schemaVersion)
}

// clusterSettings make an answer mean on a cluster what it means on a server.
var clusterSettings = clickhouse.Settings{
	"distributed_foreground_insert": 1,      // stored on the shard, not queued on its way there
	"insert_quorum":                 "auto", // by most replicas: one that is lost takes nothing with it
}

// local is the name of the table that holds the rows.
func (db *DB) local(t *table) string {
	if db.cfg.Cluster == "" {
		return t.name
	}
	return t.name + localSuffix
}

// home is the database as system tables name it: the embedded engine's is not
// the configured one, other nodes' current one is not ours.
func (db *DB) home() string {
	if db.cfg.Cluster == "" {
		return "currentDatabase()"
	}
	return quoteText(db.cfg.Database)
}

// stored is the table as what is stored is read from it: on a cluster from every
// replica, as one alone may not have heard yet of what the others have.
func (db *DB) stored(t *table) string {
	if db.cfg.Cluster == "" {
		return t.name
	}
	return db.everyReplica(db.cfg.Database, db.local(t))
}

// everyReplica is a table of all nodes.
func (db *DB) everyReplica(database, table string) string {
	if db.cfg.Cluster == "" {
		return quoteName(database) + "." + quoteName(table)
	}
	return fmt.Sprintf("clusterAllReplicas(%s, %s, %s)", quoteText(db.cfg.Cluster), quoteText(database), quoteText(table))
}

// everyShard is a system table of one replica of each shard.
func (db *DB) everyShard(table string) string {
	if db.cfg.Cluster == "" {
		return "system." + table
	}
	return fmt.Sprintf("cluster(%s, 'system', %s)", quoteText(db.cfg.Cluster), quoteText(table))
}

// checkForm refuses tables of another form than the configuration says, and a
// cluster's of another version: those are not for one process to change.
func (db *DB) checkForm(ctx context.Context) error {
	for _, t := range tables {
		var engine string
		err := db.conn.QueryRow(ctx, "SELECT any(engine) FROM system.tables WHERE database = currentDatabase() AND name = {name:String}", named("name", t.name)).Scan(&engine)
		if err != nil {
			return fmt.Errorf("look for the table %s: %w", t.name, err)
		}
		switch distributed := engine == "Distributed"; {
		case db.cfg.Cluster == "" && distributed:
			return fmt.Errorf("the table %s.%s is one of a cluster: name it in analytics.cluster", db.cfg.Database, t.name)
		case db.cfg.Cluster != "" && !distributed:
			return fmt.Errorf("%s.%s is no Distributed table (%q): make it with what `ngfw-cloud analytics schema --cluster %s` prints", db.cfg.Database, t.name, engine, db.cfg.Cluster)
		}
	}
	if db.cfg.Cluster == "" {
		return nil
	}
	have, err := db.version(ctx)
	if err == nil && have != schemaVersion {
		err = fmt.Errorf("the schema on cluster %s has version %d, this binary needs %d: bring it up to date with what `ngfw-cloud analytics schema --cluster %[1]s` prints", db.cfg.Cluster, have, schemaVersion)
	}
	return err
}

func quoteName(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}

func quoteText(s string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(s) + "'"
}
