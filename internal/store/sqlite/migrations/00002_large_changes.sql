-- +goose Up

-- A change of more members than one transaction may hold the writer for is written down whole, in one small transaction, and
-- carried out a row of member_edits at a time. changing: the instant of that change; 0: there is none.
alter table groups add column changing bigint not null default 0;
create index groups_changing on groups (key) where changing > 0;

create table member_edits (
  conn bigint not null,
  grp bigint not null,
  seq bigint not null,                    -- lower ones first
  body text not null,
  primary key (conn, grp, seq),
  foreign key (conn, grp) references groups (conn, key)
) without rowid;
