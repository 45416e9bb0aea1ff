package analytics

import (
	"context"
	"fmt"

	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/flowbatch"
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

// Store is StoreAll for one batch.
func (db *DB) Store(ctx context.Context, o Origin, b *ngfwv1.FlowBatch) error {
	_, err := db.StoreAll(ctx, o, []*ngfwv1.FlowBatch{b})
	return err
}

// StoreAll makes a device's batches durable, in their order, and says how many
// of them are: ClickHouse has answered that their rows are stored, or they were
// stored already. After an error the first of the others may or may not be
// stored; handing it over again is always right.
//
// The batches of a device must come in their order, each call after the answer
// to the one before. Numbers may be missing (the router dropped them), but what
// is below the last stored number counts as stored.
func (db *DB) StoreAll(ctx context.Context, o Origin, batches []*ngfwv1.FlowBatch) (stored int, err error) {
	if o.OrgID == "" || o.DeviceID == "" || o.RetentionDays < 1 || o.RetentionDays > 3660 {
		return 0, fmt.Errorf("store a batch: incomplete origin %+v", o)
	}
	for stored < len(batches) {
		n, err := db.storeSome(ctx, o, batches[stored:])
		if err != nil {
			return stored, err
		}
		stored += n
	}
	return stored, nil
}

// Show puts a device's batch on the live stream at once, where Store would only
// when the batches before it are stored. It is for one that is not stored, and
// that Store gets next of those that were not shown. Without readers it does
// nothing: Store shows what was not.
func (db *DB) Show(o Origin, b *ngfwv1.FlowBatch) {
	read := db.live.read
	if len(b.Alerts) > 0 {
		read = db.liveAlerts.read
	}
	if !read(o.OrgID) || len(b.Queries) > 0 || checkBatch(o, b) != nil || flowbatch.Rows(b) == 0 {
		return
	}
	db.deviceOf(o.DeviceID).show(b, db.prepare(db.stampOf(o, b), b).show)
}

// stampOf is what the rows of a batch have in common, but for what prepare sets.
func (db *DB) stampOf(o Origin, b *ngfwv1.FlowBatch) *stamp {
	return &stamp{
		orgID: o.OrgID, deviceID: o.DeviceID, epoch: b.Epoch, origin: originOf(o.DeviceID, b.Epoch),
		number: b.Number, retention: uint16(o.RetentionDays),
	}
}

func checkBatch(o Origin, b *ngfwv1.FlowBatch) error {
	if b.Epoch == "" || len(b.Epoch) > 128 || b.Number == 0 {
		return fmt.Errorf("store a batch of device %s: epoch %.130q and number %d do not name one", o.DeviceID, b.Epoch, b.Number)
	}
	kinds := 0
	for _, rows := range []int{flowbatch.Flows(b), len(b.Alerts), len(b.Queries)} {
		if rows > maxBatch {
			return fmt.Errorf("store batch %d of device %s: %d rows, at most %d", b.Number, o.DeviceID, rows, maxBatch)
		}
		if rows > 0 {
			kinds++
		}
	}
	if kinds > 1 { // no insert is whole over two tables
		return fault.New(fault.BadRequest, "batch %d holds rows of %d kinds: one is taken", b.Number, kinds)
	}
	return nil
}

// storeSome stores the first of the batches, and with it those after it that
// belong into the same insert: of one spool, one table and one partition.
func (db *DB) storeSome(ctx context.Context, o Origin, batches []*ngfwv1.FlowBatch) (n int, err error) {
	if err := checkBatch(o, batches[0]); err != nil {
		return 0, err
	}
	if err := db.down(); err != nil {
		return 0, err
	}
	d, err := db.device(ctx, o.DeviceID)
	if err != nil {
		return 0, err
	}
	if !d.known {
		if err := db.load(ctx, o.DeviceID, d); err != nil {
			d.release()
			return 0, db.explain(err)
		}
	}
	var w *waiting
	epoch, last := batches[0].Epoch, uint64(0)
	for _, b := range batches {
		if b.Epoch != epoch || checkBatch(o, b) != nil {
			break
		}
		if b.Number <= max(d.stored[epoch], last) {
			db.metrics.duplicates.Inc()
			n++
			continue
		}
		s := db.stampOf(o, b)
		batch := db.prepare(s, b)
		if w != nil && batch.rows > 0 && (batch.table != w.table || s.day != w.day || w.rows+batch.rows > db.cfg.InsertRows) {
			break
		}
		db.report(s, batch.wrong)
		d.show(b, batch.show)
		n, last = n+1, b.Number
		switch {
		case batch.rows == 0 && w == nil:
			d.stored[epoch] = b.Number
		case batch.rows == 0: // stored with the rows before it
		case w == nil:
			w = &waiting{table: batch.table, batches: []any{batch.block}, rows: batch.rows, stamp: s, device: d, done: make(chan error, 1)}
		default:
			// The position that the table tells is that of the rows, so the last
			// batch with rows names the insert.
			w.batches, w.rows, w.stamp = append(w.batches, batch.block), w.rows+batch.rows, s
		}
	}
	if w == nil {
		d.release()
		return n, nil
	}
	// From here the device's turn is the writer's: it must not come round
	// before the outcome is known, even if the caller leaves.
	if err := db.writer.put(ctx, w); err != nil {
		d.release()
		return 0, err
	}
	select {
	case err := <-w.done:
		if err != nil {
			return 0, db.unstored(err)
		}
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
