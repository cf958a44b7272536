package postgres

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// A statement, a wait for a lock, and a transaction in which nothing is asked take at most
// so long: a node that hangs holds up nobody for longer.
const (
	statementTime = 30 * time.Second
	lockTime      = 10 * time.Second
	idleTime      = 30 * time.Second
)

// Sound reports whether an address of a database is one that is safe to use, without asking
// there. fault.Invalid otherwise; its text, which may hold a password, is not in the error's.
func Sound(url string) error {
	_, err := configure(url, 1)
	return err
}

// configure reads the address of a database. fault.Invalid where it says too little: a
// server elsewhere must prove who it is.
func configure(url string, connections int) (*pgxpool.Config, error) {
	const where = op + ".Open"
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Op: where, Detail: "this is no address of a PostgreSQL database: postgres://user@host/database?sslmode=verify-full", Err: err}
	}
	if err := verified(&c.ConnConfig.Config); err != nil {
		return nil, err
	}
	c.MaxConns, c.MinConns = int32(connections), 1 //nolint:gosec // a few
	c.MaxConnLifetime, c.MaxConnLifetimeJitter, c.MaxConnIdleTime = time.Hour, 10*time.Minute, 10*time.Minute
	c.ConnConfig.ConnectTimeout = acquireTime
	set := c.ConnConfig.RuntimeParams
	if set["application_name"] == "" {
		set["application_name"] = "drawbridge"
	}
	set["client_encoding"] = "UTF8"
	set["jit"] = "off" // compiling a filter takes longer than running it
	set["statement_timeout"] = milliseconds(statementTime)
	set["lock_timeout"] = milliseconds(lockTime)
	set["idle_in_transaction_session_timeout"] = milliseconds(idleTime)
	c.ConnConfig.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: 5 * time.Second}
	}
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error { return check(ctx, conn.PgConn()) } // a failover may bring another server
	return c, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// verified reports whether every server that the configuration may reach is on this machine,
// or has to show a certificate for its name.
func verified(c *pgconn.Config) error {
	servers := []*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}
	for _, s := range append(servers, c.Fallbacks...) {
		if onThisMachine(s.Host) || s.TLSConfig != nil && !s.TLSConfig.InsecureSkipVerify && s.TLSConfig.ServerName != "" {
			continue
		}
		return fault.New(fault.Invalid, op+".Open", "the database at %s is not on this machine, and need not prove who it is: add sslmode=verify-full (and sslrootcert=…) to its address", s.Host)
	}
	return nil
}

func onThisMachine(host string) bool {
	if strings.HasPrefix(host, "/") || host == "localhost" {
		return true
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// oldest is the oldest server that is known to do: 14.
const oldest = 140000

// check refuses a server on which a commit that was acknowledged could be lost, or on which
// texts would mean something else.
func check(ctx context.Context, pg *pgconn.PgConn) error {
	s, err := readSettings(ctx, pg)
	if err != nil {
		return err
	}
	return s.refused()
}

// settings are those of the server that matter.
type settings struct {
	version                               int
	commit, fsync, pages, encoding, sides string
	standby                               bool
	copies                                int  // standbys that are attached
	unbound                               bool // the user is not bound by row-level security
}

func readSettings(ctx context.Context, pg *pgconn.PgConn) (s settings, err error) {
	results, err := pg.Exec(ctx, `select current_setting('server_version_num'), current_setting('synchronous_commit'), current_setting('fsync'),
		current_setting('full_page_writes'), current_setting('server_encoding'), current_setting('synchronous_standby_names'), pg_is_in_recovery(),
		(select count(*) from pg_stat_replication), (select rolsuper or rolbypassrls from pg_roles where rolname = current_user)`).ReadAll()
	if err != nil {
		return s, fault.Wrap(fault.Unavailable, op+".Open", err)
	}
	v := results[0].Rows[0]
	s.version, err = strconv.Atoi(string(v[0]))
	s.copies, _ = strconv.Atoi(string(v[7])) // it is a number
	s.commit, s.fsync, s.pages, s.encoding, s.sides = string(v[1]), string(v[2]), string(v[3]), string(v[4]), string(v[5])
	s.standby, s.unbound = string(v[6]) == "t", string(v[8]) == "t"
	return s, fault.Wrap(fault.Internal, op+".Open", err)
}

func (s settings) refused() error {
	const where = op + ".Open"
	switch {
	case s.version < oldest:
		return fault.New(fault.Unsupported, where, "the server is PostgreSQL %d: 14 or later is needed", s.version/10000)
	case s.standby:
		return fault.New(fault.Unavailable, where, "the server is a standby, which takes no changes: give the address of the primary, or add target_session_attrs=read-write")
	case s.encoding != "UTF8":
		return fault.New(fault.Invalid, where, "the database keeps its texts as %s: make one with encoding UTF8", s.encoding)
	case s.commit != "on" && s.commit != "remote_apply":
		return fault.New(fault.Invalid, where, "synchronous_commit is %s: what was acknowledged could be lost. Set it to on for this database or user", s.commit)
	case s.fsync != "on":
		return fault.New(fault.Invalid, where, "fsync is %s: what was acknowledged could be lost with the power. Set it to on", s.fsync)
	}
	return nil
}

// Finding is something about the server that somebody should know.
type Finding struct{ Code, Text string }

// Findings looks a server over: what is not refused, and yet not as it should be.
func Findings(ctx context.Context, url string) ([]Finding, error) {
	c, err := configure(url, 1)
	if err != nil {
		return nil, err
	}
	pg, err := pgconn.ConnectConfig(ctx, &c.ConnConfig.Config)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, op+".Findings", err)
	}
	defer func() { _ = pg.Close(context.WithoutCancel(ctx)) }() // it has told all it knows
	s, err := readSettings(ctx, pg)
	if err != nil {
		return nil, err
	}
	return s.findings(), nil
}

func (s settings) findings() (found []Finding) {
	if s.sides == "" && s.copies > 0 {
		found = append(found, Finding{"no_synchronous_standby", "standbys are attached to the server, and it waits for none: when it fails for good, the one that takes over may not know the last revocations. " +
			"Set synchronous_standby_names"})
	}
	if s.unbound {
		found = append(found, Finding{"row_security_bypassed", "the database's user is a superuser, or has BYPASSRLS: row-level security, the second line that keeps connections apart, does not bind it. " +
			"Use one who owns the database and has no more rights"})
	}
	if s.pages != "on" {
		found = append(found, Finding{"partial_pages", "full_page_writes is off: a power cut may damage the database, unless its file system writes pages whole"})
	}
	return found
}
