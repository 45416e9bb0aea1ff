package analytics

import (
	"strconv"
	"sync"
	"time"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// hub hands rows of one table from ingest to the readers of live streams and keeps the last
// ones for readers that come back.
//
// Rows are numbered in the order of ingest over all organisations. The numbers
// start at the time in microseconds, so that they go on rising when the process
// starts anew (no service takes a million rows a second for long).
type hub[R any] struct {
	metrics *metrics
	name    string // the type of a row's frame
	weight  func([]R) int
	frame   func(*R) *ngfwv1.StreamFrame // with its type and data
	json    func(*R) []byte              // of a row, as bundles have it; nil: as data
	keep    int                          // rows, by weight
	buffer  int                          // rows per reader

	mu      sync.Mutex        // guards below
	last    uint64            // number of the newest row
	recent  []slab[R]         // oldest first
	rows    int               // in recent, by weight
	lost    map[string]uint64 // organisation → newest of its rows that is not kept any more
	start   uint64            // of this process: older numbers are unknown
	readers map[string]map[*Subscription[R]]struct{}
	closed  bool
}

// slab is the rows of one batch, numbered from first on.
type slab[R any] struct {
	orgID string
	first uint64
	rows  []R

	weight int
}

func newHub[R any](keep, buffer int, now func() time.Time, m *metrics, weight func([]R) int, frame func(*R) *ngfwv1.StreamFrame) *hub[R] {
	start := uint64(now().UnixMicro())
	return &hub[R]{
		metrics: m, weight: weight, frame: frame, keep: keep, buffer: buffer, last: start, start: start,
		lost: map[string]uint64{}, readers: map[string]map[*Subscription[R]]struct{}{},
	}
}

// publish numbers the rows of a batch and offers them to the organisation's
// readers. It never waits for one.
func (h *hub[R]) publish(orgID string, rows []R) {
	if len(rows) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.last + 1
	h.last += uint64(len(rows))
	h.recent = append(h.recent, slab[R]{orgID, first, rows, h.weight(rows)})
	h.rows += h.recent[len(h.recent)-1].weight
	for h.rows > h.keep {
		old := h.recent[0]
		h.recent[0] = slab[R]{} // let the rows go
		h.recent = h.recent[1:]
		h.rows -= old.weight
		h.lost[old.orgID] = old.first + uint64(len(old.rows)) - 1
	}
	readers := h.readers[orgID]
	if len(readers) == 0 {
		return
	}
	texts := make([]*written, len(rows))
	for s := range readers {
		s.offer(first, rows, texts)
	}
}

// read says whether anybody reads an organisation's rows now.
func (h *hub[R]) read(orgID string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.readers[orgID]) > 0
}

// subscribe starts a reader, behind the row with the number after (0: with the
// next row).
func (h *hub[R]) subscribe(orgID string, passes func(*R) bool, after uint64) (*Subscription[R], error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errStopping
	}
	s := &Subscription[R]{hub: h, orgID: orgID, passes: passes, bound: h.buffer, wake: make(chan struct{}, 1)}
	if after != 0 {
		h.resume(s, after)
	}
	if h.readers[orgID] == nil {
		h.readers[orgID] = map[*Subscription[R]]struct{}{}
	}
	h.readers[orgID][s] = struct{}{}
	h.metrics.subscribers.Inc()
	return s, nil
}

// resume gives a reader the rows since its cursor, after a gap where some of
// them are not kept.
func (h *hub[R]) resume(s *Subscription[R], after uint64) {
	kept := max(h.start, h.lost[s.orgID]) // rows beyond this one are all here
	from := after
	if after > h.last { // of another clock
		from = h.last
	} else if after < kept {
		from = kept
	}
	if from != after {
		s.queue = append(s.queue, item[R]{kind: gap, number: after, until: from})
		h.metrics.gaps.Inc()
	}
	s.bound = h.keep // what is kept has room, and it takes no memory twice
	for _, b := range h.recent {
		if b.orgID != s.orgID || b.first+uint64(len(b.rows)) <= from+1 {
			continue
		}
		skip := 0
		if b.first <= from {
			skip = int(from - b.first + 1)
		}
		s.offer(b.first+uint64(skip), b.rows[skip:], make([]*written, len(b.rows)-skip))
	}
	s.bound = len(s.queue) + h.buffer
}

func (h *hub[R]) remove(s *Subscription[R]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.readers[s.orgID][s]; !ok {
		return
	}
	delete(h.readers[s.orgID], s)
	if len(h.readers[s.orgID]) == 0 {
		delete(h.readers, s.orgID)
	}
	h.metrics.subscribers.Dec()
}

// close ends all readers.
func (h *hub[R]) close() {
	h.mu.Lock()
	h.closed = true
	var all []*Subscription[R]
	for _, readers := range h.readers {
		for s := range readers {
			all = append(all, s)
		}
	}
	h.mu.Unlock()
	for _, s := range all {
		s.Close()
	}
}

// A live cursor is the number of a row; it is opaque to readers.
func liveCursor(number uint64) string { return strconv.FormatUint(number, 36) }

func parseLiveCursor(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 36, 64)
	if err != nil || n == 0 || liveCursor(n) != s {
		return 0, fault.Invalid("cursor", "is not a cursor of this stream")
	}
	return n, nil
}
