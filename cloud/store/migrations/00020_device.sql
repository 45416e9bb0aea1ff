-- +goose Up
CREATE TABLE devices (
    id         TEXT PRIMARY KEY,
    org_id     TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    model      TEXT NOT NULL DEFAULT '',
    tags       TEXT NOT NULL DEFAULT '[]', -- JSON array of strings
    location   TEXT,
    notes      TEXT,
    mode       TEXT NOT NULL,              -- observe, shadow, takeover
    time_zone  TEXT NOT NULL,              -- IANA name
    key_hash   BLOB NOT NULL UNIQUE,       -- SHA-256 of the device's key
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_org ON devices (org_id, created_at, id);
