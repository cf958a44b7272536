-- +goose Up

create table commits (
  token bytea not null primary key,
  at bigint not null,
  lost boolean not null
);
create index commits_at on commits (at);
