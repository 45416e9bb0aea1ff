// Package storetest owns databases for tests: real ones, each in its test's own
// directory.
package storetest

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"ngfw.sh/cloud/store"
)

// Open makes a database and says where it is, so that a test can open it again.
func Open(t testing.TB) (s *store.Store, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "cloud.db")
	return Reopen(t, path), path
}

// Reopen opens a database as a restarted process does.
func Reopen(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Organization adds an organisation to the database at path.
func Organization(t testing.TB, path, id, plan string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("INSERT INTO organizations (id, name, plan, created_at) VALUES (?, ?, ?, 1)", id, id, plan); err != nil {
		t.Fatal(err)
	}
}
