-- +goose Up

-- Security events of identity providers that were heard, as digests, so that each counts once: the latest
-- of a connection, until they are too old to be heard again.
create table idp_signals (
  key integer primary key autoincrement,
  conn bigint not null references connections (key),
  digest blob not null,
  expires_at bigint not null
);
create unique index idp_signals_digest on idp_signals (conn, digest);
create index idp_signals_age on idp_signals (conn, key);
create index idp_signals_end on idp_signals (conn, expires_at);

-- The streams that the bridge has made at identity providers: one of each connection. Instants are Unix
-- milliseconds; 0 is never.
create table idp_streams (
  conn bigint not null primary key references connections (key),
  issuer text not null,         -- of the transmitter
  stream text not null,         -- what the transmitter calls it
  audience text not null,       -- JSON array: whom its tokens are made out to
  method text not null,
  endpoint text not null,       -- where it is polled; '' where it is pushed
  pushed_by blob,               -- the digest of the secret that pushes bring; null where it is polled
  sealed blob,                  -- how the bridge proves itself there, sealed
  status text not null,
  reason text not null,
  state text not null,          -- of the verification that is waited for; '' where none is
  created_at bigint not null,
  checked_at bigint not null,   -- when the transmitter last confirmed the stream
  asked_at bigint not null,     -- when a verification was last asked for
  verified_at bigint not null,  -- when one last came
  heard_at bigint not null,     -- when a signal last came
  polled_at bigint not null     -- when a poll last was answered
);
