-- +goose Up

-- What an identity provider did by itself that somebody should look at: counts and ids. within: milliseconds.
create table alarms (
  id integer primary key autoincrement,
  conn bigint not null references connections (key),
  at bigint not null,
  kind text not null,
  grp text not null,                      -- the id of the group it is about; '' where it is about none
  count bigint not null,
  base bigint not null,                   -- out of how many
  within bigint not null
);
create index alarms_of on alarms (conn, at);
create index alarms_age on alarms (at);

-- What a group was until an instant: before it got another name or externalId, and before it was deleted. restore puts it back.
create table former_groups (
  conn bigint not null references connections (key),
  until bigint not null,
  id text not null,
  deleted boolean not null,
  display_name text not null,
  external_id text,
  version bigint not null,
  created_at bigint not null,
  doc text not null,
  primary key (conn, until, id, version)
) without rowid;
create index former_groups_age on former_groups (until);
