-- +goose Up

-- What people have agreed that an application may know and do. A person's id is never
-- used again, so no agreement outlives its person.
create table consents (
  conn bigint not null references connections (key),
  person text not null,
  client text not null,
  scopes text not null,                   -- OAuth scopes in order, by spaces
  at bigint not null,
  primary key (conn, person, client)
) without rowid;
