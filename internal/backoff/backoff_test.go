package backoff

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCeilingsDoubleUpToMax(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{Min: time.Second, Max: time.Minute}
		ceiling := time.Second
		for range rapid.IntRange(1, 20).Draw(t, "attempts") {
			if d := b.Next(); d <= 0 || d > ceiling {
				t.Fatalf("wait %v is not in (0, %v]", d, ceiling)
			}
			ceiling = min(2*ceiling, time.Minute)
		}
		b.Reset()
		if d := b.Next(); d > time.Second {
			t.Fatalf("wait %v after Reset", d)
		}
	})
}

func TestLongStaysLong(t *testing.T) {
	b := Backoff{Min: time.Second, Max: time.Minute}
	for range 1000 {
		if d := b.Long(); d <= 30*time.Second || d > time.Minute {
			t.Fatalf("long wait %v", d)
		}
	}
}
