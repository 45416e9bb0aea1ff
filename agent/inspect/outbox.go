package inspect

import (
	"context"
	"sync"
	"time"

	"ngfw.sh/dataplane/flow"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	flushInterval = 100 * time.Millisecond
	maxWaiting    = 4096 // alerts between two flushes; more are counted
	patience      = 20   // flushes that an alert waits for its flow's number
)

// outbox gathers alerts, and hands them over in batches with the numbers of their flows.
type outbox struct {
	deps    Deps
	metrics *metrics

	mu      sync.Mutex // guards waiting
	waiting []waiting
}

// waiting is an alert between two flushes.
type waiting struct {
	event   *ngfwv1.AlertEvent
	flow    flow.Tuple // zero: of none
	flushes int        // that it has waited for its flow's number
}

// add has an alert wait for the next flush.
func (o *outbox) add(e *ngfwv1.AlertEvent, t flow.Tuple) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) >= maxWaiting {
		o.metrics.lost.Inc()
		return
	}
	o.waiting = append(o.waiting, waiting{event: e, flow: t})
}

// run hands alerts over in batches.
func (o *outbox) run(ctx context.Context) {
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			o.flush(patience)
		}
	}
}

// flush hands over what has its flow's number, or has none to wait for. The row that
// gives the number comes by another way, often a moment after the alert.
func (o *outbox) flush(patience int) {
	o.mu.Lock()
	var out []*ngfwv1.AlertEvent
	keep := o.waiting[:0]
	for _, w := range o.waiting {
		id, ok := o.deps.Facts.FlowID(w.flow)
		if w.flushes++; !ok && w.flow != (flow.Tuple{}) && w.flushes <= patience {
			keep = append(keep, w)
			continue
		}
		w.event.FlowId = id
		out = append(out, w.event)
	}
	clear(o.waiting[len(keep):])
	o.waiting = keep
	o.mu.Unlock()
	if len(out) == 0 {
		return
	}
	if err := o.deps.Alerts(out); err != nil {
		o.metrics.lost.Add(float64(len(out)))
		o.deps.Log.Error("alerts are lost", "alerts", len(out), "err", err)
	}
}
