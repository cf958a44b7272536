-- +goose Up

-- Permits of a connection that were given before that instant count for nothing: it has ended since, though it may have been
-- opened again.
alter table connections add column permits_from bigint not null default 0;
update connections set permits_from = cast(unixepoch('subsec') * 1000 as integer) + 1 where not active;
create index permits_given on permits (conn, given_at) where ended_at = 0;

-- What people gave before there were permits becomes one for each source.
insert into permits (conn, person, person_id, id, grant_kind, scope, events, video, standing, not_before, until, kind, request, case_id, given_at)
  select a.conn, a.person, p.id, 'prm_' || lower(hex(randomblob(13))), a.grant_kind, a.scope,
    case coalesce(s.value ->> '$.flags.events', 'none') when 'none' then '' else s.value ->> '$.flags.events' end, coalesce(s.value ->> '$.flags.video', 0),
    coalesce(s.value ->> '$.standing', 'guest'),
    coalesce(cast(round(unixepoch(s.value ->> '$.not_before', 'subsec') * 1000) as integer), 0),
    coalesce(cast(round(unixepoch(s.value ->> '$.until', 'subsec') * 1000) as integer), 0),
    s.value ->> '$.kind', coalesce(s.value ->> '$.id', ''), '', cast(unixepoch('subsec') * 1000 as integer)
  from assignments a join people p on p.key = a.person, json_each(a.sources) s where s.value ->> '$.kind' in ('request', 'administrator');
update people set decided = (select count(*) from permits t where t.conn = people.conn and t.person = people.key and t.ended_at = 0), valid_until = 1
  where key in (select person from permits);

-- An assignment that no rule gave points at a permit of just that person, grant and scope. One that nothing gave is none.
update people set valid_until = 1 where key in (select a.person from assignments a where not a.by_rule
  and not exists (select 1 from permits t where t.conn = a.conn and t.person = a.person and t.grant_kind = a.grant_kind and t.scope = a.scope));
alter table assignments rename to assignments_without_permits;
drop index assignments_id;
drop index assignments_grant;
drop index assignments_primary;
drop index assignments_ceiling;
drop index assignments_scope;
drop index assignments_by_people;
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
  permit text,
  sources text not null,
  last_used_at bigint not null default 0,
  check ((by_rule and ceiling_scope is not null and permit is null) or (not by_rule and ceiling_scope is null and permit is not null)),
  foreign key (conn, person) references people (conn, key),
  foreign key (conn, grant_kind, ceiling_scope) references ceilings (conn, grant_kind, scope),
  foreign key (scope, ceiling_scope) references scope_ancestors (scope, ancestor),
  foreign key (conn, person, grant_kind, scope, permit) references permits (conn, person, grant_kind, scope, id)
);
insert into assignments (key, conn, person, id, grant_kind, scope, events, video, standing, not_before, until, by_rule, ceiling_scope, permit, sources, last_used_at)
  select * from (
    select a.key, a.conn, a.person, a.id, a.grant_kind, a.scope, a.events, a.video, a.standing, a.not_before, a.until, a.by_rule, a.ceiling_scope,
      case when not a.by_rule then (select t.id from permits t where t.conn = a.conn and t.person = a.person and t.grant_kind = a.grant_kind and t.scope = a.scope
        order by t.until = 0 desc, t.until desc, t.id limit 1) end as permit, a.sources, a.last_used_at
    from assignments_without_permits a)
  where by_rule or permit is not null;
drop table assignments_without_permits;
create unique index assignments_id on assignments (conn, id);
create unique index assignments_grant on assignments (conn, person, grant_kind, scope);
create unique index assignments_primary on assignments (conn, person) where standing = 'primary';
create index assignments_ceiling on assignments (conn, grant_kind, ceiling_scope) where ceiling_scope is not null;
create index assignments_scope on assignments (scope, ceiling_scope, grant_kind);
create index assignments_by_people on assignments (conn, grant_kind, scope) where ceiling_scope is null;
