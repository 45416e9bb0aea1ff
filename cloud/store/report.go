package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Report is what a router last told, as package system encodes it.
type Report struct {
	DeviceID     string
	LastSeen     int64
	StatusAt     int64
	MetricsAt    int64
	AgentVersion string
	Firmware     string
	Status       []byte
	Hardware     []byte
	Metrics      []byte
	Counters     []byte // JSON
	Config       []byte // JSON
	History      []byte // JSON; nil in a write: as it is stored
}

// Report reads a device's last report.
func (s *Store) Report(ctx context.Context, deviceID string) (Report, error) {
	r := Report{DeviceID: deviceID}
	err := s.db.QueryRowContext(ctx, `SELECT last_seen, status_at, metrics_at, agent_version, firmware, status, hardware, metrics, counters, config, history
		FROM device_reports WHERE device_id = ?`, deviceID).
		Scan(&r.LastSeen, &r.StatusAt, &r.MetricsAt, &r.AgentVersion, &r.Firmware, &r.Status, &r.Hardware, &r.Metrics, &r.Counters, &r.Config, &r.History)
	return r, oneRow(err)
}

// PutReports stores the reports in one transaction. Those of devices that were
// removed meanwhile are passed over.
func (s *Store) PutReports(ctx context.Context, reports []Report) error {
	return s.tx(ctx, func(t *sql.Tx) error {
		for _, r := range reports {
			_, err := t.ExecContext(ctx, `INSERT INTO device_reports
				(device_id, last_seen, status_at, metrics_at, agent_version, firmware, status, hardware, metrics, counters, config, history)
				SELECT ?,?,?,?,?,?,?,?,?,?,?,? WHERE EXISTS (SELECT 1 FROM devices WHERE id = ?)
				ON CONFLICT (device_id) DO UPDATE SET last_seen=excluded.last_seen, status_at=excluded.status_at,
				metrics_at=excluded.metrics_at, agent_version=excluded.agent_version, firmware=excluded.firmware,
				status=excluded.status, hardware=excluded.hardware, metrics=excluded.metrics,
				counters=excluded.counters, config=excluded.config,
				history=coalesce(excluded.history, device_reports.history)`,
				r.DeviceID, r.LastSeen, r.StatusAt, r.MetricsAt, r.AgentVersion, r.Firmware, r.Status, r.Hardware, r.Metrics,
				string(r.Counters), string(r.Config), r.History, r.DeviceID)
			if err != nil {
				return fmt.Errorf("store report of %s: %w", r.DeviceID, err)
			}
		}
		return nil
	})
}
