-- +goose Up

-- When a stream's receiver last did something with it, to the hour where it only looks; 0: nobody knows.
alter table streams add column active_at bigint not null default 0;
