package store

import (
	"context"
	"fmt"
)

// Operation is work that outlasts the request that began it.
type Operation struct {
	ID         string
	OrgID      string
	Kind       string
	Status     string // pending, running, done, failed
	Progress   float64
	Result     string // JSON, "" until done
	Error      string // JSON, "" unless failed
	CreatedAt  int64
	FinishedAt int64 // 0: not yet
}

// CreateOperation adds an operation.
func (s *Store) CreateOperation(ctx context.Context, o Operation) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO operations (id, org_id, kind, status, created_at) VALUES (?,?,?,?,?)`,
		o.ID, o.OrgID, o.Kind, o.Status, o.CreatedAt)
	if err != nil {
		return fmt.Errorf("store operation: %w", err)
	}
	return nil
}

// UpdateOperation stores how far an operation is.
func (s *Store) UpdateOperation(ctx context.Context, o Operation) error {
	_, err := s.db.ExecContext(ctx, `UPDATE operations SET status = ?, progress = ?, result = ?, error = ?, finished_at = ? WHERE id = ?`,
		o.Status, o.Progress, o.Result, o.Error, o.FinishedAt, o.ID)
	if err != nil {
		return fmt.Errorf("update operation %s: %w", o.ID, err)
	}
	return nil
}

// Operation reads one of an organisation.
func (s *Store) Operation(ctx context.Context, orgID, id string) (Operation, error) {
	o := Operation{ID: id, OrgID: orgID}
	err := s.db.QueryRowContext(ctx, `SELECT kind, status, progress, result, error, created_at, finished_at
		FROM operations WHERE org_id = ? AND id = ?`, orgID, id).
		Scan(&o.Kind, &o.Status, &o.Progress, &o.Result, &o.Error, &o.CreatedAt, &o.FinishedAt)
	return o, oneRow(err)
}

// SweepOperations forgets those that finished before a time.
func (s *Store) SweepOperations(ctx context.Context, before int64) error {
	_, err := s.db.ExecContext(ctx, `DELETE FROM operations WHERE finished_at > 0 AND finished_at < ?`, before)
	if err != nil {
		return fmt.Errorf("forget operations: %w", err)
	}
	return nil
}

// AbandonOperations fails all that are unfinished with an error, in JSON.
func (s *Store) AbandonOperations(ctx context.Context, at int64, reason string) error {
	_, err := s.db.ExecContext(ctx, `UPDATE operations SET status = 'failed', error = ?, finished_at = ? WHERE finished_at = 0`, reason, at)
	if err != nil {
		return fmt.Errorf("abandon operations: %w", err)
	}
	return nil
}
