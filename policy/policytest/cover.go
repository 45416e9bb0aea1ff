package policytest

import (
	"testing"

	"pgregory.net/rapid"
)

// Seen counts the kinds of cases that a property has met.
type Seen map[string]int

// Cover checks a property until it has met every kind of case named: one that never
// sees a case proves nothing about it. Draws that happen to miss a kind are repeated;
// a kind that cannot be drawn fails the test.
func Cover(t *testing.T, kinds []string, property func(t *rapid.T, seen Seen)) {
	t.Helper()
	const rounds = 5
	seen := Seen{}
	for range rounds {
		rapid.Check(t, func(t *rapid.T) { property(t, seen) })
		if t.Failed() {
			return
		}
		if len(seen.missing(kinds)) == 0 {
			t.Log(seen)
			return
		}
	}
	t.Errorf("no case was %q: %v", seen.missing(kinds), seen)
}

func (s Seen) missing(kinds []string) []string {
	var out []string
	for _, kind := range kinds {
		if s[kind] == 0 {
			out = append(out, kind)
		}
	}
	return out
}
