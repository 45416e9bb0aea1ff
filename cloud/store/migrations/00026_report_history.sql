-- +goose Up
-- What package system keeps of a router's metrics; null: nothing yet.
ALTER TABLE device_reports ADD COLUMN history BLOB;

-- +goose Down
ALTER TABLE device_reports DROP COLUMN history;
