package store

import (
	"context"
	"fmt"
)

// StoredVersion is a section's document as it was from some time on.
type StoredVersion struct {
	Section
	Author    string // the user's e-mail address; the id of one who is gone
	CreatedAt int64
}

const versionColumns = `SELECT c.version, c.document, coalesce(u.email, c.author), c.created_at
	FROM config_versions c LEFT JOIN users u ON u.id = c.author WHERE c.device_id = ? AND c.section = ? AND `

// SectionAt reads the document that was stored as this version of the device.
// ErrNotFound: none of this section was.
func (s *Store) SectionAt(ctx context.Context, deviceID, section string, version int64) (StoredVersion, error) {
	return s.stored(ctx, section, versionColumns+"c.version = ?", deviceID, section, version)
}

// SectionAsOf reads the document that was the newest at a moment, in Unix
// seconds. ErrNotFound: there was none yet.
func (s *Store) SectionAsOf(ctx context.Context, deviceID, section string, at int64) (StoredVersion, error) {
	return s.stored(ctx, section, versionColumns+"c.created_at <= ? ORDER BY c.version DESC LIMIT 1", deviceID, section, at)
}

func (s *Store) stored(ctx context.Context, section, query string, args ...any) (StoredVersion, error) {
	out := StoredVersion{Section: Section{Name: section}}
	err := oneRow(s.db.QueryRowContext(ctx, query, args...).Scan(&out.Version, &out.Document, &out.Author, &out.CreatedAt))
	if err != nil {
		return out, fmt.Errorf("read a version of section %s: %w", section, err)
	}
	return out, nil
}
