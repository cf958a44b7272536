-- +goose Up

-- The scope tree as rows, so that the database itself knows what lies under what. gone: it left the policy's file, and
-- stays as long as an assignment that has not been decided anew stands at it. batch: of an import that is being written;
-- 0: in force.
create table scopes (
  id text not null primary key,
  parent text not null,                   -- '': the host
  level bigint not null,
  name text not null,
  timezone text not null,
  location text not null,
  retired_at bigint not null default 0,
  gone boolean not null default false,
  batch bigint not null default 0
) without rowid;
create index scopes_gone on scopes (id) where gone;
create index scopes_batch on scopes (batch, id) where batch > 0;

-- What a step below a parent leads to: the slugs of today, former ones, and those of scopes that were moved elsewhere.
-- rank: 0 is today's; former ones count up, in their order.
create table scope_slugs (
  parent text not null,
  slug text not null,
  scope text not null references scopes (id),
  rank bigint not null,
  primary key (parent, slug)
) without rowid;
create index scope_slugs_scope on scope_slugs (scope, rank);

-- What covers a scope, itself included. retired: no longer, but an assignment that has not been decided anew may need it.
create table scope_ancestors (
  scope text not null references scopes (id),
  ancestor text not null,
  retired boolean not null default false,
  primary key (scope, ancestor)
) without rowid;
create index scope_ancestors_retired on scope_ancestors (retired, scope, ancestor) where retired;

-- Imports. base is the version of the policy whose tree they add to, digest says of what; none but the last is not in force.
create table scope_batches (
  id bigint not null primary key,
  base bigint not null,
  digest text not null,
  in_force boolean not null
) without rowid;

insert into scopes (id, parent, level, name, timezone, location)
  select s.value ->> '$.id', coalesce(s.value ->> '$.parent', ''),
    case s.value ->> '$.level' when 'host' then 1 when 'service_provider' then 2 when 'account' then 3 else 4 end,
    s.value ->> '$.name', coalesce(s.value ->> '$.timezone', ''), coalesce(s.value ->> '$.location', '')
  from policy p, json_each(p.source, '$.scopes') s;
insert into scope_slugs (parent, slug, scope, rank)
  select s.value ->> '$.parent', s.value ->> '$.slug', s.value ->> '$.id', 0
  from policy p, json_each(p.source, '$.scopes') s where s.value ->> '$.parent' is not null;
insert into scope_slugs (parent, slug, scope, rank)
  select s.value ->> '$.parent', w.value, s.value ->> '$.id', w.key + 1
  from policy p, json_each(p.source, '$.scopes') s, json_each(s.value, '$.was') w where s.value ->> '$.parent' is not null;
insert into scope_ancestors (scope, ancestor)
  with recursive up (scope, ancestor) as (
    select id, id from scopes union all
    select u.scope, s.parent from up u join scopes s on s.id = u.ancestor where s.parent <> '')
  select scope, ancestor from up;

-- A ceiling is one row for each grant, at its own scope: what lies below it is what scope_ancestors says.
alter table ceilings rename to ceilings_of_scopes;
create table ceilings (
  conn bigint not null references connections (key),
  grant_kind text not null,
  scope text not null,
  retired boolean not null default false,
  primary key (conn, grant_kind, scope)
) without rowid;
create unique index ceilings_one on ceilings (conn, grant_kind) where not retired;
insert into ceilings (conn, grant_kind, scope)
  select distinct c.key, g.value, c.definition ->> '$.ceiling.scope'
  from connections c, json_each(c.definition, '$.ceiling.grants') g where c.definition ->> '$.ceiling.scope' <> '';

-- What an assignment that has not been decided anew stands at, though no ceiling covers it any more, or no tree names it.
insert into scopes (id, parent, level, name, timezone, location, gone)
  select distinct scope, '', 0, '', '', '', true from assignments a where by_rule and not exists (select 1 from scopes s where s.id = a.scope);
insert into scope_ancestors (scope, ancestor, retired)
  select id, id, true from scopes where gone;
insert into ceilings (conn, grant_kind, scope, retired)
  select distinct a.conn, a.grant_kind, a.scope, true from assignments a
  where a.by_rule and not exists (select 1 from ceilings c join scope_ancestors s on s.scope = a.scope and s.ancestor = c.scope
    where c.conn = a.conn and c.grant_kind = a.grant_kind);

-- An assignment that a rule gave points at the ceiling that covers it, and at the place in the tree for which that is so.
alter table assignments rename to assignments_of_scopes;
drop index assignments_id;
drop index assignments_grant;
drop index assignments_primary;
drop index assignments_ceiling;
create table assignments (
  key integer primary key,
  conn bigint not null,
  person bigint not null,
  id text not null,
  grant_kind text not null,
  scope text not null,
  events text not null,
  video boolean not null,
  standing text not null check (standing in ('primary', 'guest')),
  not_before bigint not null,
  until bigint not null,
  by_rule boolean not null,
  ceiling_scope text,
  sources text not null,
  check ((by_rule and ceiling_scope is not null) or (not by_rule and ceiling_scope is null)),
  foreign key (conn, person) references people (conn, key),
  foreign key (conn, grant_kind, ceiling_scope) references ceilings (conn, grant_kind, scope),
  foreign key (scope, ceiling_scope) references scope_ancestors (scope, ancestor)
);
insert into assignments (key, conn, person, id, grant_kind, scope, events, video, standing, not_before, until, by_rule, ceiling_scope, sources)
  select a.key, a.conn, a.person, a.id, a.grant_kind, a.scope, a.events, a.video, a.standing, a.not_before, a.until, a.by_rule,
    case when a.by_rule then (select c.scope from ceilings c join scope_ancestors s on s.scope = a.scope and s.ancestor = c.scope
      where c.conn = a.conn and c.grant_kind = a.grant_kind order by c.retired limit 1) end, a.sources
  from assignments_of_scopes a;
drop table assignments_of_scopes;
drop table ceilings_of_scopes;
create unique index assignments_id on assignments (conn, id);
create unique index assignments_grant on assignments (conn, person, grant_kind, scope);
create unique index assignments_primary on assignments (conn, person) where standing = 'primary';
create index assignments_ceiling on assignments (conn, grant_kind, ceiling_scope) where ceiling_scope is not null;
create index assignments_scope on assignments (scope, ceiling_scope, grant_kind);
