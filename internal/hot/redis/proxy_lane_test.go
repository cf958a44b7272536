//go:build lanes

package redis

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// What the way to the server does to what is sent on it.
const (
	passes   = iota
	cuts     // resets connections, new ones too
	halts    // carries nothing, and says nothing of it
	swallows // carries what is asked, and no answer
)

// way is a way to a server that can be broken.
type way struct {
	t        *testing.T
	to       string
	listener net.Listener
	is       atomic.Int32
	losing   atomic.Int32 // > 0: after so many answers, the next is lost and its connection reset
	over     chan struct{}
	all      sync.WaitGroup

	mu   sync.Mutex // guards open
	open map[*net.TCPConn]bool
}

// wayTo lays a way to a server.
func wayTo(t *testing.T, s *server) *way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	ok(t, err)
	w := &way{t: t, to: s.Address(), listener: l, over: make(chan struct{}), open: map[*net.TCPConn]bool{}}
	w.all.Go(w.accept)
	t.Cleanup(func() {
		close(w.over)
		_ = l.Close() //nolint:errcheck // it is over
		w.reset()
		w.all.Wait()
	})
	return w
}

func (w *way) where() Server {
	return Server{Addresses: []string{w.listener.Addr().String()}, Password: secret.New(password)}
}

// turns makes the way another.
func (w *way) turns(is int32) {
	w.is.Store(is)
	if is == cuts {
		w.reset()
	}
}

func (w *way) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		_ = c.SetLinger(0) //nolint:errcheck // it may be closed
		_ = c.Close()      //nolint:errcheck // it may be closed
	}
}

func (w *way) keep(c *net.TCPConn, open bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if open {
		w.open[c] = true
		return
	}
	delete(w.open, c)
}

func (w *way) accept() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.all.Go(func() { w.carry(c.(*net.TCPConn)) })
	}
}

// carry joins a caller and the server until one of them has enough.
func (w *way) carry(from *net.TCPConn) {
	if w.is.Load() == cuts {
		_ = from.SetLinger(0) //nolint:errcheck // it is closed below
		_ = from.Close()      //nolint:errcheck // a test
		return
	}
	c, err := net.Dial("tcp", w.to) //nolint:noctx // a test
	if err != nil {
		_ = from.Close() //nolint:errcheck // a test
		return
	}
	to := c.(*net.TCPConn)
	w.keep(from, true)
	w.keep(to, true)
	var both sync.WaitGroup
	both.Go(func() { w.pump(from, to, func() bool { return false }, halts) })
	both.Go(func() {
		w.pump(to, from, func() bool { return w.losing.Load() > 0 && w.losing.Add(-1) == 0 }, halts, swallows)
	})
	both.Wait()
	w.keep(from, false)
	w.keep(to, false)
}

// pump carries one direction; what comes while the way is held up waits, as on a network.
func (w *way) pump(from, to *net.TCPConn, lost func() bool, held ...int32) {
	defer func() {
		_ = to.SetLinger(0) //nolint:errcheck // it may be closed
		_ = to.Close()      //nolint:errcheck // it may be closed
		_ = from.Close()    //nolint:errcheck // it may be closed
	}()
	buffer := make([]byte, 256<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || lost() || !w.free(held) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// free waits until the way carries again: false if it never will.
func (w *way) free(held []int32) bool {
	for slices.Contains(held, w.is.Load()) {
		select {
		case <-w.over:
			return false
		case <-time.After(2 * time.Millisecond):
		}
	}
	return true
}
