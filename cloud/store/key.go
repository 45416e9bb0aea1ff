package store

import (
	"context"
	"database/sql"
	"fmt"
)

// SigningKey is a key of the cloud's own token issuer. The store never sees it open.
type SigningKey struct {
	KID       string
	Algorithm string
	Sealed    []byte
	CreatedAt int64
	RetiresAt int64 // 0: in use
}

// SigningKeys lists the keys that have not retired, the newest first.
func (s *Store) SigningKeys(ctx context.Context, now int64) ([]SigningKey, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT kid, algorithm, sealed, created_at, coalesce(retires_at, 0) FROM signing_keys
		WHERE retires_at IS NULL OR retires_at > ? ORDER BY created_at DESC, kid`, now)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	defer rows.Close()
	var all []SigningKey
	for rows.Next() {
		var k SigningKey
		if err := rows.Scan(&k.KID, &k.Algorithm, &k.Sealed, &k.CreatedAt, &k.RetiresAt); err != nil {
			return nil, fmt.Errorf("list signing keys: %w", err)
		}
		all = append(all, k)
	}
	return all, rows.Err()
}

// AddSigningKey puts a key in use, provided that the newest one in use is
// still the given one ("" for none): of two processes that rotate at the same
// moment one wins and the other gets ErrExists. The key before retires at the
// given time; keys that have retired by now go.
func (s *Store) AddSigningKey(ctx context.Context, k SigningKey, previous string, retire int64) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var current string
		err := tx.QueryRowContext(ctx, `SELECT kid FROM signing_keys WHERE retires_at IS NULL ORDER BY created_at DESC, kid`).Scan(&current)
		if err != nil && oneRow(err) != ErrNotFound {
			return fmt.Errorf("find the current signing key: %w", err)
		}
		if current != previous {
			return ErrExists
		}
		if _, err := tx.ExecContext(ctx, `UPDATE signing_keys SET retires_at = ? WHERE retires_at IS NULL`, retire); err != nil {
			return fmt.Errorf("retire signing keys: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM signing_keys WHERE retires_at <= ?`, k.CreatedAt); err != nil {
			return fmt.Errorf("delete retired signing keys: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO signing_keys (kid, algorithm, sealed, created_at) VALUES (?, ?, ?, ?)`,
			k.KID, k.Algorithm, k.Sealed, k.CreatedAt); err != nil {
			return fmt.Errorf("create signing key: %w", exists(err))
		}
		return nil
	})
}
