-- +goose Up
-- What a router last told. status, hardware and metrics are protobuf messages
-- (ngfw.v1.SystemStatus, Hardware, Metrics), counters and config JSON.
CREATE TABLE device_reports (
    device_id     TEXT PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    last_seen     INTEGER NOT NULL,
    status_at     INTEGER NOT NULL DEFAULT 0, -- when status came, 0: never
    metrics_at    INTEGER NOT NULL DEFAULT 0,
    agent_version TEXT NOT NULL DEFAULT '',
    firmware      TEXT NOT NULL DEFAULT '',
    status        BLOB,
    hardware      BLOB,
    metrics       BLOB,
    counters      TEXT NOT NULL DEFAULT '{}',
    config        TEXT NOT NULL DEFAULT '{}'
) STRICT;
