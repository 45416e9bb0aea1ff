package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// DeviceUpdate replaces what a user may change of a device. Each Rewrite is
// applied to the newest document of its section and stored as a new version
// where it changes it: what a document says of the device stays right.
type DeviceUpdate struct {
	Device  Device
	Rewrite map[string]func(document []byte) ([]byte, error)
	Audit   AuditEntry
}

// UpdateDevice changes a device in one transaction: change sees it as it is and
// says what it becomes. An error of change ends the update.
func (s *Store) UpdateDevice(ctx context.Context, id string, change func(old Device) (DeviceUpdate, error)) error {
	return s.tx(ctx, func(t *sql.Tx) error {
		var old Device
		if err := old.scan(t.QueryRowContext(ctx, "SELECT "+deviceColumns+" FROM devices d WHERE d.id = ?", id)); err != nil {
			return oneRow(err)
		}
		u, err := change(old)
		if err != nil {
			return err
		}
		d := u.Device
		tags, err := encodeTags(d.Tags)
		if err != nil {
			return err
		}
		_, err = t.ExecContext(ctx, "UPDATE devices SET name=?, model=?, tags=?, location=?, notes=?, mode=?, time_zone=? WHERE id=?",
			d.Name, d.Model, tags, d.Location, d.Notes, d.Mode, d.TimeZone, id)
		if err != nil {
			return fmt.Errorf("update device: %w", err)
		}
		for section, rewrite := range u.Rewrite {
			if err := rewriteSection(ctx, t, id, section, rewrite, u.Audit); err != nil {
				return fmt.Errorf("rewrite section %s: %w", section, err)
			}
		}
		return addAudit(ctx, t, u.Audit)
	})
}

func rewriteSection(ctx context.Context, t *sql.Tx, deviceID, section string, rewrite func([]byte) ([]byte, error), a AuditEntry) error {
	have, err := readSection(ctx, t, deviceID, section)
	if errors.Is(err, ErrNotFound) {
		return nil // never written: what is made from the factory's is right
	}
	if err != nil {
		return err
	}
	doc, err := rewrite(have.Document)
	if err != nil {
		return err
	}
	if string(doc) == string(have.Document) {
		return nil
	}
	last, err := lastVersion(ctx, t, deviceID)
	if err != nil {
		return err
	}
	return addVersion(ctx, t, SectionWrite{DeviceID: deviceID, Section: section, Document: doc, Summary: a.Changes.Summary, Audit: a}, last+1)
}
