package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
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

// await waits until both servers answer, and finds their processes.
func (d *deployment) await(ctx context.Context) error {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		err := d.find(ctx)
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
	}
}

func (d *deployment) find(ctx context.Context) error {
	said, err := d.inRedis(ctx, "server")
	if err != nil {
		return err
	}
	_, said, _ = strings.Cut(said, "process_id:")
	if _, err := fmt.Sscanf(said, "%d", &d.beside.redis); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, strings.Replace(d.postgres, "{}", "postgres", 1))
	if err != nil {
		return err
	}
	d.beside.postgres, err = parentOf(int(conn.PgConn().PID())) // its parent forks one for each connection
	return errors.Join(err, conn.Close(ctx))
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

// bound is who owns what the bridge writes in, and is bound by row-level security as in a deployment.
const bound = "drawbridge"

// database makes a database, and gives its owner's address.
func (d *deployment) database(ctx context.Context, name string) (string, error) {
	err := d.sql(ctx, "postgres", nil, `do $$ begin
		if not exists (select from pg_roles where rolname = '`+bound+`') then create role `+bound+` login; end if;
	end $$`)
	if err != nil {
		return "", err
	}
	return d.owned(name), d.sql(ctx, "postgres", nil, "create database "+name+" owner "+bound)
}

// owned is a database's address for its owner.
func (d *deployment) owned(database string) string {
	_, place, _ := strings.Cut(strings.Replace(d.postgres, "{}", database, 1), "@")
	return "postgres://" + bound + "@" + place
}

// asked counts what the servers have been asked since they began.
type asked struct {
	commits int64 // transactions of the node's database
	calls   int64 // commands of Redis
	at      time.Time
	took    time.Duration // of a difference
}

func (a asked) less(b asked) asked {
	return asked{a.commits - b.commits, a.calls - b.calls, a.at, a.at.Sub(b.at)}
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
const most = .01

// untouched measures a load, and that it asked neither server anything: how often they were asked
// during it, beside how often by a node that idles.
func (d *deployment) untouched(ctx context.Context, address string, r *report, load func() error) error {
	at, err := pgx.ParseConfig(address)
	if err != nil {
		return err
	}
	var seen [3]asked
	for i, between := range []func() error{func() error { return nil }, func() error { time.Sleep(d.idle); return nil }, load} {
		if err := between(); err != nil {
			return err
		}
		if seen[i], err = d.counted(ctx, at.Database); err != nil {
			return err
		}
	}
	idle, busy := seen[1].less(seen[0]), seen[2].less(seen[1])
	per := func(n int64, a asked) float64 { return float64(n) / a.took.Seconds() }
	r.say(fmt.Sprintf("… asked of the servers in the %.1f s around these %d: transactions, commands of Redis", busy.took.Seconds(), r.last.ops), fmt.Sprintf("%d, %d", busy.commits, busy.calls))
	allowed := max(100, int64(most*float64(r.last.ops)))
	beyond := func(busy, idle float64) bool { return (busy-idle)*r.last.took.Seconds() < float64(allowed) }
	r.promised(fmt.Sprintf("none each; a node that idles asks %.0f and %.0f a second", per(idle.commits, idle), per(idle.calls, idle)),
		beyond(per(busy.commits, busy), per(idle.commits, idle)) && beyond(per(busy.calls, busy), per(idle.calls, idle)))
	return nil
}
