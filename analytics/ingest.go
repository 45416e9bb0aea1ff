package analytics

import (
	"context"
	"fmt"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Origin says where a batch comes from, as the cloud knows it and never as the
// batch says.
type Origin struct {
	OrgID, DeviceID string
	RetentionDays   int // of the organisation's plan
}

// maxBatch bounds the rows of one batch; it must fit one block.
const maxBatch = 1 << 20

// Store makes the batch durable. It returns nil only when ClickHouse has
// answered that the rows are stored, or when they were already. After an error
// the batch may or may not be stored; handing it over again is always right.
//
// The batches of a device must come in their order, each after the answer to
// the one before. Numbers may be missing (the router dropped them), but what is
// below the last stored number counts as stored.
func (db *DB) Store(ctx context.Context, o Origin, b *ngfwv1.FlowBatch) error {
	if o.OrgID == "" || o.DeviceID == "" || o.RetentionDays < 1 || o.RetentionDays > 3660 {
		return fmt.Errorf("store a batch: incomplete origin %+v", o)
	}
	if b.Epoch == "" || len(b.Epoch) > 128 || b.Number == 0 {
		return fmt.Errorf("store a batch of device %s: epoch %.130q and number %d do not name one", o.DeviceID, b.Epoch, b.Number)
	}
	if len(b.Events) > maxBatch {
		return fmt.Errorf("store batch %d of device %s: %d events, at most %d", b.Number, o.DeviceID, len(b.Events), maxBatch)
	}
	if err := db.down(); err != nil {
		return err
	}
	d, err := db.device(ctx, o.DeviceID)
	if err != nil {
		return err
	}
	if !d.known {
		if err := db.load(ctx, o.DeviceID, d); err != nil {
			d.release()
			return db.explain(err)
		}
	}
	if b.Number <= d.stored[b.Epoch] {
		d.release()
		db.metrics.duplicates.Inc()
		return nil
	}
	s := &stamp{
		orgID: o.OrgID, deviceID: o.DeviceID, epoch: b.Epoch, origin: originOf(o.DeviceID, b.Epoch),
		number: b.Number, retention: uint16(o.RetentionDays),
	}
	batch := decode(s, b, db.now())
	db.report(s, &batch)
	if b.Number > d.shown[b.Epoch] { // not again when the router repeats it
		d.shown[b.Epoch] = b.Number
		db.live.publish(o.OrgID, batch.rows)
	}
	if len(batch.rows) == 0 {
		d.stored[b.Epoch] = b.Number
		d.release()
		return nil
	}
	// From here the device's turn is the writer's: it must not come round
	// before the outcome is known, even if the caller leaves.
	w := &waiting{rows: batch.rows, stamp: s, device: d, done: make(chan error, 1)}
	if err := db.writer.put(ctx, w); err != nil {
		d.release()
		return err
	}
	select {
	case err := <-w.done:
		return db.unstored(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// report counts and logs what was found wrong in a batch.
func (db *DB) report(s *stamp, b *decoded) {
	db.metrics.clamped.Add(float64(b.clamped))
	db.metrics.shifted.Add(float64(b.shifted))
	if len(b.rejected) == 0 {
		return
	}
	n := 0
	for reason, rows := range b.rejected {
		db.metrics.rejected.WithLabelValues(reason).Add(float64(rows))
		n += rows
	}
	db.log.Warn("rows of a batch set aside", "device", s.deviceID, "epoch", s.epoch, "batch", s.number, "rows", n, "reasons", b.reasons())
}
