package analytics

import (
	"sync"
	"time"
)

// ingested knows which stretches of time rows were stored into, and when: an
// answer about a stretch is good for as long as none were. It can know only where
// this process alone inserts, with the embedded engine.
//
// Moments are numbers that rise with each insert's begin and end. An insert
// counts at both, since a question beside it may have seen its rows or not.
type ingested struct {
	mu      sync.Mutex // guards below
	moment  uint64
	floor   uint64                        // what was answered before it is not known to be good
	marks   int                           // in last
	last    map[string]map[int64]uint64   // organisation → stretch → moment of the last insert
	running map[string]map[int64]struct{} // stretches that an insert runs into; counted in depth
	depth   map[stretch]int
}

type stretch struct {
	orgID string
	at    int64 // number of five minutes since 1970
}

const (
	stretchMicros = 5 * 60 * 1_000_000
	maxMarks      = 1 << 18 // beyond it everything is forgotten at once
)

func newIngested() *ingested {
	return &ingested{last: map[string]map[int64]uint64{}, running: map[string]map[int64]struct{}{}, depth: map[stretch]int{}}
}

// stretchesOf are those that rows lie in.
func stretchesOf(batches []any) map[stretch]struct{} {
	out := map[stretch]struct{}{}
	for _, b := range batches {
		rows, ok := b.([]row)
		if !ok {
			continue
		}
		last := stretch{at: -1}
		for i := range rows {
			if s := (stretch{rows[i].orgID, rows[i].time / stretchMicros}); s != last {
				out[s], last = struct{}{}, s
			}
		}
	}
	return out
}

// begin notes that rows are being stored; end that they are, or are not.
func (g *ingested) begin(into map[stretch]struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mark(into)
	for s := range into {
		if g.depth[s]++; g.depth[s] == 1 {
			if g.running[s.orgID] == nil {
				g.running[s.orgID] = map[int64]struct{}{}
			}
			g.running[s.orgID][s.at] = struct{}{}
		}
	}
}

func (g *ingested) end(into map[stretch]struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mark(into)
	for s := range into {
		if g.depth[s]--; g.depth[s] > 0 {
			continue
		}
		delete(g.depth, s)
		if delete(g.running[s.orgID], s.at); len(g.running[s.orgID]) == 0 {
			delete(g.running, s.orgID)
		}
	}
}

// mark is called under the lock.
func (g *ingested) mark(into map[stretch]struct{}) {
	g.moment++
	if g.marks+len(into) > maxMarks {
		g.last, g.marks, g.floor = map[string]map[int64]uint64{}, 0, g.moment
	}
	for s := range into {
		of := g.last[s.orgID]
		if of == nil {
			of = map[int64]uint64{}
			g.last[s.orgID] = of
		}
		if _, ok := of[s.at]; !ok {
			g.marks++
		}
		of[s.at] = g.moment
	}
}

// now is the moment to remember an answer with: that before its question.
func (g *ingested) now() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.moment
}

// since says whether rows were or are being stored between two times, the second
// not included, since a moment.
func (g *ingested) since(orgID string, from, to int64, moment uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if moment < g.floor {
		return true
	}
	first, last := from/stretchMicros, (to-1)/stretchMicros
	for at := range g.running[orgID] {
		if first <= at && at <= last {
			return true
		}
	}
	of := g.last[orgID]
	if int64(len(of)) < last-first {
		for at, m := range of {
			if first <= at && at <= last && m > moment {
				return true
			}
		}
		return false
	}
	for at := first; at <= last; at++ {
		if of[at] > moment {
			return true
		}
	}
	return false
}

// storing tells remembered answers that rows are being stored; the function that
// it returns, that they are. Where that is not certain, it may still happen for a
// while.
func (db *DB) storing(batches []any) func(error) {
	if db.remembered == nil {
		return func(error) {}
	}
	g, into := db.remembered.ingested, stretchesOf(batches)
	if len(into) == 0 {
		return func(error) {}
	}
	g.begin(into)
	return func(err error) {
		if err != nil {
			time.AfterFunc(uncertain, func() { g.end(into) })
			return
		}
		g.end(into)
	}
}

// uncertain is how long an insert that failed may still come to store its rows.
const uncertain = time.Minute
