package analytics

import (
	"sync"
	"time"
)

// reach remembers where the last page of a question lay, so that the next one
// reads that stretch of the record first, and not the end of each part that there
// is. It is a guess and decides nothing: a stretch without enough rows is followed
// by a longer one and in the end by all there is.
type reach struct {
	mu sync.Mutex // guards below
	of map[string]reached
}

// reached is where rows were found: the newest of them, and the time that each
// takes on average. scarce ones do not fill a page with all there are.
type reached struct {
	newest int64 // Unix microseconds; 0: elsewhere the next time
	per    time.Duration
	scarce bool
}

const (
	maxReaches   = 4096             // beyond it everything is forgotten at once
	firstReach   = 10 * time.Minute // of a page of which nothing is known
	reachFactor  = 2                // of what is known, to be sure of a full page
	reachFurther = 32               // when the page was not full
)

func newReach() *reach { return &reach{of: map[string]reached{}} }

// from are the times, in Unix microseconds, from which on to look for so many rows
// before a time, one after the other. The last is 0: from the beginning.
func (r *reach) from(question string, until int64, rows int) []int64 {
	r.mu.Lock()
	at, known := r.of[question]
	r.mu.Unlock()
	length := firstReach
	if known {
		if at.scarce || at.per > maxSpan/reachFactor/reachFurther/time.Duration(rows) {
			return []int64{0}
		}
		if at.newest != 0 { // from there on there are now as many rows, or more
			until = min(until, at.newest)
		}
		length = max(reachFactor*at.per*time.Duration(rows), time.Second)
	}
	return []int64{until - length.Microseconds(), until - reachFurther*length.Microseconds(), 0}
}

// scarce says whether all rows of a question did not fill its last page.
func (r *reach) scarce(question string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[question].scarce
}

// note remembers where the rows of a page lay.
func (r *reach) note(question string, at reached) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.of) >= maxReaches {
		clear(r.of)
	}
	r.of[question] = at
}
