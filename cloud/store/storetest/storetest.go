// Package storetest owns databases for tests: real ones, each in its test's own
// directory.
package storetest

import (
	"context"
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

// Organization adds an organisation of that id and plan, with its owner.
func Organization(t testing.TB, s *store.Store, id, plan string) {
	t.Helper()
	owner := store.User{ID: "user-of-" + id, OrgID: id, Email: id + "@example.org", Role: "owner", CreatedAt: 1}
	org := store.Organization{ID: id, Name: id, Plan: plan, CreatedAt: 1}
	if err := s.CreateUser(context.Background(), owner, &org); err != nil {
		t.Fatal(err)
	}
}
