package analytics

import (
	"maps"
	"slices"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// prepared is a batch of any kind on its way into its table.
type prepared struct {
	table *table
	block any // the rows: a slice of the table's kind
	rows  int
	show  func() // offers them to readers of the live stream
	wrong wrongs
}

// wrongs is what was found wrong in a batch.
type wrongs struct {
	rejected         map[string]int // reason → rows set aside
	clamped, shifted int
}

func (db *DB) prepare(s *stamp, b *ngfwv1.FlowBatch) prepared {
	switch now := db.now(); {
	case len(b.Alerts) > 0:
		return prepare(&alerts, db.liveAlerts, s, decodeAll(s, slices.Values(b.Alerts), len(b.Alerts), now, func(a *alert) *key { return &a.key }, (*alert).decode))
	case len(b.Queries) > 0:
		return prepare(&queries, nil, s, decodeAll(s, slices.Values(b.Queries), len(b.Queries), now, func(q *query) *key { return &q.key }, (*query).decode))
	default:
		d := decode(s, b, now)
		db.locate(d.rows)
		return prepare(&flows, db.live, s, d)
	}
}

func prepare[R any](t *table, live *hub[R], s *stamp, d decoded[R]) prepared {
	return prepared{t, d.rows, len(d.rows), func() {
		if live != nil {
			live.publish(s.orgID, d.rows)
		}
	}, wrongs{d.rejected, d.clamped, d.shifted}}
}

// report counts and logs what was found wrong in a batch.
func (db *DB) report(s *stamp, w wrongs) {
	db.metrics.clamped.Add(float64(w.clamped))
	db.metrics.shifted.Add(float64(w.shifted))
	if len(w.rejected) == 0 {
		return
	}
	n := 0
	for reason, rows := range w.rejected {
		db.metrics.rejected.WithLabelValues(reason).Add(float64(rows))
		n += rows
	}
	db.log.Warn("rows of a batch set aside", "device", s.deviceID, "epoch", s.epoch, "batch", s.number, "rows", n,
		"reasons", slices.Sorted(maps.Keys(w.rejected)))
}
