-- +goose Up

-- Since when a key stands where it stands (0: since it was made), and from when on one that is
-- to sign next may do so.
alter table signing_keys add column since_at bigint not null default 0;
alter table signing_keys add column signs_at bigint not null default 0;
