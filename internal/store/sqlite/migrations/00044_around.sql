-- +goose Up

-- Who set and lifted a limit, by which of their scopes ('': the operator, or a review), and why.
create table limit_notes (
  id text not null primary key,           -- the limit's
  set_by text not null,
  set_scope text not null,
  set_reason text not null,
  lifted_by text not null default '',
  lifted_reason text not null default ''
) without rowid;

-- What is out of the ordinary about an assignment, as it was decided last. since: when people gave it, or it was found.
create table exceptions (
  key integer primary key,
  conn bigint not null references connections (key),
  person bigint not null,
  person_id text not null,
  kind text not null,
  grant_kind text not null,
  scope text not null,
  until bigint not null,                  -- 0: no end
  since bigint not null,
  doc text not null                       -- JSON: what else makes it one, and where it comes from
);
create unique index exceptions_one on exceptions (conn, person, kind, grant_kind, scope);
create index exceptions_scope on exceptions (scope, key);

-- Everybody is looked at anew after a policy that may find other exceptions: under which policy all are found, which is
-- being worked under, and how far that has come. One row.
create table exceptions_pass (
  id bigint not null primary key check (id = 1),
  found bigint not null,
  working bigint not null,
  conn bigint not null,
  person bigint not null,
  looked bigint not null
) without rowid;
insert into exceptions_pass (id, found, working, conn, person, looked) values (1, 0, 0, 0, 0, 0);

-- What was observed after a permit was given: that a token stood on it, which workflows tokens opened, and which were refused.
create table handover_seen (
  permit text not null,
  kind text not null,                     -- 'token', 'opened', 'refused', 'outside'
  what text not null,                     -- the workflow; '': none
  first_at bigint not null,
  last_at bigint not null,
  primary key (permit, kind, what)
) without rowid;

-- Points of the check-list that somebody ticked by hand.
create table handover_ticks (
  permit text not null,
  point text not null,
  at bigint not null,
  by_name text not null,
  comment text not null,
  primary key (permit, point)
) without rowid;
