package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// Device is a registered router.
type Device struct {
	ID        string
	OrgID     string
	Name      string
	Model     string
	Tags      []string
	Location  *string
	Notes     *string
	Mode      string
	TimeZone  string
	CreatedAt int64
}

// LimitError is a write refused because the organisation has enough of
// something already.
type LimitError struct{ Limit, Current int }

func (e *LimitError) Error() string {
	return fmt.Sprintf("limit of %d reached (%d in use)", e.Limit, e.Current)
}

// NewDevice is a device to be registered with the configuration it starts with.
type NewDevice struct {
	Device   Device
	KeyHash  []byte
	Limit    int // devices that the organisation may have; negative: any number
	Sections []FactorySection
	Audit    AuditEntry
}

// FactorySection is a section as a new device has it.
type FactorySection struct {
	Name     string
	Document []byte
	IDs      map[string]int64 // kind → last id used in the document
}

const deviceColumns = "d.id, d.org_id, d.name, d.model, d.tags, d.location, d.notes, d.mode, d.time_zone, d.created_at"

func (d *Device) scan(row interface{ Scan(...any) error }, more ...any) error {
	var tags string
	if err := row.Scan(append([]any{&d.ID, &d.OrgID, &d.Name, &d.Model, &tags, &d.Location, &d.Notes, &d.Mode, &d.TimeZone, &d.CreatedAt}, more...)...); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(tags), &d.Tags); err != nil {
		return fmt.Errorf("tags of %s: %w", d.ID, err)
	}
	return nil
}

// CreateDevice registers a device. The count against the limit, the device, its
// first configuration and the audit entry are one transaction.
func (s *Store) CreateDevice(ctx context.Context, n NewDevice) error {
	tags, err := encodeTags(n.Device.Tags)
	if err != nil {
		return err
	}
	d := n.Device
	return s.tx(ctx, func(t *sql.Tx) error {
		var have int
		if err := t.QueryRowContext(ctx, "SELECT count(*) FROM devices WHERE org_id = ?", d.OrgID).Scan(&have); err != nil {
			return fmt.Errorf("count devices: %w", err)
		}
		if n.Limit >= 0 && have >= n.Limit {
			return &LimitError{Limit: n.Limit, Current: have}
		}
		_, err := t.ExecContext(ctx, `INSERT INTO devices
			(id, org_id, name, model, tags, location, notes, mode, time_zone, key_hash, created_at)
			VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
			d.ID, d.OrgID, d.Name, d.Model, tags, d.Location, d.Notes, d.Mode, d.TimeZone, n.KeyHash, d.CreatedAt)
		if err != nil {
			return fmt.Errorf("insert device: %w", err)
		}
		for i, f := range n.Sections {
			v := SectionWrite{DeviceID: d.ID, Section: f.Name, Document: f.Document, IDs: f.IDs, Summary: "factory configuration", Audit: n.Audit}
			if err := addVersion(ctx, t, v, int64(i+1)); err != nil {
				return err
			}
		}
		return addAudit(ctx, t, n.Audit)
	})
}

// Devices lists an organisation's devices, oldest first.
func (s *Store) Devices(ctx context.Context, orgID string) ([]Device, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+deviceColumns+" FROM devices d WHERE d.org_id = ? ORDER BY d.created_at, d.rowid", orgID)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	defer rows.Close()
	var out []Device
	for rows.Next() {
		var d Device
		if err := d.scan(rows); err != nil {
			return nil, fmt.Errorf("list devices: %w", err)
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// Device finds a device of any organisation; the caller compares OrgID.
func (s *Store) Device(ctx context.Context, id string) (Device, error) {
	var d Device
	err := d.scan(s.db.QueryRowContext(ctx, "SELECT "+deviceColumns+" FROM devices d WHERE d.id = ?", id))
	return d, oneRow(err)
}

// DeviceByKey finds the device whose key has this hash, and the plan of its
// organisation.
func (s *Store) DeviceByKey(ctx context.Context, keyHash []byte) (d Device, plan string, err error) {
	err = d.scan(s.db.QueryRowContext(ctx, "SELECT "+deviceColumns+`, o.plan FROM devices d
		JOIN organizations o ON o.id = d.org_id WHERE d.key_hash = ?`, keyHash), &plan)
	return d, plan, oneRow(err)
}

// DeleteDevice removes a device with its configuration and reports.
func (s *Store) DeleteDevice(ctx context.Context, orgID, id string, a AuditEntry) error {
	return s.tx(ctx, func(t *sql.Tx) error {
		res, err := t.ExecContext(ctx, "DELETE FROM devices WHERE id=? AND org_id=?", id, orgID)
		if err == nil {
			err = mustAffect(res)
		}
		if err != nil {
			return fmt.Errorf("delete device: %w", err)
		}
		return addAudit(ctx, t, a)
	})
}

func encodeTags(tags []string) (string, error) {
	if tags == nil {
		tags = []string{}
	}
	b, err := json.Marshal(tags)
	return string(b), err
}
