package regex

import "testing"

func FuzzRegex(f *testing.F) {
	f.Add(`(a+)+b|\d{2,}(?=x)`, uint8(1), []byte("aaab12x"))
	f.Add(`(?<n>['"]).*?\k<n>`, uint8(4), []byte("x'a'"))
	f.Add(`[^\x00-\x1f]{3,}(?!end)`, uint8(0), []byte("abcend"))
	f.Fuzz(func(t *testing.T, e string, flags uint8, subject []byte) {
		if len(e) > 200 || len(subject) > 2000 {
			return
		}
		re, err := Compile(e, Flags(flags&127))
		if err != nil {
			return
		}
		m := NewMatcher(DefaultLimits())
		if m.Match(re, subject, 0) {
			if a, b := m.Group(0); a < 0 || b > len(subject) {
				t.Fatalf("match from %d to %d of %d", a, b, len(subject))
			}
		}
		if spent := m.steps; spent < -stepsPerByte*len(subject)-maxCode {
			t.Fatalf("%d steps beyond the bound", -spent)
		}
	})
}
