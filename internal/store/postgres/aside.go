package postgres

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// besideConns is how many connections there are for Aside: one polls, one reads the registry, and
// one reads again what is wide.
const besideConns = 3

// Aside implements store.Aside: on connections of its own, and without the locks of those who
// write, so that a node is heard of however much there is to do. When ctx ends, the connection is cut.
func (e *engine) Aside(ctx context.Context, write bool, fn func(store.Querier) error) error {
	const where = op + ".Aside"
	conn, err := e.beside.Acquire(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	defer conn.Release()
	pg := conn.Conn().PgConn()
	uncut := context.AfterFunc(ctx, func() { _ = pg.Conn().SetDeadline(time.Unix(1, 0)) }) // what is being read fails
	s := e.sessionOf(pg, write)
	s.patience = 0 // ctx bounds it
	err = s.aside(write, fn)
	if !uncut() {
		_ = pg.Close(context.WithoutCancel(ctx)) // it is of no use any more
	}
	s.leave()
	return err
}

func (s *session) aside(write bool, fn func(store.Querier) error) error {
	if !write {
		s.begin(beginRead)
		return guard(fn, s)
	}
	s.begin("begin isolation level read committed")
	if err := guard(fn, s); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.command(context.Background(), "commit"); err != nil {
		return s.lose(err)
	}
	return nil
}

var _ store.Aside = (*engine)(nil)
