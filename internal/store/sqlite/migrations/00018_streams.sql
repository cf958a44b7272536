-- +goose Up

-- Streams of signals (Shared Signals Framework 1.0): one of each application. Instants are Unix milliseconds; 0 is none.
create table streams (
  id text not null primary key,
  client text not null,
  method text not null,
  endpoint text not null,      -- where to push; '' where it is polled
  header blob,                 -- the Authorization header of pushes, sealed; null: none
  requested text,              -- JSON array of event types; null: it did not say
  description text not null,
  status text not null,
  reason text not null,
  created_at bigint not null,
  changed_at bigint not null,
  verified_at bigint not null  -- when the receiver last asked for a verification
) without rowid;
create unique index streams_client on streams (client);

-- Whom a stream does not tell of.
create table stream_muted (
  stream text not null references streams (id),
  subject text not null,
  muted_at bigint not null,
  primary key (stream, subject)
) without rowid;

-- The people that an application has come to know: they signed in to it. It outlasts their sessions.
create table client_people (
  conn bigint not null references connections (key),
  person text not null,
  client text not null,
  primary key (client, conn, person)
) without rowid;
insert into client_people (conn, person, client)
  select distinct s.conn, s.person, c.client from session_clients c join sessions s on s.id = c.session;

-- What became of SCIM requests that were answered with 202, for whoever made them.
create table scim_results (
  key integer primary key autoincrement,
  conn bigint not null references connections (key),
  txn text not null,
  body blob not null,
  at bigint not null
);
create unique index scim_results_txn on scim_results (conn, txn);
create index scim_results_age on scim_results (conn, key);
create index scim_results_at on scim_results (at);
