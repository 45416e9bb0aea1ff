package store

import (
	"context"
	"fmt"
)

// Organization is a tenant.
type Organization struct {
	ID        string
	Name      string
	Plan      string
	CreatedAt int64
}

const insertOrganization = `INSERT INTO organizations (id, name, plan, created_at) VALUES (?, ?, ?, ?)`

// Organizations lists all organisations, the oldest first.
func (s *Store) Organizations(ctx context.Context) ([]Organization, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, name, plan, created_at FROM organizations ORDER BY created_at, id`)
	if err != nil {
		return nil, fmt.Errorf("list organizations: %w", err)
	}
	defer rows.Close()
	var all []Organization
	for rows.Next() {
		var o Organization
		if err := rows.Scan(&o.ID, &o.Name, &o.Plan, &o.CreatedAt); err != nil {
			return nil, fmt.Errorf("list organizations: %w", err)
		}
		all = append(all, o)
	}
	return all, rows.Err()
}

// SetPlan changes an organisation's plan; ErrNotFound for an unknown one.
func (s *Store) SetPlan(ctx context.Context, id, plan string) error {
	res, err := s.db.ExecContext(ctx, `UPDATE organizations SET plan = ? WHERE id = ?`, plan, id)
	if err != nil {
		return fmt.Errorf("set plan: %w", err)
	}
	return mustAffect(res)
}
