-- +goose Up

-- The last version of the policy that concerned some of the connection's groups: what their members gain by it, rules gave.
alter table connections add column decided_partly bigint not null default 0;
