package analytics

import (
	"context"
	"fmt"
	"slices"
)

// schemaVersion counts the steps below; it only ever rises.
const schemaVersion = 3

// step brings the schema nearer to what this binary wants. It looks at what is
// there, not at a version, so a step that was cut off is taken again.
type step struct {
	name   string
	needed func(context.Context, *DB) (bool, error)
	do     func(context.Context, *DB) error
}

var migrations = []step{
	create(&flows),
	{
		name: "roll flows up",
		needed: func(ctx context.Context, db *DB) (bool, error) {
			missing, err := db.lacksRollups(ctx)
			return len(missing) > 0, err
		},
		do: addRollups,
	},
	{
		name: "drop roll-ups that have better ones in their place",
		needed: func(ctx context.Context, db *DB) (bool, error) {
			surplus, err := db.surplusRollups(ctx)
			return len(surplus) > 0, err
		},
		do: dropRollups,
	},
	{
		name: "index the words of flows",
		needed: func(ctx context.Context, db *DB) (bool, error) {
			have, err := db.names(ctx, "system.data_skipping_indices")
			return !slices.Contains(have, "by_words"), err
		},
		do: func(ctx context.Context, db *DB) error {
			if err := db.conn.Exec(ctx, "ALTER TABLE flows ADD "+wordsIndex); err != nil {
				return err
			}
			return db.conn.Exec(ctx, "ALTER TABLE flows MATERIALIZE INDEX by_words SETTINGS mutations_sync = 0")
		},
	},
	create(&alerts),
	create(&queries),
}

// create is the step that makes a table.
func create(t *table) step {
	return step{
		name:   "create " + t.name,
		needed: func(ctx context.Context, db *DB) (bool, error) { return db.lacksTable(ctx, t.name) },
		do:     func(ctx context.Context, db *DB) error { return db.conn.Exec(ctx, t.create()) },
	}
}

// lacksRollups lists the roll-ups that the table does not have.
func (db *DB) lacksRollups(ctx context.Context) ([]rollup, error) {
	have, err := db.names(ctx, "system.projections")
	if err != nil {
		return nil, err
	}
	var missing []rollup
	for _, r := range rollups {
		if !slices.Contains(have, r.name) {
			missing = append(missing, r)
		}
	}
	return missing, nil
}

// surplusRollups lists those that no question is answered from any more.
func (db *DB) surplusRollups(ctx context.Context) ([]string, error) {
	have, err := db.names(ctx, "system.projections")
	return slices.DeleteFunc(have, func(name string) bool {
		return name == "positions" || slices.ContainsFunc(rollups, func(r rollup) bool { return r.name == name })
	}), err
}

func dropRollups(ctx context.Context, db *DB) error {
	surplus, err := db.surplusRollups(ctx)
	if err != nil {
		return err
	}
	for _, name := range surplus {
		if err := db.conn.Exec(ctx, "ALTER TABLE "+flows.name+" DROP PROJECTION "+name+" SETTINGS alter_sync = 0, mutations_sync = 0"); err != nil {
			return fmt.Errorf("drop %s: %w", name, err)
		}
	}
	return nil
}

// names lists what the table of flows has of a kind.
func (db *DB) names(ctx context.Context, of string) ([]string, error) {
	var names []string
	err := db.conn.QueryRow(ctx, "SELECT groupArray(toString(name)) FROM "+of+" WHERE database = currentDatabase() AND table = {table:String}", named("table", flows.name)).Scan(&names)
	return names, err
}

// addRollups adds what is missing. Parts that are there get theirs in the
// background; until then questions read their rows.
func addRollups(ctx context.Context, db *DB) error {
	missing, err := db.lacksRollups(ctx)
	if err != nil {
		return err
	}
	for _, r := range missing {
		if err := db.conn.Exec(ctx, "ALTER TABLE "+flows.name+" ADD "+r.projection()); err != nil {
			return fmt.Errorf("add %s: %w", r.name, err)
		}
	}
	for _, r := range missing {
		if err := db.conn.Exec(ctx, "ALTER TABLE "+flows.name+" MATERIALIZE PROJECTION "+r.name+" SETTINGS mutations_sync = 0"); err != nil {
			return fmt.Errorf("fill %s: %w", r.name, err)
		}
	}
	return nil
}

// migrate refuses a schema newer than this binary and takes the steps that are
// needed.
func (db *DB) migrate(ctx context.Context) error {
	if err := db.checkForm(ctx); err != nil || db.cfg.Cluster != "" {
		return err
	}
	if err := db.conn.Exec(ctx, versionTable("schema_version", "MergeTree")); err != nil {
		return fmt.Errorf("make the table of schema versions: %w", err)
	}
	have, err := db.version(ctx)
	if err != nil {
		return err
	}
	for _, s := range migrations {
		needed, err := s.needed(ctx, db)
		if err == nil && needed {
			db.log.Info("migrating the clickhouse schema", "step", s.name)
			err = s.do(ctx, db)
		}
		if err != nil {
			return fmt.Errorf("clickhouse schema, %s: %w", s.name, err)
		}
	}
	if have < schemaVersion {
		if err := db.conn.Exec(ctx, fmt.Sprintf("INSERT INTO schema_version (version) SELECT %d", schemaVersion)); err != nil {
			return fmt.Errorf("write the schema version: %w", err)
		}
	}
	return nil
}

func versionTable(name, engine string) string {
	return "CREATE TABLE IF NOT EXISTS " + name + " (version UInt32, at DateTime DEFAULT now()) ENGINE = " + engine + " ORDER BY version"
}

// version reads that of the schema, and refuses one newer than this binary.
func (db *DB) version(ctx context.Context) (uint32, error) {
	var have uint32
	if err := db.conn.QueryRow(ctx, "SELECT max(version) FROM schema_version").Scan(&have); err != nil {
		return 0, fmt.Errorf("read the schema version: %w", err)
	}
	if have > schemaVersion {
		return 0, fmt.Errorf("the ClickHouse schema has version %d, this binary knows %d: start the newer ngfw-cloud again or restore a backup", have, schemaVersion)
	}
	return have, nil
}

func (db *DB) lacksTable(ctx context.Context, name string) (bool, error) {
	var n uint64
	err := db.conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = {name:String}", named("name", name)).Scan(&n)
	return n == 0, err
}
