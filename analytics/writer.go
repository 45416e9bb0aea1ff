package analytics

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/semaphore"

	"ngfw.sh/internal/fault"
)

// writer puts waiting batches of many devices into few inserts: while inserts
// run, what arrives waits, and the next insert takes all of it that belongs
// into one partition. A lone batch does not wait at all.
//
// An insert is one block into one partition, so one part: all its batches are
// stored or none is.
type writer struct {
	db    *DB
	space *semaphore.Weighted // rows that may wait

	mu      sync.Mutex // guards below
	queue   []*waiting
	wake    *sync.Cond
	stopped bool
}

// waiting are batches of a device between it and a table. The stamp is that of
// the last; all go into one partition.
type waiting struct {
	*stamp
	table   *table
	batches []any // a slice of the table's rows each
	rows    int   // in all of them
	device  *device
	done    chan error // buffered: nobody may listen any more
}

func newWriter(db *DB) *writer {
	w := &writer{db: db, space: semaphore.NewWeighted(int64(db.cfg.QueuedRows))}
	w.wake = sync.NewCond(&w.mu)
	return w
}

// weight is what a batch takes of the space: never more than there is.
func (w *writer) weight(b *waiting) int64 { return int64(min(b.rows, w.db.cfg.QueuedRows)) }

var errStopping = fault.New(fault.Unavailable, "the service is stopping")

// put queues a batch; it waits for space, and so slows routers down instead of
// growing memory.
func (w *writer) put(ctx context.Context, b *waiting) error {
	if err := w.space.Acquire(ctx, w.weight(b)); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		w.space.Release(w.weight(b))
		return errStopping
	}
	w.queue = append(w.queue, b)
	w.wake.Signal()
	return nil
}

// run inserts until ctx ends; it returns when every batch has its answer.
func (w *writer) run(ctx context.Context) {
	unhook := context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.stopped = true
		w.wake.Broadcast()
	})
	defer unhook()
	// Not ctx: what was taken is brought to its end, unless the engine hangs.
	inserting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })()
	var wg sync.WaitGroup
	for range w.db.cfg.Inserts {
		wg.Go(func() {
			for group := w.take(); group != nil; group = w.take() {
				w.settle(group, w.insert(inserting, group))
			}
		})
	}
	wg.Wait()
}

// stopGrace is how long inserts may take after the end was called for.
const stopGrace = 10 * time.Second

// take waits for work and removes what goes into the next insert; nil when
// there will be none.
func (w *writer) take() []*waiting {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 {
		if w.stopped {
			return nil
		}
		w.wake.Wait()
	}
	first, rows := w.queue[0], 0
	var group []*waiting
	rest := w.queue[:0:0]
	for _, b := range w.queue {
		fits := rows == 0 || rows+b.rows <= w.db.cfg.InsertRows
		if b.table == first.table && b.retention == first.retention && b.day == first.day && fits {
			group = append(group, b)
			rows += b.rows
		} else {
			rest = append(rest, b)
		}
	}
	w.queue = rest
	if len(rest) > 0 {
		w.wake.Signal() // for another worker
	}
	return group
}

// insert stores the group as one block.
//
// There is no deduplication token, on purpose. The engine writes a token down
// before the part it stands for, so after a crash between the two a repetition
// would be taken for stored and lost. What is stored is asked from the table.
func (w *writer) insert(ctx context.Context, group []*waiting) (err error) {
	begun := time.Now()
	t := group[0].table
	var batches []any
	rows := 0
	for _, b := range group {
		batches = append(batches, b.batches...)
		rows += b.rows
	}
	stored := w.db.storing(batches)
	defer func() { stored(err) }()
	id := rand.Text()
	ctx = clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(t.namesAndTypes()), clickhouse.WithQueryID(id))
	b, err := w.db.conn.PrepareBatch(ctx, t.insert())
	if err != nil {
		return err
	}
	defer b.Close()
	for i, c := range t.columns {
		if err := b.Column(i).Append(c.values(batches)); err != nil {
			return fmt.Errorf("column %s: %w", c.name, err)
		}
	}
	if err := b.Send(); err != nil {
		w.db.awaitEnd(ctx, id, err)
		return err
	}
	w.db.metrics.inserted(t, len(batches), rows, time.Since(begun))
	for _, b := range group {
		w.db.metrics.lagSeconds.Observe(max(0, w.db.now().Sub(time.UnixMicro(b.newest)).Seconds()))
	}
	return nil
}

// settle tells the batches of a group their outcome and lets their devices on.
func (w *writer) settle(group []*waiting, err error) {
	if err != nil {
		w.db.metrics.insertErrors.Inc()
		w.db.log.Error("rows not stored", "table", group[0].table.name, "batches", len(group), "error", brief(err))
	}
	for _, b := range group {
		if err == nil {
			b.device.stored[b.epoch] = b.number
		} else {
			b.device.known = false // the rows may be there all the same
		}
		b.device.release()
		b.done <- err
		w.space.Release(w.weight(b))
	}
}
