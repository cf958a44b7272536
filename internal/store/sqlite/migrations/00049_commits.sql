-- +goose Up

-- The witnesses of transactions, by which it is known what has become of a commit whose answer was lost. Only engines that
-- several processes share write it. Kept for a while.
create table commits (
  token blob not null primary key,        -- of one transaction
  at bigint not null,                     -- by the database's clock
  lost boolean not null                   -- it was asked about, was not there, and cannot be any more
) without rowid;
create index commits_at on commits (at);
