-- +goose Up
CREATE TABLE users (
    id             TEXT PRIMARY KEY,
    org_id         TEXT NOT NULL REFERENCES organizations (id),
    email          TEXT NOT NULL UNIQUE, -- in lower case
    name           TEXT NOT NULL DEFAULT '',
    role           TEXT NOT NULL,        -- owner, admin, member, viewer
    password_hash  TEXT NOT NULL,        -- argon2id in PHC form, with its parameters
    email_verified INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX users_org ON users (org_id);
