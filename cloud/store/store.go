// Package store owns the relational state of the cloud: users, tokens, devices,
// configuration, audit. It alone imports a SQL driver; the domain packages
// declare the small interfaces they need, and the methods here satisfy them.
//
// Writers are serialised by SQLite; every method is safe for concurrent use. A
// write that must be atomic with others is one method. Times are Unix
// seconds in UTC, ids opaque strings unless a table says otherwise.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNotFound is returned where a row that was asked for by key is not there.
var ErrNotFound = errors.New("not found")

// Store is the database. Close it last.
type Store struct {
	db *sql.DB
}

// Open opens or makes the database at path and brings its schema up to date. A
// schema newer than this binary is refused; an older one is copied to
// path.backup-N before it is migrated (N is its version).
func Open(ctx context.Context, path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	// The pragmas are per connection, so they belong into the DSN. FULL keeps an
	// acknowledged write through a power cut, not only through kill -9.
	dsn := "file:" + path + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_txlock=immediate"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s := &Store{db: db}
	if err := s.migrate(ctx, path); err != nil {
		db.Close()
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		db.Close()
		return nil, fmt.Errorf("restrict %s: %w", path, err)
	}
	return s, nil
}

// Close waits for running statements and closes the database.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) migrate(ctx context.Context, path string) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.db, sub, goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("%s: read schema version: %w", path, err)
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	if have > newest {
		return fmt.Errorf("%s has schema version %d, this binary knows %d: start the newer ngfw-cloud again or restore a backup", path, have, newest)
	}
	pending, err := p.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("%s: compare schema versions: %w", path, err)
	}
	if pending && have > 0 {
		backup := fmt.Sprintf("%s.backup-%d", path, have)
		os.Remove(backup) // an earlier attempt's copy; VACUUM INTO wants none
		if _, err := s.db.ExecContext(ctx, "VACUUM INTO ?", backup); err != nil {
			return fmt.Errorf("back up %s before migrating: %w", path, err)
		}
		if err := os.Chmod(backup, 0o600); err != nil {
			return fmt.Errorf("restrict %s: %w", backup, err)
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s: %w", path, err)
	}
	return nil
}

// tx runs f in one transaction, rolled back if f fails.
func (s *Store) tx(ctx context.Context, f func(*sql.Tx) error) error {
	t, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer t.Rollback() // a no-op after Commit
	if err := f(t); err != nil {
		return err
	}
	return t.Commit()
}

// oneRow turns the driver's "no rows" into ErrNotFound.
func oneRow(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
