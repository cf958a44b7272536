-- +goose Up

-- A group whose members are exchanged for far fewer gets a successor: another row, prepared unseen, that takes its place in
-- one small transaction. What was the group dissolves then. staying: this member is one of the successor's, too.
alter table groups add column successor bigint;
alter table memberships add column staying boolean not null default false;
