package ticket

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTicketIsGoodOnceAndForItsLifetime(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	s := NewStore(time.Minute, 8, func() time.Time { return now })
	a, b := s.Issue("alice"), s.Issue("bob")
	if !strings.HasPrefix(a, Prefix) || a == b {
		t.Fatalf("%q and %q", a, b)
	}
	if got, ok := s.Redeem(a); !ok || got != "alice" {
		t.Fatalf("%q, %v", got, ok)
	}
	if _, ok := s.Redeem(a); ok {
		t.Error("a ticket was good twice")
	}
	now = now.Add(time.Minute)
	if _, ok := s.Redeem(b); ok {
		t.Error("a ticket was good after its lifetime")
	}
	if _, ok := s.Redeem(""); ok {
		t.Error("no ticket was good")
	}
}

// Against a plain list of what was issued, whatever the order of events.
func TestStoreIsBoundedAndHonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		const most = 4
		s := NewStore(10*time.Second, most, func() time.Time { return now })
		type issued struct {
			ticket string
			at     time.Time
			used   bool
		}
		var all []issued
		t.Repeat(map[string]func(*rapid.T){
			"issue": func(t *rapid.T) { all = append(all, issued{ticket: s.Issue("c"), at: now}) },
			"wait":  func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(0, 6).Draw(t, "s")) * time.Second) },
			"redeem": func(t *rapid.T) {
				if len(all) == 0 {
					t.Skip("none yet")
				}
				i := rapid.IntRange(0, len(all)-1).Draw(t, "i")
				want := !all[i].used && now.Before(all[i].at.Add(10*time.Second)) && i >= len(all)-most
				if _, ok := s.Redeem(all[i].ticket); ok != want {
					t.Fatalf("ticket %d of %d: good %v, want %v", i, len(all), ok, want)
				}
				all[i].used = true
			},
			"": func(t *rapid.T) {
				if len(s.held) > most || len(s.order) > most {
					t.Fatalf("holds %d tickets, %d in order", len(s.held), len(s.order))
				}
			},
		})
	})
}
