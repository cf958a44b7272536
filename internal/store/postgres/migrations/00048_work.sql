-- +goose Up

create table turns (
  work text collate "C" not null primary key,
  node text collate "C" not null,
  term bigint not null,
  until_at bigint not null
);

alter table receivers add column claimed_by text collate "C" not null default '';
alter table receivers add column claimed_until bigint not null default 0;

create table used_proofs (
  id bytea not null primary key,
  until_at bigint not null
);
create index used_proofs_until on used_proofs (until_at);

create table reconciled (
  one integer not null primary key check (one = 1),
  person bigint not null,
  began_at bigint not null,
  people bigint not null,
  ended_at bigint not null,
  last_people bigint not null,
  differences bigint not null
);
insert into reconciled (one, person, began_at, people, ended_at, last_people, differences) values (1, 0, 0, 0, 0, 0, 0);
