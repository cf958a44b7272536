-- +goose Up

-- What the vendor says of technicians. person is '' as long as nobody answers to the name: the entry takes effect when
-- such a person is provisioned. lapsed: its end has been noticed.
create table register (
  key integer primary key,
  conn bigint not null references connections (key),
  who_key text not null,                  -- the name, folded
  who text not null,                      -- a userName, an e-mail address or a person's id, as the vendor wrote it
  person text not null,
  level text not null,
  until bigint not null,                  -- 0: no end
  note text not null,
  source text not null,
  set_at bigint not null,
  set_by text not null,
  lapsed boolean not null default false
);
create unique index register_who on register (conn, who_key);
create unique index register_person on register (conn, person) where person <> '';
create index register_connection on register (conn, key);
create index register_waiting on register (conn, who_key) where person = '';
create index register_ends on register (until, key) where until > 0 and not lapsed;

-- What was said of people before there was a register.
insert into register (conn, who_key, who, person, level, until, note, source, set_at, set_by)
  select conn, lower(id), id, id, asserted_level, asserted_until, '', 'before', updated_at, '' from people where asserted;
