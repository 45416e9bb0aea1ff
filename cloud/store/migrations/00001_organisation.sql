-- +goose Up
CREATE TABLE organizations (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    plan       TEXT NOT NULL DEFAULT 'starter', -- starter, pro, business, business_plus
    created_at INTEGER NOT NULL
) STRICT;
