package tx

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// Copies are what was kept, whatever is kept or appended later, and short ones cost few
// allocations.
func TestStore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Store
		var want, got [][]byte
		for _, b := range rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 600)).Draw(t, "texts") {
			want, got = append(want, bytes.Clone(b)), append(got, s.Keep(b))
			_ = append(got[len(got)-1], "beyond the end"...)
			clear(b)
		}
		for i := range want {
			if !bytes.Equal(want[i], got[i]) {
				t.Fatalf("text %d is %q, was %q", i, got[i], want[i])
			}
		}
	})
	text := make([]byte, 20)
	if n := testing.AllocsPerRun(100, func() {
		var s Store
		for range 20 {
			text = s.Keep(text)
		}
	}); n > 2 {
		t.Errorf("%v allocations for 20 short texts", n)
	}
}
