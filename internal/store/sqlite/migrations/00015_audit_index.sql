-- +goose Up

-- Which rows of the audit trail are about a person (kind 1), a group (2) or a scope (3). The sealer fills it behind the
-- requests; conn is 0 for what is the host's own.
create table audit_index (
  conn bigint not null,
  kind bigint not null,
  subject text not null,
  id bigint not null,                     -- of the row
  primary key (conn, kind, subject, id)
) without rowid;

-- Rows are looked through in commit order: all up to this id have been.
create table audit_indexed (
  one integer primary key check (one = 1),
  id bigint not null
);
insert into audit_indexed (one, id) values (1, 0);

-- What people gave beside the rules, by its place. What rules gave is found by the ceiling.
create index assignments_by_people on assignments (conn, grant_kind, scope) where ceiling_scope is null;
