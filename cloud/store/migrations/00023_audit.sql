-- +goose Up
-- Who changed what. Entries outlive what they speak of, so only the
-- organisation is a reference.
CREATE TABLE audit (
    id            TEXT PRIMARY KEY,
    org_id        TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    timestamp     INTEGER NOT NULL,
    user_id       TEXT NOT NULL,
    token_id      TEXT NOT NULL DEFAULT '', -- '' for a session
    device_id     TEXT NOT NULL DEFAULT '',
    action        TEXT NOT NULL,            -- create, update, delete, reorder, register, remove
    resource_type TEXT NOT NULL,            -- device, rule, zone, …
    resource_id   TEXT NOT NULL DEFAULT '',
    changes       TEXT NOT NULL DEFAULT '{}', -- JSON {summary, before?, after?}
    ip_address    TEXT NOT NULL DEFAULT '',
    user_agent    TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX audit_org ON audit (org_id, timestamp, id);
