package nfqueue

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// TestEndBeforeTheFirstPacket: a queue ends at whatever moment it is told to, also before it
// has read anything.
func TestEndBeforeTheFirstPacket(t *testing.T) {
	l := labtest.New(t)
	for i := range 30 {
		ctx, cancel := context.WithCancel(context.Background())
		if i < 10 {
			cancel()
		}
		q := New(DefaultConfig(7), slog.New(slog.DiscardHandler))
		ended := make(chan error, 1)
		go l.In(lab.RTR, func() { ended <- q.Run(ctx, &inspector{}) })
		for i >= 20 && !q.Bound() && len(ended) == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("run %d ended with %v", i, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("run %d does not end", i)
		}
	}
}

// TestReplacedBulk: whole GSO packets that are replaced do not fit into one send by the burst.
func TestReplacedBulk(t *testing.T) {
	l := labtest.New(t, labtest.Forward(), labtest.Servers())
	forwardTo(t, l, 8, false)
	var largest atomic.Int64
	q := New(DefaultConfig(8), slog.New(slog.DiscardHandler))
	stop := run(t, l, q, &inspector{judge: func(p *Packet) Verdict {
		largest.Store(max(largest.Load(), int64(len(p.Data))))
		// Slow, so that bursts form.
		time.Sleep(100 * time.Microsecond)
		return Verdict{Mark: p.Mark, Data: slices.Clone(p.Data)}
	}})
	if err := fetch(l, 20_000_000); err != nil {
		t.Error(err)
	}
	l.In(lab.RTR, func() { t.Logf("%+v, largest %d", q.Stats(), largest.Load()) })
	stop()
}
