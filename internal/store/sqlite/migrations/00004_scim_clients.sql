-- +goose Up

-- OAuth clients of a connection's identity provider. Instants are Unix milliseconds; 0 is none.
create table scim_clients (
  id text not null primary key,
  conn bigint not null references connections (key),
  name text not null,
  created_at bigint not null,
  last_used_at bigint not null default 0,
  last_used_by text not null default '',  -- the kind of proof: secret, key or federation
  revoked_at bigint not null default 0
) without rowid;
create index scim_clients_connection on scim_clients (conn, created_at);

create table scim_client_secrets (
  public_id text not null primary key,
  client text not null references scim_clients (id),
  digest blob not null,
  note text not null,
  tail text not null,
  created_at bigint not null,
  expires_at bigint not null,
  last_used_at bigint not null default 0,
  revoked_at bigint not null default 0
) without rowid;
create index scim_client_secrets_client on scim_client_secrets (client, created_at);

-- Assertions that a client has used, until they end by themselves: each works once.
create table used_assertions (
  client text not null references scim_clients (id),
  digest blob not null,
  expires_at bigint not null,
  primary key (client, digest)
) without rowid;
create index used_assertions_end on used_assertions (client, expires_at);
