package analytics

import (
	"context"
	"maps"
	"strings"
	"sync"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// device is what ingest knows of a router: which batches are stored.
type device struct {
	turn chan struct{} // holds one token: whoever takes it owns the rest

	known  bool              // stored is that of the table
	stored map[string]uint64 // epoch → number of the last stored batch

	mu    sync.Mutex        // guards below, and the order on the live stream
	shown map[string]uint64 // epoch → number of the last batch there
}

// device waits for the turn of the device; give it back with release.
func (db *DB) device(ctx context.Context, id string) (*device, error) {
	d := db.deviceOf(id)
	select {
	case <-d.turn:
		return d, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// deviceOf is the device without its turn.
func (db *DB) deviceOf(id string) *device {
	v, ok := db.devices.Load(id)
	if !ok {
		fresh := &device{turn: make(chan struct{}, 1), stored: map[string]uint64{}, shown: map[string]uint64{}}
		fresh.turn <- struct{}{}
		v, _ = db.devices.LoadOrStore(id, fresh)
	}
	return v.(*device)
}

// show puts a batch on the live stream, not again when the router repeats it.
func (d *device) show(b *ngfwv1.FlowBatch, show func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.Number > d.shown[b.Epoch] {
		d.shown[b.Epoch] = b.Number
		show()
	}
}

// mostShown bounds the epochs that are remembered as shown and are not stored. A
// router has a handful.
const mostShown = 4096

// forget drops of what was shown what is stored, and all of it where a router makes up
// ever new epochs: a repeated batch would then be shown again.
func (d *device) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.shown, func(epoch string, number uint64) bool { return number <= d.stored[epoch] })
	if len(d.shown) > mostShown {
		clear(d.shown)
	}
}

func (d *device) release() { d.turn <- struct{}{} }

// load reads from the table what is stored of the device.
func (db *DB) load(ctx context.Context, id string, d *device) error {
	if err := db.awaitInserts(ctx); err != nil {
		return err
	}
	// A device's batches are stored in their order, so the highest number of any
	// table is where it stands. No organisation here: a device's id is unique, and
	// projections answer this from a handful of rows.
	var each []string
	for _, t := range tables {
		each = append(each, "SELECT epoch, max(batch) FROM "+db.stored(t)+" WHERE device_id = {device:String} GROUP BY epoch")
	}
	rows, err := db.conn.Query(ctx, strings.Join(each, "\nUNION ALL "), named("device", id))
	if err != nil {
		return err
	}
	defer rows.Close()
	stored := map[string]uint64{}
	for rows.Next() {
		var epoch string
		var number uint64
		if err := rows.Scan(&epoch, &number); err != nil {
			return err
		}
		stored[epoch] = max(stored[epoch], number)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	d.stored, d.known = stored, true
	d.forget()
	return nil
}

// Positions gives the number of the last stored batch of each spool epoch, as
// the table has it: true also after a crash between an insert and its answer.
// An epoch without rows is absent.
func (db *DB) Positions(ctx context.Context, deviceID string) (map[string]uint64, error) {
	if err := db.down(); err != nil {
		return nil, err
	}
	d, err := db.device(ctx, deviceID)
	if err != nil {
		return nil, err
	}
	defer d.release()
	defer db.metrics.query("positions", db.now())
	if err := db.load(ctx, deviceID, d); err != nil {
		return nil, db.explain(err)
	}
	return maps.Clone(d.stored), nil
}
