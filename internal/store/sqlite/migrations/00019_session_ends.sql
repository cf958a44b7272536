-- +goose Up

-- Sessions whose time is over, in their order; and those that ended, until they are forgotten.
create index sessions_expiring on sessions (expires_at) where state <> 0;
create index sessions_over on sessions (ended_at) where state = 0;
create index session_clients_client on session_clients (client, session);
