-- +goose Up

-- The SCIM requests of each connection, the newest of those that were answered and of
-- those that were refused. people and marks are lists of words with a space around
-- each: ids of others whom a request touched, and keyed digests of names in it.
create table scim_log (
  id integer primary key autoincrement,   -- never reused: who follows the log asks for what is behind one
  conn bigint not null references connections (key),
  at bigint not null,
  failed boolean not null,
  person text,                            -- by id, whom the request is about
  people text not null,
  marks text not null,
  body text not null
);
create index scim_log_ring on scim_log (conn, failed, id);
create index scim_log_person on scim_log (conn, person) where person is not null;
