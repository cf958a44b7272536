-- +goose Up

-- Whose turn it is to do a piece of work that one node does at a time, and until when by the database's clock. The term rises whenever the
-- work is taken: who began under an older one has lost it.
create table turns (
  work text not null primary key,
  node text not null,
  term bigint not null,
  until_at bigint not null
) without rowid;

-- Which node sends to a receiver, and until when by the database's clock.
alter table receivers add column claimed_by text not null default '';
alter table receivers add column claimed_until bigint not null default 0;

-- Proofs of a key (RFC 9449) that were used, where several nodes answer, until they are no good any more.
create table used_proofs (
  id blob not null primary key,
  until_at bigint not null
) without rowid;
create index used_proofs_until on used_proofs (until_at);

-- How far everybody has been compared with what rules and decisions give: the person behind whom it goes on, since when this
-- round goes on, how many people it has compared, and when the last whole one ended.
create table reconciled (
  one integer not null primary key check (one = 1),
  person bigint not null,
  began_at bigint not null,
  people bigint not null,
  ended_at bigint not null,
  last_people bigint not null,
  differences bigint not null
) without rowid;
insert into reconciled (one, person, began_at, people, ended_at, last_people, differences) values (1, 0, 0, 0, 0, 0, 0);
