-- +goose Up

-- The refresh tokens that identity providers handed out with a sign-in, sealed: by each the
-- provider is asked from time to time whether the session still stands.
create table upstream_tokens (
  session text not null primary key references sessions (id) on delete cascade,
  conn bigint not null references connections (key),
  sealed blob not null,
  proved_at bigint not null,   -- when the provider last said that it stands
  due_at bigint not null       -- when it is asked again
) without rowid;
create index upstream_tokens_due on upstream_tokens (due_at);
create index upstream_tokens_proved on upstream_tokens (conn, proved_at);
