-- +goose Up

-- Families of tokens that ended before their session did. A row goes once no access token of the family can be left
-- and the hot store has forgotten its refresh token.
create table ended_families (
  id text not null primary key,
  client text not null,
  expires_at bigint not null
) without rowid;
create index ended_families_end on ended_families (expires_at);
