-- +goose Up
-- What else of the authorization request every token of the family follows.
ALTER TABLE families ADD COLUMN resources TEXT NOT NULL DEFAULT ''; -- separated by spaces
ALTER TABLE families ADD COLUMN claims    TEXT NOT NULL DEFAULT ''; -- the claims parameter, JSON
ALTER TABLE families ADD COLUMN dpop_key  TEXT NOT NULL DEFAULT ''; -- the thumbprint of the key

-- +goose Down
ALTER TABLE families DROP COLUMN dpop_key;
ALTER TABLE families DROP COLUMN claims;
ALTER TABLE families DROP COLUMN resources;
