-- +goose Up

-- By what the identity provider knows a session: its own session, and its own name for the person.
alter table sessions add column idp_session text not null default '';
alter table sessions add column idp_subject text not null default '';
update sessions set idp_session = coalesce(json_extract(upstream, '$.Session'), ''), idp_subject = coalesce(json_extract(upstream, '$.Subject'), '') where state <> 0;
create index sessions_idp_session on sessions (conn, idp_session) where state <> 0 and idp_session <> '';
create index sessions_idp_subject on sessions (conn, idp_subject) where state <> 0 and idp_subject <> '';

-- What identity providers have said, as digests, for as long as it matters: messages that work once, and
-- what has ended there while a sign-in may be under way.
create table heard (
  conn bigint not null references connections (key),
  digest blob not null,
  heard_at bigint not null,
  expires_at bigint not null,
  primary key (conn, digest)
) without rowid;
create index heard_end on heard (conn, expires_at);

-- People who must prove a sign-in that is newer than an instant.
create table fresh_after (
  person integer not null primary key references people (key) on delete cascade,
  after_at bigint not null
);
