package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrReused is returned when a refresh token comes a second time. The session
// has been revoked: one of the two holders is not the user.
var ErrReused = errors.New("refresh token used before")

// Session is one log-in of a user.
type Session struct {
	ID         string
	User       User
	CreatedAt  int64
	LastActive int64
	ExpiresAt  int64
	RevokedAt  int64 // 0: not revoked
	Address    string
	Agent      string
}

// Live says whether the session may still be used.
func (s Session) Live(now int64) bool { return s.RevokedAt == 0 && now < s.ExpiresAt }

const selectSession = `SELECT s.id, s.created_at, s.last_active, s.expires_at, coalesce(s.revoked_at, 0), s.address, s.agent, ` + userColumns + `
	FROM sessions s JOIN users u ON u.id = s.user_id JOIN organizations o ON o.id = u.org_id `

func (s *Session) scan() []any {
	return append([]any{&s.ID, &s.CreatedAt, &s.LastActive, &s.ExpiresAt, &s.RevokedAt, &s.Address, &s.Agent}, s.User.scan()...)
}

// CreateSession adds a session with its first refresh token.
func (s *Store) CreateSession(ctx context.Context, n Session, refresh []byte) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO sessions (id, user_id, created_at, last_active, expires_at, address, agent)
			VALUES (?, ?, ?, ?, ?, ?, ?)`, n.ID, n.User.ID, n.CreatedAt, n.LastActive, n.ExpiresAt, n.Address, n.Agent); err != nil {
			return fmt.Errorf("create session: %w", err)
		}
		return addRefresh(ctx, tx, refresh, n.ID, n.CreatedAt)
	})
}

func addRefresh(ctx context.Context, tx *sql.Tx, hash []byte, session string, now int64) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO refresh_tokens (hash, session_id, created_at) VALUES (?, ?, ?)`, hash, session, now); err != nil {
		return fmt.Errorf("create refresh token: %w", err)
	}
	return nil
}

// Session finds a session with its user, revoked and expired ones too.
func (s *Store) Session(ctx context.Context, id string) (Session, error) {
	var n Session
	if err := s.db.QueryRowContext(ctx, selectSession+`WHERE s.id = ?`, id).Scan(n.scan()...); err != nil {
		return Session{}, fmt.Errorf("find session: %w", oneRow(err))
	}
	return n, nil
}

// RotateRefresh exchanges a refresh token for the next one and moves the
// session's end to expires. ErrNotFound for an unknown token or a session that
// has ended, ErrReused for a token that was exchanged more than grace seconds
// before.
func (s *Store) RotateRefresh(ctx context.Context, old, next []byte, now, expires, grace int64) (Session, error) {
	var n Session
	reused := false
	err := s.tx(ctx, func(tx *sql.Tx) error {
		var id string
		var used sql.NullInt64
		if err := tx.QueryRowContext(ctx, `SELECT session_id, used_at FROM refresh_tokens WHERE hash = ?`, old).Scan(&id, &used); err != nil {
			return fmt.Errorf("find refresh token: %w", oneRow(err))
		}
		if reused = used.Valid && (grace <= 0 || now > used.Int64+grace); reused {
			// Committed although the caller gets an error.
			_, err := tx.ExecContext(ctx, `UPDATE sessions SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?`, now, id)
			return err
		}
		if err := tx.QueryRowContext(ctx, selectSession+`WHERE s.id = ?`, id).Scan(n.scan()...); err != nil {
			return fmt.Errorf("find session: %w", oneRow(err))
		}
		if !n.Live(now) {
			return ErrNotFound
		}
		if _, err := tx.ExecContext(ctx, `UPDATE refresh_tokens SET used_at = coalesce(used_at, ?) WHERE hash = ?`, now, old); err != nil {
			return fmt.Errorf("mark refresh token: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE sessions SET last_active = ?, expires_at = ? WHERE id = ?`, now, expires, id); err != nil {
			return fmt.Errorf("extend session: %w", err)
		}
		n.LastActive, n.ExpiresAt = now, expires
		return addRefresh(ctx, tx, next, id, now)
	})
	if err == nil && reused {
		err = ErrReused
	}
	return n, err
}

// RevokeSession ends a session; ending it again changes nothing.
func (s *Store) RevokeSession(ctx context.Context, id string, now int64) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE sessions SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?`, now, id); err != nil {
		return fmt.Errorf("revoke session: %w", err)
	}
	return nil
}

// RevokeRefresh ends the session of a refresh token, if there is one.
func (s *Store) RevokeRefresh(ctx context.Context, hash []byte, now int64) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE sessions SET revoked_at = coalesce(revoked_at, ?)
		WHERE id = (SELECT session_id FROM refresh_tokens WHERE hash = ?)`, now, hash); err != nil {
		return fmt.Errorf("revoke session: %w", err)
	}
	return nil
}

// TouchSession records use at now.
func (s *Store) TouchSession(ctx context.Context, id string, now int64) error {
	_, err := s.db.ExecContext(ctx, `UPDATE sessions SET last_active = ? WHERE id = ? AND last_active < ?`, now, id, now)
	return err
}

// DeleteSessions removes the sessions that ended before the given time.
func (s *Store) DeleteSessions(ctx context.Context, before int64) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at < ? OR revoked_at < ?`, before, before); err != nil {
		return fmt.Errorf("delete old sessions: %w", err)
	}
	return nil
}
