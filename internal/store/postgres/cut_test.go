//go:build lanes

package postgres

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// cutter stands between the engine and the server, and cuts the connection that commits
// next: before the server hears of it, or before the engine hears what became of it.
type cutter struct {
	listener net.Listener
	before   atomic.Bool
	after    atomic.Bool
	mu       sync.Mutex
	open     []net.Conn
}

func newCutter(t *testing.T) (*cutter, string) {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l}
	t.Cleanup(func() {
		_ = l.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, conn := range c.open {
			_ = conn.Close()
		}
	})
	go c.accept()
	return c, dir
}

func (c *cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", filepath.Join(server.dir, ".s.PGSQL.5432"))
		if err != nil {
			_ = client.Close()
			continue
		}
		c.mu.Lock()
		c.open = append(c.open, client, server)
		c.mu.Unlock()
		var deaf atomic.Bool
		go c.forth(client, server, &deaf)
		go back(server, client, &deaf)
	}
}

func (c *cutter) forth(client, server net.Conn, deaf *atomic.Bool) {
	defer client.Close()
	defer server.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		commits := bytes.HasPrefix(b[:n], []byte("Q")) && bytes.Contains(b[:n], []byte("commit\x00"))
		if commits && c.before.CompareAndSwap(true, false) {
			return
		}
		cut := commits && c.after.CompareAndSwap(true, false)
		deaf.Store(cut)
		if _, err := server.Write(b[:n]); err != nil {
			return
		}
		if cut {
			time.Sleep(100 * time.Millisecond) // it is committed by now
			return
		}
	}
}

func back(server, client net.Conn, deaf *atomic.Bool) {
	defer client.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		if err != nil {
			return
		}
		if !deaf.Load() {
			if _, err := client.Write(b[:n]); err != nil {
				return
			}
		}
	}
}

// A commit of which the answer is lost is looked up: nobody is told that it failed, nor that
// it succeeded, when it is not so; and what follows it runs.
func TestALostAnswerIsLookedUp(t *testing.T) {
	c, dir := newCutter(t)
	url := strings.Replace(migrated(t), server.dir, dir, 1)
	e, err := OpenEngine(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	add := func(id string) (ran, told int, err error) {
		err = e.Update(t.Context(), "", func(q store.Querier) error {
			ran++
			_, err := q.Exec("insert into clients (id, active, epoch) values ($1, true, 0)", id)
			return err
		}, func() { told++ })
		return ran, told, err
	}
	c.after.Store(true)
	if ran, told, err := add("a"); ran != 1 || told != 1 || err != nil {
		t.Errorf("the answer is lost: ran %d times, told %d times (%v)", ran, told, err)
	}
	c.before.Store(true)
	if ran, told, err := add("b"); ran != 2 || told != 1 || err != nil {
		t.Errorf("the commit is lost: ran %d times, told %d times (%v)", ran, told, err)
	}
	err = e.View(t.Context(), func(q store.Querier) error {
		var n int64
		err := q.QueryRow("select count(*) from clients").Scan(&n)
		if n != 2 {
			t.Errorf("%d rows are there", n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
