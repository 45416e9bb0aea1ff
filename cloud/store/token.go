package store

import (
	"context"
	"database/sql"
	"fmt"
)

// APIToken is a long-lived credential of a user.
type APIToken struct {
	ID        string
	User      User
	Name      string
	Hash      []byte // SHA-256 of the whole token
	Scopes    string // separated by spaces
	CreatedAt int64
	ExpiresAt int64
	LastUsed  int64 // 0: never
}

const (
	insertToken = `INSERT INTO api_tokens (id, user_id, name, hash, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`
	selectToken = `SELECT t.id, t.name, t.hash, t.scopes, t.created_at, t.expires_at, coalesce(t.last_used, 0), ` + userColumns + `
		FROM api_tokens t JOIN users u ON u.id = t.user_id JOIN organizations o ON o.id = u.org_id `
)

func (t *APIToken) scan() []any {
	return append([]any{&t.ID, &t.Name, &t.Hash, &t.Scopes, &t.CreatedAt, &t.ExpiresAt, &t.LastUsed}, t.User.scan()...)
}

func (t *APIToken) values() []any {
	return []any{t.ID, t.User.ID, t.Name, t.Hash, t.Scopes, t.CreatedAt, t.ExpiresAt}
}

// CreateAPIToken adds a token unless the user holds max of them: then ErrExists.
func (s *Store) CreateAPIToken(ctx context.Context, t APIToken, max int) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM api_tokens WHERE user_id = ?`, t.User.ID).Scan(&have); err != nil {
			return fmt.Errorf("count API tokens: %w", err)
		}
		if have >= max {
			return ErrExists
		}
		if _, err := tx.ExecContext(ctx, insertToken, t.values()...); err != nil {
			return fmt.Errorf("create API token: %w", err)
		}
		return nil
	})
}

// APITokens lists a user's tokens, the oldest first.
func (s *Store) APITokens(ctx context.Context, userID string) ([]APIToken, error) {
	rows, err := s.db.QueryContext(ctx, selectToken+`WHERE t.user_id = ? ORDER BY t.created_at, t.id`, userID)
	if err != nil {
		return nil, fmt.Errorf("list API tokens: %w", err)
	}
	defer rows.Close()
	var all []APIToken
	for rows.Next() {
		var t APIToken
		if err := rows.Scan(t.scan()...); err != nil {
			return nil, fmt.Errorf("list API tokens: %w", err)
		}
		all = append(all, t)
	}
	return all, rows.Err()
}

// APITokenByHash finds a token with its user, expired ones too.
func (s *Store) APITokenByHash(ctx context.Context, hash []byte) (APIToken, error) {
	var t APIToken
	if err := s.db.QueryRowContext(ctx, selectToken+`WHERE t.hash = ?`, hash).Scan(t.scan()...); err != nil {
		return APIToken{}, fmt.Errorf("find API token: %w", oneRow(err))
	}
	return t, nil
}

// TouchAPIToken records use at now.
func (s *Store) TouchAPIToken(ctx context.Context, id string, now int64) error {
	_, err := s.db.ExecContext(ctx, `UPDATE api_tokens SET last_used = ? WHERE id = ? AND coalesce(last_used, 0) < ?`, now, id, now)
	return err
}

// DeleteAPIToken removes a user's token; ErrNotFound when the user has none with this id.
func (s *Store) DeleteAPIToken(ctx context.Context, userID, id string) error {
	res, err := s.db.ExecContext(ctx, `DELETE FROM api_tokens WHERE id = ? AND user_id = ?`, id, userID)
	if err != nil {
		return fmt.Errorf("delete API token: %w", err)
	}
	return mustAffect(res)
}
