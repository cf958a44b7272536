-- +goose Up

-- Which incarnation of the hot store a node hears others by; empty: it does not know, or keeps what is short-lived to itself.
alter table nodes add column hot text not null default '';
