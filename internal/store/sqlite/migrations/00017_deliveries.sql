-- +goose Up

-- How far the relay has read the outbox. What happened before this version came is told to nobody.
create table relay (
  one integer primary key check (one = 1),
  mark bigint not null
);
insert into relay (one, mark) select 1, coalesce(max(id), 0) from audit;

-- What waits to be sent, in the order in which it happened.
create table deliveries (
  id integer primary key autoincrement,   -- never reused: who reads a queue asks for what is behind one
  receiver text not null,
  kind text not null,
  jti text not null,
  event bigint not null,                  -- the audit row it tells of
  body text not null,
  at bigint not null,
  attempts bigint not null default 0
);
create unique index deliveries_jti on deliveries (receiver, jti);
create index deliveries_queue on deliveries (receiver, id);

-- To whom something is sent: how many wait, and how it has gone.
create table receivers (
  receiver text not null primary key,
  kind text not null,
  paused boolean not null default false,  -- nothing is sent; deliveries wait
  pending bigint not null default 0,
  failures bigint not null default 0,     -- in a row; 0: the last attempt arrived
  next_at bigint not null default 0,      -- no attempt before
  sent bigint not null default 0,
  failed bigint not null default 0,       -- attempts in vain
  refused bigint not null default 0,
  abandoned bigint not null default 0,
  last_ok_at bigint not null default 0,
  last_error_at bigint not null default 0,
  last_error text not null default ''
) without rowid;
create index receivers_pending on receivers (next_at) where pending > 0 and not paused;
