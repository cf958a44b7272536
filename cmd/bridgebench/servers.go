package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	goredis "github.com/redis/go-redis/v9"
)

// sql asks PostgreSQL one thing, on a connection of its own to a database.
func (d *deployment) sql(ctx context.Context, database string, into any, text string, args ...any) error {
	conn, err := pgx.Connect(ctx, strings.Replace(d.postgres, "{}", database, 1))
	if err != nil {
		return err
	}
	if into == nil {
		_, err = conn.Exec(ctx, text, args...)
	} else {
		err = conn.QueryRow(ctx, text, args...).Scan(into)
	}
	return errors.Join(err, conn.Close(ctx))
}

func (d *deployment) inRedis(ctx context.Context, section string) (string, error) {
	c := goredis.NewClient(&goredis.Options{Addr: d.redis, MaxRetries: -1})
	said, err := c.Info(ctx, section).Result()
	return said, errors.Join(err, c.Close())
}

// await waits until both servers answer.
func (d *deployment) await(ctx context.Context) error {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		_, redis := d.inRedis(ctx, "server")
		err := errors.Join(d.sql(ctx, "postgres", nil, "select 1"), redis)
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
	}
}

func (d *deployment) versions(ctx context.Context) string {
	var pg, flush, fsync string
	err := errors.Join(d.sql(ctx, "postgres", &pg, "show server_version"), d.sql(ctx, "postgres", &flush, "show synchronous_commit"), d.sql(ctx, "postgres", &fsync, "show fsync"))
	said, redis := d.inRedis(ctx, "server")
	if err := errors.Join(err, redis); err != nil {
		return err.Error()
	}
	_, said, _ = strings.Cut(said, "redis_version:")
	version, _, _ := strings.Cut(said, "\r\n")
	return fmt.Sprintf("PostgreSQL %s with fsync=%s and synchronous_commit=%s, Redis %s", pg, fsync, flush, version)
}

// database makes a database, and gives its address.
func (d *deployment) database(ctx context.Context, name string) (string, error) {
	return strings.Replace(d.postgres, "{}", name, 1), d.sql(ctx, "postgres", nil, "create database "+name)
}

// asked counts what the servers have been asked since they began.
type asked struct {
	commits int64 // transactions of the node's database
	calls   int64 // commands of Redis
	at      time.Time
}

// counted waits first until PostgreSQL has been told by its processes what they did, which
// they do once a second.
func (d *deployment) counted(ctx context.Context, database string) (a asked, err error) {
	time.Sleep(1100 * time.Millisecond)
	a.at = time.Now()
	if err := d.sql(ctx, "postgres", &a.commits, "select xact_commit + xact_rollback from pg_stat_database where datname = $1", database); err != nil {
		return a, err
	}
	said, err := d.inRedis(ctx, "commandstats")
	for line := range strings.Lines(said) {
		_, rest, ours := strings.Cut(line, ":calls=")
		var n int64
		if _, err := fmt.Sscanf(rest, "%d", &n); ours && err == nil {
			a.calls += n
		}
	}
	return a, err
}

// most is the share of a load that may have asked a server something, for what goes on
// behind it does not do so evenly.
const most = .02

// untouched measures a load, and that it asked neither server anything: what they were asked
// beyond what they are by a node that idles.
func (d *deployment) untouched(ctx context.Context, address string, t *table, what string, load func() (result, error)) error {
	at, err := pgx.ParseConfig(address)
	if err != nil {
		return err
	}
	var seen [3]asked
	var r result
	for i, between := range []func() error{nil, func() error { time.Sleep(d.idle); return nil }, func() (err error) { r, err = load(); return err }} {
		if between != nil {
			if err := between(); err != nil {
				return err
			}
		}
		if seen[i], err = d.counted(ctx, at.Database); err != nil {
			return err
		}
	}
	t.add(what, r)
	idle, busy := seen[1].at.Sub(seen[0].at).Seconds(), seen[2].at.Sub(seen[1].at).Seconds()
	beyond := func(a, b, c int64) float64 { return float64(c-b) - float64(b-a)/idle*busy }
	sql, redis := beyond(seen[0].commits, seen[1].commits, seen[2].commits), beyond(seen[0].calls, seen[1].calls, seen[2].calls)
	t.say(fmt.Sprintf("… asked of the servers during %d of them: %d transactions, %d commands of Redis; beyond those of an idle node (%.1f/s and %.1f/s)", r.ops,
		seen[2].commits-seen[1].commits, seen[2].calls-seen[1].calls, float64(seen[1].commits-seen[0].commits)/idle, float64(seen[1].calls-seen[0].calls)/idle),
		fmt.Sprintf("%.0f and %.0f", sql, redis))
	if allowed := math.Max(50, most*float64(r.ops)); sql > allowed || redis > allowed {
		t.say("… which is NOT what is promised: nothing may be asked for an introspection. A node without a lease asks for each: was the machine busy?", "")
	}
	return nil
}

// naively adds members with a transaction each, as one does without thinking of a hot row, and
// gives how many a second.
func (d *deployment) naively(ctx context.Context, during time.Duration) (float64, error) {
	address, err := d.database(ctx, "naive")
	if err != nil {
		return 0, err
	}
	if err := d.sql(ctx, "naive", nil, `create table memberships (grp bigint, person bigint, since bigint, primary key (grp, person));
		create table groups (key bigint primary key, member_count bigint, version bigint);
		create table audit (id bigint generated always as identity primary key, body text);
		create table outbox (id bigint primary key, at bigint);
		insert into groups (key, member_count, version) values (1, 0, 1)`); err != nil {
		return 0, err
	}
	cfg, err := pgxpool.ParseConfig(address)
	if err != nil {
		return 0, err
	}
	cfg.MaxConns, cfg.MinConns = 64, 64
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	var next, done atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	began := time.Now()
	for range 64 {
		wg.Go(func() {
			for time.Since(began) < during && ctx.Err() == nil {
				if err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return naive(ctx, tx, next.Add(1)) }); err != nil {
					errs <- err
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	close(errs)
	return float64(done.Load()) / took.Seconds(), errors.Join(<-errs, ctx.Err())
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
