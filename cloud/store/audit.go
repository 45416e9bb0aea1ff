package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"ngfw.sh/cloud/identity"
)

// AuditEntry is one line of the audit log. It is written in the transaction of
// what it tells about, so that neither exists without the other.
type AuditEntry struct {
	ID           string
	OrgID        string
	Timestamp    int64
	UserID       string
	TokenID      string // "" for a session
	DeviceID     string // "" where no router is concerned
	Action       string
	ResourceType string
	ResourceID   string
	Changes      Changes
	Address      string
	UserAgent    string
}

// Changes is what an entry says of the change: a line for people and the
// resource as it was and is. Secrets never stand in it.
type Changes struct {
	Summary string `json:"summary"`
	Before  any    `json:"before,omitempty"`
	After   any    `json:"after,omitempty"`
}

// AuditBy begins an entry for something the caller does now.
func AuditBy(c identity.Caller, action, resourceType, resourceID string) AuditEntry {
	return AuditEntry{
		OrgID: c.OrgID, Timestamp: time.Now().Unix(), UserID: c.UserID, TokenID: c.TokenID,
		Action: action, ResourceType: resourceType, ResourceID: resourceID,
		Address: c.Address, UserAgent: c.Agent,
	}
}

// addAudit ends what is stored on behalf of a caller.
func addAudit(ctx context.Context, t *sql.Tx, e AuditEntry) error {
	changes, err := json.Marshal(e.Changes)
	if err != nil {
		return fmt.Errorf("encode audit changes: %w", err)
	}
	_, err = t.ExecContext(ctx, `INSERT INTO audit
		(id, org_id, timestamp, user_id, token_id, device_id, action, resource_type, resource_id, changes, ip_address, user_agent)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
		NewID("aud"), e.OrgID, e.Timestamp, e.UserID, e.TokenID, e.DeviceID, e.Action, e.ResourceType, e.ResourceID,
		string(changes), e.Address, e.UserAgent)
	if err != nil {
		return fmt.Errorf("write audit entry: %w", err)
	}
	return markRequest(ctx, t)
}

// Audit reads an organisation's newest entries, newest first.
func (s *Store) Audit(ctx context.Context, orgID string, limit int) ([]AuditEntry, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, org_id, timestamp, user_id, token_id, device_id, action,
		resource_type, resource_id, changes, ip_address, user_agent
		FROM audit WHERE org_id = ? ORDER BY timestamp DESC, rowid DESC LIMIT ?`, orgID, limit)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	defer rows.Close()
	var out []AuditEntry
	for rows.Next() {
		var e AuditEntry
		var changes string
		if err := rows.Scan(&e.ID, &e.OrgID, &e.Timestamp, &e.UserID, &e.TokenID, &e.DeviceID, &e.Action,
			&e.ResourceType, &e.ResourceID, &changes, &e.Address, &e.UserAgent); err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		if err := json.Unmarshal([]byte(changes), &e.Changes); err != nil {
			return nil, fmt.Errorf("audit entry %s: %w", e.ID, err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// NewID makes an opaque id with a prefix that says what it names.
func NewID(prefix string) string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return prefix + "_" + hex.EncodeToString(b[:])
}
