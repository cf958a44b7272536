-- +goose Up

-- What an application has used up, until it ends by itself: assertions, which work once, and its own access tokens that it ended.
create table spent (
  client text not null references clients (id),
  digest blob not null,
  expires_at bigint not null,
  primary key (client, digest)
) without rowid;
create index spent_end on spent (client, expires_at);
