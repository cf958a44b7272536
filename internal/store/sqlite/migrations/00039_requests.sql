-- +goose Up

-- Requests for access, with what was decided, for ever. Ids begin with their instant, so that they sort by it. People are
-- named as they are shown, since requests outlast them; an operator who asks has no connection and the name they gave.
create table requests (
  id text not null primary key,
  state text not null,         -- 'open', 'granted', 'denied', 'withdrawn', 'lapsed', 'unconfirmed', 'expired'
  by_conn text not null,
  by_person text not null,
  for_conn text not null,
  for_person text not null,
  scope text not null,         -- that is asked for
  approvers text not null,     -- who decides: 'scope_administrators', 'service_owners'
  case_id text not null,       -- '': none
  waits bigint not null,       -- 1: people still have something to decide
  decide_by bigint not null,   -- it lapses then; Unix milliseconds
  doc text not null            -- JSON: all else
) without rowid;
create index requests_state on requests (state, id, scope);
create index requests_scope on requests (scope, id, state);
create index requests_waiting on requests (waits, scope, id);
create index requests_for on requests (for_conn, for_person, id);
create index requests_by on requests (by_conn, by_person, id);
create index requests_case on requests (case_id, id) where case_id <> '';
create index requests_waiting_case on requests (waits, case_id, id) where case_id <> '';
create index requests_due on requests (waits, decide_by, id);

-- What each approver gave, in their order.
create table request_approvals (
  request text not null references requests (id),
  n bigint not null,
  conn text not null,
  person text not null,
  doc text not null,           -- JSON: when, what, and a comment
  primary key (request, n)
) without rowid;
create unique index request_approvals_once on request_approvals (request, conn, person);

-- What access belongs to: a ticket, a project, an engagement, an investigation of the vendor's.
create table cases (
  id text not null primary key,
  number text not null,        -- it begins with the instant at which it was first named, so that cases sort by it
  opened_at bigint not null,
  closed_at bigint not null default 0,   -- 0: it is open
  waiting bigint not null default 0,     -- requests that wait for a decision
  mark text,                             -- the last permit that ended with it and was told of; null: all are told of
  doc text not null            -- JSON: how it was closed
) without rowid;
create unique index cases_number on cases (number);
create index cases_open on cases (number) where closed_at = 0;
create index cases_untold on cases (id) where mark is not null;
create index cases_lapsing on cases (id) where closed_at > 0 and waiting > 0;

-- Permits whose end is told of before, and when that is next.
create table permit_watch (
  permit text not null primary key,
  next_at bigint not null
) without rowid;
create index permit_watch_next on permit_watch (next_at, permit);

-- All permits of a case, and all at a scope.
create index permits_of_case on permits (case_id, id) where case_id <> '';
create index permits_at on permits (scope, id);

-- Who administers a scope.
create index assignments_administrators on assignments (scope, conn, person) where grant_kind = 'administrator';
