-- +goose Up
CREATE TABLE signing_keys (
    kid        TEXT PRIMARY KEY, -- RFC 7638 thumbprint
    algorithm  TEXT NOT NULL,
    sealed     BLOB NOT NULL,    -- PKCS #8, sealed with the installation's key
    created_at INTEGER NOT NULL,
    retires_at INTEGER           -- when the last token it signed has expired; NULL: in use
) STRICT;
