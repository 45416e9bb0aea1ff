package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrStale is returned when what a write was based on is no longer the newest.
var ErrStale = errors.New("based on a version that is no longer the newest")

// Section is the newest document of one configuration section.
type Section struct {
	Name     string
	Version  int64 // when this document was written; 0: never
	Document []byte
}

// SectionWrite is a new document for a section.
type SectionWrite struct {
	DeviceID string
	Section  string
	Base     int64 // version of the section that the change was made from; 0: there was none
	Document []byte
	IDs      map[string]int64 // kind → last id given out, only upwards
	Summary  string
	Audit    AuditEntry // its UserID is the version's author
}

type querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

func readSection(ctx context.Context, q querier, deviceID, section string) (Section, error) {
	out := Section{Name: section}
	err := q.QueryRowContext(ctx, `SELECT version, document FROM config_versions
		WHERE device_id = ? AND section = ? ORDER BY version DESC LIMIT 1`, deviceID, section).Scan(&out.Version, &out.Document)
	return out, oneRow(err)
}

func lastVersion(ctx context.Context, q querier, deviceID string) (v int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT coalesce(max(version), 0) FROM config_versions WHERE device_id = ?", deviceID).Scan(&v)
	if err != nil {
		return 0, fmt.Errorf("read configuration version: %w", err)
	}
	return v, nil
}

func addVersion(ctx context.Context, t *sql.Tx, w SectionWrite, version int64) error {
	_, err := t.ExecContext(ctx, `INSERT INTO config_versions (device_id, version, section, document, author, summary, created_at)
		VALUES (?,?,?,?,?,?,?)`, w.DeviceID, version, w.Section, string(w.Document), w.Audit.UserID, w.Summary, w.Audit.Timestamp)
	if err != nil {
		return fmt.Errorf("insert version %d of %s: %w", version, w.Section, err)
	}
	for _, kind := range slices.Sorted(maps.Keys(w.IDs)) {
		_, err := t.ExecContext(ctx, `INSERT INTO config_ids (device_id, kind, last) VALUES (?,?,?)
			ON CONFLICT (device_id, kind) DO UPDATE SET last = max(last, excluded.last)`, w.DeviceID, kind, w.IDs[kind])
		if err != nil {
			return fmt.Errorf("keep last %s id: %w", kind, err)
		}
	}
	return nil
}

// Section reads the newest document of a section and the last id given out for
// every kind of the device, as of the same moment.
func (s *Store) Section(ctx context.Context, deviceID, section string) (out Section, ids map[string]int64, err error) {
	err = s.readTx(ctx, func(t *sql.Tx) error {
		if out, err = readSection(ctx, t, deviceID, section); err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("read section %s: %w", section, err)
		}
		rows, err := t.QueryContext(ctx, "SELECT kind, last FROM config_ids WHERE device_id = ?", deviceID)
		if err != nil {
			return fmt.Errorf("read ids: %w", err)
		}
		defer rows.Close()
		ids = map[string]int64{}
		for rows.Next() {
			var kind string
			var last int64
			if err := rows.Scan(&kind, &last); err != nil {
				return fmt.Errorf("read ids: %w", err)
			}
			ids[kind] = last
		}
		return rows.Err()
	})
	return out, ids, err
}

// Sections reads the newest document of every section that was ever written and
// the device's version, as of the same moment.
func (s *Store) Sections(ctx context.Context, deviceID string) (version int64, out []Section, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT section, version, document FROM config_versions c
		WHERE device_id = ? AND version = (SELECT max(version) FROM config_versions
			WHERE device_id = c.device_id AND section = c.section)
		ORDER BY section`, deviceID)
	if err != nil {
		return 0, nil, fmt.Errorf("read sections: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var sec Section
		if err := rows.Scan(&sec.Name, &sec.Version, &sec.Document); err != nil {
			return 0, nil, fmt.Errorf("read sections: %w", err)
		}
		version = max(version, sec.Version)
		out = append(out, sec)
	}
	return version, out, rows.Err()
}

// ConfigVersion is the device's newest version over all sections, 0 if nothing
// was ever written.
func (s *Store) ConfigVersion(ctx context.Context, deviceID string) (int64, error) {
	return lastVersion(ctx, s.db, deviceID)
}

// PutSection stores a document as the device's next version, with its ids and
// the audit entry, in one transaction. ErrStale: another write came between;
// ErrNotFound: the device is gone.
func (s *Store) PutSection(ctx context.Context, w SectionWrite) (version int64, err error) {
	err = s.tx(ctx, func(t *sql.Tx) error {
		var there int
		if err := t.QueryRowContext(ctx, "SELECT count(*) FROM devices WHERE id = ?", w.DeviceID).Scan(&there); err != nil {
			return fmt.Errorf("find device: %w", err)
		}
		if there == 0 {
			return ErrNotFound
		}
		now, err := readSection(ctx, t, w.DeviceID, w.Section)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("read section %s: %w", w.Section, err)
		}
		if now.Version != w.Base {
			return ErrStale
		}
		last, err := lastVersion(ctx, t, w.DeviceID)
		if err != nil {
			return err
		}
		version = last + 1
		if err := addVersion(ctx, t, w, version); err != nil {
			return err
		}
		return addAudit(ctx, t, w.Audit)
	})
	return version, err
}

// readTx runs f on one snapshot. It asks SQLite for no write lock, unlike tx.
func (s *Store) readTx(ctx context.Context, f func(*sql.Tx) error) error {
	t, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer t.Rollback()
	return f(t)
}
