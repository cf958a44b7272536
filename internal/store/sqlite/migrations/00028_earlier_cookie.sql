-- +goose Up

-- The digest of the cookie's secret before the present one, and until when it still finds the session: the answer that
-- brought the present one may have got lost. Both are empty once the present one has come.
alter table sessions add column cookie_before blob;
alter table sessions add column cookie_until integer not null default 0;
create index sessions_cookie_before on sessions (cookie_before) where cookie_before is not null;
