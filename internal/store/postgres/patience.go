package postgres

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// grace is how much longer than the server's own limit a server may take to answer: one that is
// gone without a word would otherwise be waited for until the system gives its connection up,
// after a quarter of an hour.
const grace = 5 * time.Second

// watch cuts the connection of a statement that takes too long, or for which nobody waits.
type watch struct {
	mu   sync.Mutex // guards what follows
	conn net.Conn   // of a statement that is under way
	gone bool       // whoever asked
}

func (w *watch) begin(conn net.Conn, patience time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return context.Canceled
	}
	w.conn = conn
	return conn.SetDeadline(time.Now().Add(patience))
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		_ = w.conn.SetDeadline(time.Time{}) // of one that is closed there is nothing to say
	}
	w.conn = nil
}

// hangUp lets no further statement begin, and the one that is under way fail.
func (w *watch) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	if w.conn != nil {
		_ = w.conn.SetDeadline(time.Unix(1, 0)) // of one that is closed there is nothing to say
	}
}

// ask runs what waits for the server, which has to answer within the session's patience: a
// connection on which it does not is closed.
func (s *session) ask(fn func() error) error {
	if s.patience == 0 {
		return fn()
	}
	if err := s.watch.begin(s.pg.Conn(), s.patience); err != nil {
		return err
	}
	err := fn()
	if overdue(err) {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.pg.Close(ended) // the first error says more
	}
	s.watch.end()
	return err
}

// overdue reports whether the server has not answered in time.
func overdue(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
