-- +goose Up

-- Unlogged, so that it is emptied whenever numbers of transactions may be given out again. More is said in SQLite's migration
-- of this number.
create unlogged table history (
  one integer primary key check (one = 1),
  id text collate "C" not null
);
