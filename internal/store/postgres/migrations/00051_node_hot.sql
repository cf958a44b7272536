-- +goose Up

-- What it means is said in SQLite's migration of this number.
alter table nodes add column hot text collate "C" not null default '';
