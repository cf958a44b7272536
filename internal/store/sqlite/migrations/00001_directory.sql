-- +goose Up

-- One row: the counter above all others.
create table host (
  one integer primary key check (one = 1),
  epoch bigint not null
);
insert into host (one, epoch) values (1, 1);

create table policy (
  one integer primary key check (one = 1),
  version bigint not null,
  hash text not null,
  source text not null,
  applied_at bigint not null
);

create table connections (
  key integer primary key,
  id text not null,
  definition text not null,
  active boolean not null,
  epoch bigint not null,
  fence bigint not null default 0,        -- the last fence laid over a group
  people bigint not null default 0,
  groups bigint not null default 0,
  created_at bigint not null,
  last_scim_at bigint not null default 0
);
create unique index connections_id on connections (id);

create table clients (
  id text not null primary key,
  active boolean not null,
  epoch bigint not null
) without rowid;

-- Instants are Unix milliseconds; 0 is none. Folded names end in _key.
create table people (
  key integer primary key autoincrement,  -- never reused: a stale key finds nobody, not somebody else
  conn bigint not null references connections (key),
  id text not null,
  user_name text not null,
  user_name_key text not null,
  external_id text,
  display_name text not null,
  email text not null,
  email_key text,
  active boolean not null,
  epoch bigint not null,
  version bigint not null,
  policy bigint not null,
  fence bigint not null,                  -- decided above every fence up to this one
  valid_until bigint not null,
  claimed_level text not null,
  claimed_until bigint not null,
  asserted boolean not null,
  asserted_level text not null,
  asserted_until bigint not null,
  created_at bigint not null,
  updated_at bigint not null,
  doc text not null
);
create unique index people_page on people (conn, key);
create unique index people_id on people (conn, id);
create unique index people_name on people (conn, user_name_key);
create index people_external on people (conn, external_id) where external_id is not null;
create index people_email on people (conn, email_key) where email_key is not null;
create index people_due on people (valid_until) where valid_until > 0;
create index people_undecided on people (conn, policy);

create table tombstones (
  conn bigint not null references connections (key),
  id text not null,
  external_id text not null,
  issuer text not null,
  subject text not null,
  deleted_at bigint not null,
  primary key (conn, id)
) without rowid;
create index tombstones_external on tombstones (conn, external_id);
create index tombstones_subject on tombstones (conn, issuer, subject);

create table subjects (
  conn bigint not null,
  issuer text not null,
  subject text not null,
  person bigint not null,
  primary key (conn, issuer, subject),
  foreign key (conn, person) references people (conn, key)
) without rowid;
create unique index subjects_person on subjects (person);

create table groups (
  key integer primary key autoincrement,
  conn bigint not null references connections (key),
  id text not null,
  display_name text not null,
  name_key text not null,
  external_id text,
  member_count bigint not null default 0,
  version bigint not null,
  dissolving boolean not null default false,
  fence bigint not null default 0,        -- members decided below it are refused; 0: none lies over the group
  fence_done bigint not null default 0,   -- members up to this key have been taken for deciding
  refenced bigint not null default 0,     -- fences laid while an earlier one still lay
  created_at bigint not null,
  updated_at bigint not null,
  doc text not null
);
create unique index groups_page on groups (conn, key);
create unique index groups_id on groups (conn, id);
create unique index groups_name on groups (conn, name_key) where not dissolving;
create index groups_external on groups (conn, external_id) where external_id is not null;
create index groups_fenced on groups (key) where fence > 0;

create table memberships (
  conn bigint not null,
  grp bigint not null,
  person bigint not null,
  since bigint not null,
  primary key (grp, person),
  foreign key (conn, grp) references groups (conn, key),
  foreign key (conn, person) references people (conn, key)
) without rowid;
create index memberships_person on memberships (person, grp);

-- What the rules of a connection may give at most. retired: no longer allowed, but
-- still held by assignments that have not been decided anew.
create table ceilings (
  conn bigint not null references connections (key),
  grant_kind text not null,
  scope text not null,
  retired boolean not null default false,
  primary key (conn, grant_kind, scope)
) without rowid;

-- An assignment that a rule gave points at its row of the ceiling; one that only
-- people gave points at none.
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
  check ((by_rule and ceiling_scope is not null and ceiling_scope = scope) or (not by_rule and ceiling_scope is null)),
  foreign key (conn, person) references people (conn, key),
  foreign key (conn, grant_kind, ceiling_scope) references ceilings (conn, grant_kind, scope)
);
create unique index assignments_id on assignments (conn, id);
create unique index assignments_grant on assignments (conn, person, grant_kind, scope);
create unique index assignments_primary on assignments (conn, person) where standing = 'primary';
create index assignments_ceiling on assignments (conn, grant_kind, ceiling_scope) where ceiling_scope is not null;

-- Ended sessions outlive their person, so they name it by id.
create table sessions (
  id text not null primary key,
  conn bigint not null references connections (key),
  person text not null,
  state bigint not null,
  active text not null,
  version bigint not null,
  host_epoch bigint not null,
  connection_epoch bigint not null,
  person_epoch bigint not null,
  auth_at bigint not null,
  created_at bigint not null,
  expires_at bigint not null,
  ended_at bigint not null,
  end_reason text not null,
  upstream text not null,
  cookie blob not null
) without rowid;
create unique index sessions_cookie on sessions (cookie);
create index sessions_live on sessions (conn, person) where state <> 0;

create table session_clients (
  session text not null references sessions (id),
  client text not null,
  primary key (session, client)
) without rowid;

create table scim_tokens (
  public_id text not null primary key,
  conn bigint not null references connections (key),
  digest blob not null,
  note text not null,
  tail text not null,
  created_at bigint not null,
  expires_at bigint not null,
  last_used_at bigint not null default 0,
  revoked_at bigint not null default 0
) without rowid;
create index scim_tokens_connection on scim_tokens (conn, created_at);

create table signing_keys (
  id text not null primary key,
  algorithm text not null,
  sealed blob not null,
  public blob not null,
  state text not null,
  created_at bigint not null
) without rowid;

-- conn 0 is the host's own chain. seq, prev and hash are set by the sealer.
create table audit (
  id integer primary key,                 -- rows are never removed
  conn bigint not null,
  person text,
  body text not null,
  personal text,
  salt blob,
  personal_digest blob,
  seq bigint,
  prev blob,
  hash blob
);
create unique index audit_chain on audit (conn, seq) where seq is not null;
create index audit_person on audit (conn, person, id) where person is not null;

create table audit_heads (
  conn bigint not null primary key,
  seq bigint not null,
  hash blob not null
);
-- Rows are sealed in commit order: all up to this id are.
create table audit_sealed (
  one integer primary key check (one = 1),
  id bigint not null
);
insert into audit_sealed (one, id) values (1, 0);

create table outbox (
  id integer primary key,                 -- of the audit row it tells
  at bigint not null
);
