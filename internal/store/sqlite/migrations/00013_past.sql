-- +goose Up

-- When a session last stood on the assignment, to the minute.
alter table assignments add column last_used_at bigint not null default 0;
