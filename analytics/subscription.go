package analytics

import (
	"context"
	"errors"
	"sync"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ErrStreamClosed is what Next returns after Close and when the service stops.
var ErrStreamClosed = errors.New("the live stream is closed")

// Subscription is one reader of an organisation's live stream. It never slows
// ingest down: what does not fit its buffer is dropped, counted, and told in the
// place where it is missing.
type Subscription[R any] struct {
	hub   *hub[R]
	orgID string
	wake  chan struct{} // holds a token when there may be something to read

	mu     sync.Mutex    // guards below
	passes func(*R) bool // the filter
	queue  []item[R]
	bound  int // rows that may wait
	closed bool
}

// item is a frame that was not made yet.
type item[R any] struct {
	kind   kind
	number uint64 // of the row; of a gap: the cursor it was resumed with
	row    *R
	count  int64  // rows dropped
	until  uint64 // of a gap: the last row that may be missing
}

type kind int8

const (
	logged kind = iota
	dropped
	gap
)

// Subscribe starts a reader of the organisation's rows from now on, or from
// behind the cursor of an earlier frame. Of the query only the filter counts,
// not its paging.
func (db *DB) Subscribe(orgID string, q LogQuery, cursor string) (*Subscription[row], error) {
	after, err := parseLiveCursor(cursor)
	if err != nil {
		return nil, err
	}
	return db.live.subscribe(orgID, q.filter.match, after)
}

// offer takes the rows that pass the filter, numbered from first on. The hub
// calls it, under its own lock, which comes first.
func (s *Subscription[R]) offer(first uint64, rows []R) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.queue)
	for i := range rows {
		if !s.passes(&rows[i]) {
			continue
		}
		number := first + uint64(i)
		if len(s.queue) < s.bound {
			s.queue = append(s.queue, item[R]{kind: logged, number: number, row: &rows[i]})
			continue
		}
		s.hub.metrics.dropped.Inc()
		if last := &s.queue[len(s.queue)-1]; last.kind == dropped {
			last.count++
			last.number = number
		} else {
			s.queue = append(s.queue, item[R]{kind: dropped, number: number, count: 1})
		}
	}
	if len(s.queue) > before {
		s.notify()
	}
}

func (s *Subscription[R]) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next waits for a frame: a log row, rows dropped, or a gap. It returns ctx's
// error when that ends first (nothing is lost by it) and ErrStreamClosed at the
// end. One goroutine at a time may call it.
func (s *Subscription[R]) Next(ctx context.Context) (*ngfwv1.StreamFrame, error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, ErrStreamClosed
		}
		if len(s.queue) > 0 {
			it := s.queue[0]
			s.queue[0] = item[R]{} // let the row go
			if s.queue = s.queue[1:]; len(s.queue) == 0 {
				s.queue = nil
			}
			s.mu.Unlock()
			return it.frame(s.hub.frame), nil
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// frame makes the frame in the reader's goroutine, not in ingest's.
func (it item[R]) frame(of func(*R) *ngfwv1.StreamFrame) *ngfwv1.StreamFrame {
	switch it.kind {
	case dropped:
		return &ngfwv1.StreamFrame{Type: "dropped", Cursor: liveCursor(it.number), Count: it.count}
	case gap:
		return &ngfwv1.StreamFrame{Type: "gap", Cursor: liveCursor(it.until), From: liveCursor(it.number), To: liveCursor(it.until)}
	}
	f := of(it.row)
	f.Cursor = liveCursor(it.number)
	return f
}

// Close ends the reader; more than once does nothing.
func (s *Subscription[R]) Close() {
	s.hub.remove(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.queue = true, nil
	s.notify()
}
