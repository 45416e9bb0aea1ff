// Package backoff owns the waiting time between attempts: exponential with full
// jitter, so that a thousand routers that lost their cloud at the same moment
// do not come back at the same moment.
//
// A Backoff belongs to one goroutine. It does not sleep and knows no clock.
package backoff

import (
	"math/rand/v2"
	"time"
)

// Backoff counts attempts. The zero value never waits.
type Backoff struct {
	Min time.Duration // ceiling of the first wait
	Max time.Duration // ceiling that is never exceeded

	ceiling time.Duration
}

// Next is the time to wait now: uniform in (0, ceiling], where the ceiling
// doubles with each call from Min to Max.
func (b *Backoff) Next() time.Duration {
	switch {
	case b.ceiling == 0:
		b.ceiling = b.Min
	case b.ceiling < b.Max:
		b.ceiling *= 2
	}
	b.ceiling = min(b.ceiling, b.Max)
	if b.ceiling <= 0 {
		return 0
	}
	return 1 + rand.N(b.ceiling)
}

// Long is a time at the long end, uniform in (Max/2, Max]: for a refusal that a
// quick retry cannot change. It also raises the ceiling to Max.
func (b *Backoff) Long() time.Duration {
	b.ceiling = b.Max
	if b.Max < 2 {
		return b.Max
	}
	return b.Max - rand.N(b.Max/2)
}

// Reset starts again from Min.
func (b *Backoff) Reset() { b.ceiling = 0 }
