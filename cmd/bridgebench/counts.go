package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"
)

// sampled is how many refresh families are weighed.
const sampled = 200

// familySize is the mean of what Redis keeps a refresh family in, in bytes, over n of them.
func (d *deployment) familySize(ctx context.Context) (mean, n int64, err error) {
	c := goredis.NewClient(&goredis.Options{Addr: d.redis, MaxRetries: -1})
	defer func() { err = errors.Join(err, c.Close()) }()
	all := c.Scan(ctx, 0, "*:fam:r:*", 1000).Iterator()
	var sum int64
	for n < sampled && all.Next(ctx) {
		size, err := c.MemoryUsage(ctx, all.Val()).Result()
		if errors.Is(err, goredis.Nil) {
			continue // it has expired
		}
		if err != nil {
			return 0, 0, err
		}
		sum, n = sum+size, n+1
	}
	return sum / max(n, 1), n, all.Err()
}

// counting has PostgreSQL count statements in a database, or no longer; they cost a little then.
func (d *deployment) counting(ctx context.Context, on string) error {
	for _, text := range []string{"create extension if not exists pg_stat_statements", "alter system set pg_stat_statements.track = '" + on + "'",
		"alter system set pg_stat_statements.track_utility = off", "select pg_reload_conf()", "select pg_stat_statements_reset()"} {
		if err := d.sql(ctx, "postgres", nil, text); err != nil {
			return fmt.Errorf("PostgreSQL cannot count statements, which takes its module pg_stat_statements: %w", err)
		}
	}
	return nil
}

// statements counts how many a load has PostgreSQL run, and commands Redis, for each of its requests: beside what
// a node asks by itself meanwhile, of which that is a little part.
func (d *deployment) statements(ctx context.Context, address string, r *report, what string, load func() (result, error)) (err error) {
	at, err := pgx.ParseConfig(address)
	if err != nil {
		return err
	}
	if err := d.counting(ctx, "top"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.counting(ctx, "none")) }()
	before, err := d.counted(ctx, at.Database)
	if err != nil {
		return err
	}
	done, err := load()
	if err != nil {
		return err
	}
	var calls int64
	if err := d.sql(ctx, "postgres", &calls, "select coalesce(sum(s.calls), 0)::bigint from pg_stat_statements s join pg_database b on b.oid = s.dbid where b.datname = $1", at.Database); err != nil {
		return err
	}
	after, err := d.counted(ctx, at.Database)
	if err != nil {
		return err
	}
	each := func(n int64) float64 { return float64(n) / float64(max(1, done.ops)) }
	r.say(fmt.Sprintf("… statements of PostgreSQL, transactions, commands of Redis for each of %d %s (16 sign-ins included)", done.ops, what),
		fmt.Sprintf("%.1f, %.1f, %.1f", each(calls), each(after.less(before).commits), each(after.less(before).calls)))
	return nil
}
