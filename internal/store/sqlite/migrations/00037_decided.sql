-- +goose Up

-- What people decided that somebody may hold. Rows stay for ever, and outlast their person: person is the key of the row
-- of people, which is never used again, person_id the id that is shown. Instants are Unix milliseconds; 0 is none.
create table permits (
  key integer primary key,
  conn bigint not null references connections (key),
  person bigint not null,
  person_id text not null,
  id text not null,
  grant_kind text not null,
  scope text not null,
  events text not null,
  video boolean not null,
  standing text not null check (standing in ('primary', 'guest')),
  not_before bigint not null,
  until bigint not null,
  kind text not null check (kind in ('request', 'administrator')),
  request text not null,                  -- '': an act without one
  case_id text not null,                  -- '': none
  given_at bigint not null,
  ended_at bigint not null default 0,     -- 0: it lives, though until may be past
  end_reason text not null default ''
);
create unique index permits_id on permits (id);
create unique index permits_grant on permits (conn, person, grant_kind, scope, id);
create index permits_person on permits (conn, person_id, id);
create index permits_living on permits (conn, person, grant_kind, scope) where ended_at = 0;
create index permits_case on permits (case_id, scope, id) where ended_at = 0 and case_id <> '';
create index permits_until on permits (until, id) where ended_at = 0 and until > 0;
create index permits_scope on permits (scope, id) where ended_at = 0;

-- What was taken from one person, within a scope. Rows stay for ever.
create table limits (
  key integer primary key,
  conn bigint not null references connections (key),
  person bigint not null,
  person_id text not null,
  id text not null,
  scope text not null,
  grant_kind text not null,               -- '': all
  withheld boolean not null,
  events text,                            -- the most that may be seen; null: not limited
  no_video boolean not null,
  set_at bigint not null,
  lifted_at bigint not null default 0     -- 0: it binds
);
create unique index limits_id on limits (id);
create index limits_person on limits (conn, person_id, id);
create index limits_binding on limits (conn, person) where lifted_at = 0;

-- How many permits that live and limits that bind a person has: who has none is not asked for them.
alter table people add column decided bigint not null default 0;
