package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"ngfw.sh/cloud/identity"
)

// maxRequests bounds what is kept of an organisation; the oldest answers go first.
const maxRequests = 20_000

// Request is one that is not to be done twice.
type Request struct {
	Key   [32]byte
	OrgID string
	Body  [32]byte // digest of what is asked for
	Ends  int64
}

// Claim is what a claimed request turned out to be.
type Claim struct {
	Mine   bool   // nobody has done it: the caller does, and says how it went
	Other  bool   // the key is of a request with another body
	Answer []byte // the first answer; nil without Mine and Other: it was done, and its answer is lost
}

// ClaimRequest looks a request up, and takes it on unless it was answered. One that an
// ended process had taken on is taken over, if it has stored nothing: what a request
// stores is stored with the note that it has (see addAudit).
func (s *Store) ClaimRequest(ctx context.Context, r Request, now int64) (c Claim, err error) {
	err = s.tx(ctx, func(t *sql.Tx) error {
		if _, err := t.ExecContext(ctx, `DELETE FROM requests WHERE ends <= ?`, now); err != nil {
			return fmt.Errorf("forget requests: %w", err)
		}
		var body []byte
		var done bool
		err := t.QueryRowContext(ctx, `SELECT body, done, answer FROM requests WHERE key = ?`, r.Key[:]).Scan(&body, &done, &c.Answer)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			c.Mine = true
			return addRequest(ctx, t, r)
		case err != nil:
			return fmt.Errorf("find request: %w", err)
		case !bytes.Equal(body, r.Body[:]):
			c = Claim{Other: true}
		case c.Answer == nil && !done:
			c.Mine = true
		}
		return nil
	})
	return c, err
}

func addRequest(ctx context.Context, t *sql.Tx, r Request) error {
	_, err := t.ExecContext(ctx, `DELETE FROM requests WHERE key IN (SELECT key FROM requests WHERE org_id = ? ORDER BY ends DESC LIMIT -1 OFFSET ?)`,
		r.OrgID, maxRequests-1)
	if err == nil {
		_, err = t.ExecContext(ctx, `INSERT INTO requests (key, org_id, body, ends) VALUES (?,?,?,?)`, r.Key[:], r.OrgID, r.Body[:], r.Ends)
	}
	if err != nil {
		return fmt.Errorf("claim request: %w", err)
	}
	return nil
}

// AnswerRequest keeps the answer to a claimed request.
func (s *Store) AnswerRequest(ctx context.Context, key [32]byte, sealed []byte) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE requests SET answer = ? WHERE key = ?`, sealed, key[:]); err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	return nil
}

// DropRequest forgets a claimed request that failed, so that it can be tried again;
// not one that has stored what was asked for all the same.
func (s *Store) DropRequest(ctx context.Context, key [32]byte) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM requests WHERE key = ? AND done = 0`, key[:]); err != nil {
		return fmt.Errorf("forget request: %w", err)
	}
	return nil
}

// markRequest notes, in the transaction of what it stores, that the request of the
// context has.
func markRequest(ctx context.Context, t *sql.Tx) error {
	key, ok := identity.RequestFrom(ctx)
	if !ok {
		return nil
	}
	if _, err := t.ExecContext(ctx, `UPDATE requests SET done = 1 WHERE key = ?`, key[:]); err != nil {
		return fmt.Errorf("note request: %w", err)
	}
	return nil
}
