package devicelink

import (
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/internal/backoff"
	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/flowbatch"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// spoolState takes the message that opens the flow of batches.
func (ss *session) spoolState(m *ngfwv1.AgentMessage) {
	epochs := m.GetSpoolState().Epochs
	if len(epochs) > ss.server.cfg.MaxEpochs {
		ss.cancel(tooMuch("%d spool epochs, at most %d are taken", len(epochs), ss.server.cfg.MaxEpochs))
		return
	}
	for _, e := range epochs {
		if _, err := ulid.ParseStrict(e.Epoch); err != nil {
			ss.fail(m.Id, "BAD_REQUEST", "an epoch of the spool is no ULID")
			return
		}
	}
	select {
	case ss.spool <- m:
	default:
		ss.fail(m.Id, "BAD_REQUEST", "the spool's state was already given")
	}
}

// batch queues a flow batch; it waits when the router has sent more than its
// window.
func (ss *session) batch(id string, b *ngfwv1.FlowBatch) {
	cfg := ss.server.cfg
	size := proto.Size(b)
	_, err := ulid.ParseStrict(b.Epoch)
	switch {
	case !ss.positioned.Load():
		ss.fail(id, "BAD_REQUEST", "a batch before the spool position")
	case err != nil || b.Number == 0:
		ss.fail(id, "BAD_REQUEST", "a batch needs an epoch (ULID) and a number from 1")
	case size > cfg.MaxBatch || flowbatch.Rows(b) > cfg.MaxEvents:
		ss.fail(id, "PAYLOAD_TOO_LARGE", "the batch is too large")
	case ss.queueSlots.Acquire(ss.ctx, 1) == nil && ss.queueBytes.Acquire(ss.ctx, int64(size)) == nil:
		if b.Number > ss.stored[b.Epoch] {
			ss.server.deps.Ingest.Show(ss.device.OrgID, ss.device.ID, ss.device.Plan, b)
		}
		select {
		case ss.queue <- b:
		case <-ss.ctx.Done():
		}
	}
}

// store brings batches into Ingest, in order, and acknowledges them.
func (ss *session) store() {
	if ss.predecessor != nil { // it may be storing the very batch that this router is about to repeat
		select {
		case <-ss.predecessor:
		case <-ss.ctx.Done():
			return
		}
	}
	var state *ngfwv1.AgentMessage
	select {
	case state = <-ss.spool:
	case <-ss.ctx.Done():
		return
	}
	stored, ok := ss.positions()
	if !ok {
		return
	}
	cfg := ss.server.cfg
	position := &ngfwv1.SpoolPosition{WindowBatches: uint32(cfg.WindowBatches), WindowBytes: uint64(cfg.WindowBytes)}
	here := map[string]uint64{} // of the epochs that this router has
	for _, e := range state.GetSpoolState().Epochs {
		here[e.Epoch] = stored[e.Epoch]
		position.Epochs = append(position.Epochs, &ngfwv1.SpoolPosition_Epoch{Epoch: e.Epoch, Stored: stored[e.Epoch]})
	}
	ss.stored = stored
	ss.positioned.Store(true)
	if !ss.post(&ngfwv1.CloudMessage{Id: state.Id, Payload: &ngfwv1.CloudMessage_SpoolPosition{SpoolPosition: position}}) {
		return
	}
	for {
		select {
		case b := <-ss.queue:
			batches := ss.queued(b)
			size := int64(0)
			var fresh []*ngfwv1.FlowBatch
			for _, b := range batches {
				size += int64(proto.Size(b))
				if _, known := here[b.Epoch]; !known {
					if len(here) >= cfg.MaxEpochs {
						ss.cancel(tooMuch("more than %d spool epochs", cfg.MaxEpochs))
						return
					}
					here[b.Epoch] = stored[b.Epoch]
				}
				if b.Number <= here[b.Epoch] {
					ss.server.metrics.batches.WithLabelValues("duplicate").Inc()
					continue
				}
				here[b.Epoch] = b.Number
				fresh = append(fresh, b)
			}
			if !ss.storeAll(fresh) {
				return
			}
			ss.queueBytes.Release(size)
			ss.queueSlots.Release(int64(len(batches)))
			for i, b := range batches { // one answer for all of an epoch
				if i+1 == len(batches) || batches[i+1].Epoch != b.Epoch {
					ss.post(&ngfwv1.CloudMessage{Id: state.Id, Payload: &ngfwv1.CloudMessage_BatchAck{BatchAck: &ngfwv1.BatchAck{Epoch: b.Epoch, Number: here[b.Epoch]}}})
				}
			}
		case <-ss.ctx.Done():
			return
		}
	}
}

func (ss *session) positions() (map[string]uint64, bool) {
	retry := backoff.Backoff{Min: ss.server.cfg.RetryMin, Max: ss.server.cfg.RetryMax}
	for {
		stored, err := ss.server.deps.Ingest.Positions(ss.ctx, ss.device.ID)
		if err == nil {
			return stored, true
		}
		if ss.ctx.Err() != nil {
			return nil, false
		}
		ss.log.Error("what is stored of a router is not known, its batches wait", "error", err)
		if !ss.wait(retry.Next()) {
			return nil, false
		}
	}
}

// queued are a batch and those that wait behind it: a router that catches up is
// stored in few large inserts.
func (ss *session) queued(b *ngfwv1.FlowBatch) []*ngfwv1.FlowBatch {
	out := []*ngfwv1.FlowBatch{b}
	for {
		select {
		case b := <-ss.queue:
			out = append(out, b)
		default:
			return out
		}
	}
}

// storeAll tries until the batches are stored; false when the connection is
// over. A batch that can never be stored is refused and acknowledged: it would
// block all that follow.
func (ss *session) storeAll(batches []*ngfwv1.FlowBatch) bool {
	m := ss.server.metrics
	retry := backoff.Backoff{Min: ss.server.cfg.RetryMin, Max: ss.server.cfg.RetryMax}
	for len(batches) > 0 {
		begun := time.Now()
		n, err := ss.server.deps.Ingest.Store(ss.ctx, ss.device.OrgID, ss.device.ID, ss.device.Plan, batches)
		m.store.Observe(time.Since(begun).Seconds())
		for _, b := range batches[:n] {
			m.batches.WithLabelValues("stored").Inc()
			m.rows.Add(float64(flowbatch.Rows(b)))
		}
		if n > 0 {
			retry.Reset()
		}
		batches = batches[n:]
		switch {
		case err == nil || len(batches) == 0:
			continue
		case fault.Is(err, fault.BadRequest), fault.Is(err, fault.InvalidConfig):
			b := batches[0]
			batches = batches[1:]
			m.batches.WithLabelValues("refused").Inc()
			ss.log.Error("batch can never be stored, it is lost", "epoch", b.Epoch, "number", b.Number, "rows", flowbatch.Rows(b), "error", err)
			ss.fail("", "BAD_REQUEST", "a batch could not be understood and was dropped")
			continue
		case ss.ctx.Err() != nil:
			return false
		}
		m.batches.WithLabelValues("retried").Inc()
		ss.log.Warn("batch not stored, trying again", "epoch", batches[0].Epoch, "number", batches[0].Number, "error", err)
		if !ss.wait(retry.Next()) {
			return false
		}
	}
	return true
}
