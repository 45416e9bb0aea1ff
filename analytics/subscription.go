package analytics

import (
	"context"
	"errors"
	"slices"
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
	text   *written // of the row
	count  int64    // rows dropped
	until  uint64   // of a gap: the last row that may be missing
}

// written is a row's JSON form: made when the first reader wants it, for all of
// them. It lives as long as a reader has the row before it.
type written struct {
	once sync.Once
	json []byte
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

// offer takes the rows that pass the filter, numbered from first on; texts are
// those of the rows, made here where a row passes. The hub calls it, under its
// own lock, which comes first.
func (s *Subscription[R]) offer(first uint64, rows []R, texts []*written) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.queue)
	for i := range rows {
		if !s.passes(&rows[i]) {
			continue
		}
		number := first + uint64(i)
		if len(s.queue) < s.bound {
			if texts[i] == nil {
				texts[i] = &written{}
			}
			s.queue = append(s.queue, item[R]{kind: logged, number: number, row: &rows[i], text: texts[i]})
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
// end. One goroutine at a time may call it or Bundle.
func (s *Subscription[R]) Next(ctx context.Context) (*ngfwv1.StreamFrame, error) {
	items, err := s.take(ctx, 1)
	if err != nil {
		return nil, err
	}
	return items[0].frame(s.hub.frame), nil
}

// bundled bounds the frames of a bundle, and the bytes of their rows, as what a
// stream may have in flight is bounded.
const (
	bundledFrames = 128
	bundledBytes  = 32 << 10
)

// Bundle is Next for all frames that wait, up to a bound, as one frame. Rows are
// in them as text where Deps.JSON writes it.
func (s *Subscription[R]) Bundle(ctx context.Context) (*ngfwv1.StreamFrame, error) {
	items, err := s.take(ctx, bundledFrames)
	if err != nil {
		return nil, err
	}
	out := &ngfwv1.StreamFrame{Type: "bundle", Bundle: make([]*ngfwv1.StreamFrame, 0, len(items))}
	bytes := 0
	for i, it := range items {
		if bytes > bundledBytes {
			s.putBack(items[i:])
			break
		}
		if it.kind != logged || s.hub.json == nil {
			out.Bundle = append(out.Bundle, it.frame(s.hub.frame))
			continue
		}
		it.text.once.Do(func() { it.text.json = s.hub.json(it.row) })
		bytes += len(it.text.json)
		out.Bundle = append(out.Bundle, &ngfwv1.StreamFrame{Type: s.hub.name, Cursor: liveCursor(it.number), Json: it.text.json})
	}
	return out, nil
}

// take waits for items and removes at most so many from the queue.
func (s *Subscription[R]) take(ctx context.Context, most int) ([]item[R], error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, ErrStreamClosed
		}
		if n := min(len(s.queue), most); n > 0 {
			out := slices.Clone(s.queue[:n])
			clear(s.queue[:n]) // let the rows go
			if s.queue = s.queue[n:]; len(s.queue) == 0 {
				s.queue = nil
			}
			s.mu.Unlock()
			return out, nil
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// putBack returns what was taken too much.
func (s *Subscription[R]) putBack(items []item[R]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.queue = append(items, s.queue...)
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
