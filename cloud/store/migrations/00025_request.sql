-- +goose Up
-- The first answers to requests that carry an Idempotency-Key. A row without an
-- answer is being done, or was when its process ended.
CREATE TABLE requests (
    key     BLOB PRIMARY KEY,           -- SHA-256 of caller, operation and key
    org_id  TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    body    BLOB NOT NULL,              -- SHA-256 of what was asked for
    done    INTEGER NOT NULL DEFAULT 0, -- 1: what was asked for is stored
    answer  BLOB,                       -- sealed with the installation's key
    ends    INTEGER NOT NULL            -- forgotten then
) STRICT;
CREATE INDEX requests_ends ON requests (ends);
CREATE INDEX requests_org ON requests (org_id, ends);
