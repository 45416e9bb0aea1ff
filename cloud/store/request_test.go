package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/cloud/store/storetest"
)

func TestRequests(t *testing.T) {
	s, path := storetest.Open(t)
	storetest.Organization(t, s, "a", "business_plus")
	ctx := t.Context()
	one := store.Request{Key: [32]byte{1}, OrgID: "a", Body: [32]byte{7}, Ends: 100}
	another := one
	another.Body = [32]byte{8}
	claim := func(s *store.Store, r store.Request, now int64, want store.Claim) {
		t.Helper()
		got, err := s.ClaimRequest(ctx, r, now)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	claim(s, one, 10, store.Claim{Mine: true})
	claim(s, another, 10, store.Claim{Other: true})
	if err := s.DropRequest(ctx, one.Key); err != nil { // it failed
		t.Fatal(err)
	}
	claim(s, another, 10, store.Claim{Mine: true})
	if err := s.DropRequest(ctx, one.Key); err != nil {
		t.Fatal(err)
	}
	claim(s, one, 10, store.Claim{Mine: true})

	s = storetest.Reopen(t, path) // the process was killed before it stored anything
	claim(s, one, 11, store.Claim{Mine: true})
	device := store.NewDevice{
		Device: store.Device{ID: "d", OrgID: "a", Name: "d", Mode: "takeover", TimeZone: "UTC"}, KeyHash: []byte("k"), Limit: -1,
		Audit: store.AuditEntry{OrgID: "a", UserID: "user-of-a"},
	}
	if err := s.CreateDevice(identity.WithRequest(ctx, one.Key), device); err != nil {
		t.Fatal(err)
	}
	s = storetest.Reopen(t, path) // and now after that, before it answered
	claim(s, one, 12, store.Claim{})
	if err := s.DropRequest(ctx, one.Key); err != nil {
		t.Fatal(err)
	}
	claim(s, one, 12, store.Claim{})
	if err := s.AnswerRequest(ctx, one.Key, []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	s = storetest.Reopen(t, path)
	claim(s, one, 99, store.Claim{Answer: []byte("sealed")})
	claim(s, another, 99, store.Claim{Other: true})
	claim(s, another, 100, store.Claim{Mine: true}) // its time is over
}
