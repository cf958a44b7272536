-- +goose Up

-- What transactions changed of what nodes remember: references, never values. Only engines that several processes share
-- write it. Kept for a while.
create table news (
  id integer primary key autoincrement,   -- never reused
  txid bigint not null,                   -- the transaction's number, as the engine gives it
  refs text not null,                     -- JSON
  at bigint not null                      -- by the database's clock
);
create index news_txid on news (txid, id);

-- News of transactions below this number are no longer kept. One row, or none.
create table news_trimmed (
  one integer primary key check (one = 1),
  below bigint not null
);

-- The processes over this directory, each as it stood at its last poll.
create table nodes (
  id text not null primary key,           -- of one run
  name text not null,
  version text not null,
  alone boolean not null,                 -- it must be the only one
  started_at bigint not null,
  draining boolean not null,
  beat bigint not null,                   -- rises with every poll
  beat_at bigint not null,                -- by the database's clock
  applied bigint not null,                -- the latest piece of news; 0: none
  lag bigint not null,                    -- milliseconds
  lease bigint not null                   -- milliseconds that were left of it
) without rowid;
