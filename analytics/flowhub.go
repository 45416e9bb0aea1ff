package analytics

import (
	"time"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func newFlowHub(cfg Config, now func() time.Time, m *metrics, entry func(*row) *ngfwv1.LogEntry) *hub[row] {
	return newHub(cfg.LiveRows, cfg.LiveBuffer, now, m, flowWeight, func(r *row) *ngfwv1.StreamFrame {
		return &ngfwv1.StreamFrame{Type: "log", Data: entry(r)}
	})
}

// flowWeight is what rows count of those that are kept: one each, and more where a
// router sends long names, since memory is what is bounded.
func flowWeight(rows []row) int {
	names := 0
	for i := range rows {
		r := &rows[i]
		names += len(r.words) + len(r.hostname) + len(r.app) + len(r.ruleName) + len(r.reason) + len(r.geo) + len(r.threat) +
			len(r.interfaceIn) + len(r.interfaceOut) + len(r.zoneFrom) + len(r.zoneTo)
	}
	return max(len(rows), names/namesPerRow)
}

// namesPerRow is how many bytes of names a row may have: a usual one has half.
const namesPerRow = 256
