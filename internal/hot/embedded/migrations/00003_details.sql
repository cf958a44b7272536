-- +goose Up
-- Whether the grant was asked for by authorization_details (RFC 9396): then every token answer has them.
ALTER TABLE families ADD COLUMN details INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE families DROP COLUMN details;
