package store

import (
	"context"
	"database/sql"
	"fmt"
)

// User is a person of one organisation, with that organisation's plan.
type User struct {
	ID            string
	OrgID         string
	Email         string // in lower case
	Name          string
	Role          string // owner, admin, member, viewer
	PasswordHash  string
	EmailVerified bool
	CreatedAt     int64
	Plan          string // read only: the organisation's
}

const (
	insertUser = `INSERT INTO users (id, org_id, email, name, role, password_hash, email_verified, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	userColumns = `u.id, u.org_id, u.email, u.name, u.role, u.password_hash, u.email_verified, u.created_at, o.plan`
	selectUser  = `SELECT ` + userColumns + ` FROM users u JOIN organizations o ON o.id = u.org_id `
)

// scan lists where userColumns go.
func (u *User) scan() []any {
	return []any{&u.ID, &u.OrgID, &u.Email, &u.Name, &u.Role, &u.PasswordHash, &u.EmailVerified, &u.CreatedAt, &u.Plan}
}

func (u *User) values() []any {
	return []any{u.ID, u.OrgID, u.Email, u.Name, u.Role, u.PasswordHash, u.EmailVerified, u.CreatedAt}
}

// CreateUser adds a user, and with org not nil the user's new organisation;
// ErrExists when the e-mail address is taken.
func (s *Store) CreateUser(ctx context.Context, u User, org *Organization) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		if org != nil {
			if _, err := tx.ExecContext(ctx, insertOrganization, org.ID, org.Name, org.Plan, org.CreatedAt); err != nil {
				return fmt.Errorf("create organization: %w", exists(err))
			}
		}
		if _, err := tx.ExecContext(ctx, insertUser, u.values()...); err != nil {
			return fmt.Errorf("create user: %w", exists(err))
		}
		return nil
	})
}

// CreateFirstUser adds the first organisation, its owner and the owner's API
// token, all or nothing; ErrExists when there is a user already.
func (s *Store) CreateFirstUser(ctx context.Context, o Organization, u User, t APIToken) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		var users int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM users`).Scan(&users); err != nil {
			return fmt.Errorf("count users: %w", err)
		}
		if users > 0 {
			return ErrExists
		}
		if _, err := tx.ExecContext(ctx, insertOrganization, o.ID, o.Name, o.Plan, o.CreatedAt); err != nil {
			return fmt.Errorf("create organization: %w", err)
		}
		if _, err := tx.ExecContext(ctx, insertUser, u.values()...); err != nil {
			return fmt.Errorf("create user: %w", err)
		}
		if _, err := tx.ExecContext(ctx, insertToken, t.values()...); err != nil {
			return fmt.Errorf("create API token: %w", err)
		}
		return nil
	})
}

// HasUsers says whether there is any user.
func (s *Store) HasUsers(ctx context.Context) (bool, error) {
	var has bool
	if err := s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM users)`).Scan(&has); err != nil {
		return false, fmt.Errorf("look for users: %w", err)
	}
	return has, nil
}

// UserByID finds a user.
func (s *Store) UserByID(ctx context.Context, id string) (User, error) {
	return s.user(ctx, selectUser+`WHERE u.id = ?`, id)
}

// UserByEmail finds a user by the address in lower case.
func (s *Store) UserByEmail(ctx context.Context, email string) (User, error) {
	return s.user(ctx, selectUser+`WHERE u.email = ?`, email)
}

func (s *Store) user(ctx context.Context, query, arg string) (User, error) {
	var u User
	if err := s.db.QueryRowContext(ctx, query, arg).Scan(u.scan()...); err != nil {
		return User{}, fmt.Errorf("find user: %w", oneRow(err))
	}
	return u, nil
}

// SetPasswordHash replaces a user's hash, unless it is no longer the old one:
// a hash renewed after a log-in must not undo a password change beside it.
func (s *Store) SetPasswordHash(ctx context.Context, userID, old, hash string) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?`, hash, userID, old); err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	return nil
}
