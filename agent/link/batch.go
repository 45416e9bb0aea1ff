package link

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// stream sends the spool's batches, from where the cloud says that it stands.
func (s *session) stream(ctx context.Context) error {
	spool := s.c.deps.Spool
	select {
	case p := <-s.position:
		for _, e := range p.Epochs {
			spool.Forget(e.Epoch, e.Stored)
		}
		s.window.narrow(int(p.WindowBatches), int(min(p.WindowBytes, 1<<30)))
	case <-ctx.Done():
		return ctx.Err()
	}
	r := spool.Reader()
	defer r.Close()
	for {
		b, err := r.Next(ctx)
		if err != nil {
			return err
		}
		f := flight{epoch: b.Epoch, number: b.Number, bytes: proto.Size(b.FlowBatch), written: b.Written}
		if err := s.window.add(ctx, f); err != nil {
			return err
		}
		select {
		case s.batches <- &ngfwv1.AgentMessage{Id: uuid.NewString(), Payload: &ngfwv1.AgentMessage_FlowBatch{FlowBatch: b.FlowBatch}}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// acknowledge settles what this connection has sent; a number beyond that
// settles nothing more.
func (s *session) acknowledge(a *ngfwv1.BatchAck) {
	now := s.c.deps.Now()
	var highest uint64
	for _, f := range s.window.settle(a.Epoch, a.Number) {
		highest = max(highest, f.number)
		s.c.metrics.acked.Inc()
		s.c.metrics.lag.Observe(max(0, now.Sub(f.written).Seconds()))
	}
	if highest > 0 {
		s.c.deps.Spool.Acknowledge(a.Epoch, highest)
	}
}

// flight is a batch that is sent and not acknowledged.
type flight struct {
	epoch   string
	number  uint64
	bytes   int
	written time.Time
}

// window bounds the batches in flight.
type window struct {
	mu       sync.Mutex
	batches  int
	maxBytes int
	flights  []flight
	bytes    int
	freed    chan struct{} // holds a token after something was settled
}

func newWindow(batches, bytes int) *window {
	return &window{batches: batches, maxBytes: bytes, freed: make(chan struct{}, 1)}
}

// narrow takes the cloud's bounds where they are tighter; 0 is none.
func (w *window) narrow(batches, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if batches > 0 {
		w.batches = min(w.batches, batches)
	}
	if bytes > 0 {
		w.maxBytes = min(w.maxBytes, bytes)
	}
}

// add waits for room; a batch larger than the window goes alone.
func (w *window) add(ctx context.Context, f flight) error {
	for {
		w.mu.Lock()
		if len(w.flights) == 0 || len(w.flights) < w.batches && w.bytes+f.bytes <= w.maxBytes {
			w.flights = append(w.flights, f)
			w.bytes += f.bytes
			w.mu.Unlock()
			return nil
		}
		w.mu.Unlock()
		select {
		case <-w.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settle removes and returns what an acknowledgement covers.
func (w *window) settle(epoch string, number uint64) []flight {
	w.mu.Lock()
	defer w.mu.Unlock()
	var settled []flight
	kept := w.flights[:0]
	for _, f := range w.flights {
		if f.epoch == epoch && f.number <= number {
			settled = append(settled, f)
			w.bytes -= f.bytes
		} else {
			kept = append(kept, f)
		}
	}
	w.flights = kept
	if len(settled) > 0 {
		select {
		case w.freed <- struct{}{}:
		default:
		}
	}
	return settled
}
