package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// naively adds members with a transaction each, as one does without thinking of a hot row.
func (d *deployment) naively(ctx context.Context, during time.Duration) (result, error) {
	address, err := d.database(ctx, "naive")
	if err != nil {
		return result{}, err
	}
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return result{}, err
	}
	const clients = 64
	cfg.MaxConns, cfg.MinConns = clients, clients
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return result{}, err
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, `create table memberships (grp bigint, person bigint, since bigint, primary key (grp, person));
		create table groups (key bigint primary key, member_count bigint, version bigint);
		create table audit (id bigint generated always as identity primary key, body text);
		create table outbox (id bigint primary key, at bigint);
		insert into groups (key, member_count, version) values (1, 0, 1)`); err != nil {
		return result{}, err
	}
	noBridge := &bridge{beside: d.beside}
	return noBridge.load(ctx, "", clients, during, anyCount, func(_ *wire, n int64) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return naive(ctx, tx, n) })
	})
}

func naive(ctx context.Context, tx pgx.Tx, person int64) error {
	if _, err := tx.Exec(ctx, `insert into memberships (grp, person, since) values (1, $1, 1)`, person); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `update groups set member_count = member_count + 1, version = version + 1 where key = 1`); err != nil {
		return err
	}
	var id int64
	if err := tx.QueryRow(ctx, `insert into audit (body) values ('{}') returning id`).Scan(&id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `insert into outbox (id, at) values ($1, 1)`, id)
	return err
}
