-- +goose Up
-- A version is one section's whole document as it was from then on. Versions
-- count up per device, over all of its sections; none is ever overwritten.
CREATE TABLE config_versions (
    device_id  TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL,
    section    TEXT NOT NULL,
    document   TEXT NOT NULL,              -- JSON
    author     TEXT NOT NULL,              -- user id
    summary    TEXT NOT NULL,              -- one line: what changed
    created_at INTEGER NOT NULL,
    PRIMARY KEY (device_id, version)
) STRICT;
CREATE INDEX config_versions_section ON config_versions (device_id, section, version);

-- The last id given out, so that none is used twice.
CREATE TABLE config_ids (
    device_id TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL,               -- rule, zone, …
    last      INTEGER NOT NULL,
    PRIMARY KEY (device_id, kind)
) STRICT;
