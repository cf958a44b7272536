-- +goose Up

-- What a connection's SCIM requests of a UTC day were like, in counts: word is one of a few fixed ones, day the days since 1970.
create table scim_speech (
  conn bigint not null references connections (key),
  day bigint not null,
  word text not null,
  count bigint not null,
  primary key (conn, day, word)
) without rowid;
