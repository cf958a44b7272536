package postgres

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// fate is what has become of a transaction that was to commit.
type fate int

const (
	lost fate = iota // it is not there, and never will be
	kept
	unknown
)

// witnessSQL is the last thing that a transaction writes: a row that nobody else can have. Its
// number in the server says nothing: after a crash or a failover it is given out again.
const witnessSQL = `insert into commits (token, at, lost) values ($1, (extract(epoch from clock_timestamp()) * 1000)::bigint, false)`

// askSQL asks for a witness. While its transaction is under way the server makes it wait, as for
// every key that two write. Where there is none it leaves one that says so, so that asking twice
// gives one answer. It writes in any case: its own commit is acknowledged, by standbys too, after
// all that it has seen.
const askSQL = `insert into commits (token, at, lost) values ($1, (extract(epoch from clock_timestamp()) * 1000)::bigint, true)
	on conflict (token) do update set at = excluded.at returning case when commits.lost then 'lost' else 'kept' end`

// newToken is a witness's: 128 random bits, behind the time so that an index grows at its end.
func newToken() []byte {
	token := binary.BigEndian.AppendUint64(make([]byte, 0, 24), uint64(time.Now().UnixMilli())) //nolint:gosec // it only orders
	token = token[:24]
	_, _ = rand.Read(token[8:]) // it never fails
	return token
}

// fateOf asks what has become of a commit of which the answer was lost: nobody may be told that
// it failed when it did not, nor that it is there when it is not. It gives up after the engine's
// patience.
func (l *lane) fateOf(token []byte, cause error) (fate, error) {
	if answered(cause) || token == nil {
		return lost, l.s.lose(cause)
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.e.patience)
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		was, err := l.e.witnessed(ctx, token)
		switch {
		case err == nil && was == kept:
			return kept, nil
		case err == nil:
			return lost, l.s.lose(cause)
		case l.e.isClosed() || ctx.Err() != nil:
			return unknown, fault.Wrap(fault.Unavailable, op+".Update", errors.Join(cause, err))
		}
		time.Sleep(wait)
	}
}

// witnessed asks for a witness once, on a connection that is new, to a server that takes changes.
func (e *engine) witnessed(ctx context.Context, token []byte) (fate, error) {
	ctx, cancel := context.WithTimeout(ctx, lockTime+grace)
	defer cancel()
	c := e.writers.Config().ConnConfig.Config
	c.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler { // one that asks no server to leave off waiting for its standbys
		return &pgconn.DeadlineContextWatcherHandler{Conn: pg.Conn()}
	}
	pg, err := pgconn.ConnectConfig(ctx, &c)
	if err != nil {
		return unknown, err
	}
	defer func() { _ = pg.Close(ctx) }() // it has told all it knows
	if err := check(ctx, pg); err != nil {
		return unknown, err
	}
	result := pg.ExecParams(ctx, askSQL, [][]byte{token}, nil, []int16{asBinary}, nil).Read()
	switch {
	case result.Err != nil:
		return unknown, result.Err
	case len(result.Rows) == 1 && string(result.Rows[0][0]) == "kept":
		return kept, nil
	}
	return lost, nil
}
