-- +goose Up

-- Member ids that an identity provider names and nobody here has, until it names them no more or an administrator has
-- seen them. unknown: how many of them a group has.
alter table groups add column unknown bigint not null default 0;
create table member_drift (
  conn bigint not null,
  grp bigint not null,
  member text not null,
  first_seen_at bigint not null,
  last_seen_at bigint not null,
  times bigint not null,
  primary key (conn, grp, member),
  foreign key (conn, grp) references groups (conn, key)
) without rowid;
create index member_drift_age on member_drift (conn, last_seen_at);
