-- +goose Up
CREATE TABLE api_tokens (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE, -- SHA-256 of the whole token
    scopes     TEXT NOT NULL,        -- separated by spaces
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used  INTEGER
) STRICT;
CREATE INDEX api_tokens_user ON api_tokens (user_id, created_at);
