-- +goose Up

-- Who set and lifted a limit, by which of their scopes ('': the operator, or a review), and why.
create table limit_notes (
  id text not null primary key,           -- the limit's
  set_by text not null,
  set_scope text not null,
  set_reason text not null,
  lifted_by text not null default '',
  lifted_reason text not null default ''
) without rowid;
