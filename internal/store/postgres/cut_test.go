//go:build lanes

package postgres

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// cutter stands between the engine and the server, and cuts the connection that commits
// next: before the server hears of it, or before the engine hears what became of it.
type cutter struct {
	listener net.Listener
	before   atomic.Bool
	after    atomic.Bool
	hole     atomic.Bool            // it swallows all there is
	between  atomic.Pointer[func()] // runs once the commit is lost, before the engine hears so
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
		server, err := net.Dial("unix", filepath.Join(server.Dir, ".s.PGSQL.5432"))
		if err != nil {
			_ = client.Close()
			continue
		}
		c.mu.Lock()
		c.open = append(c.open, client, server)
		c.mu.Unlock()
		var deaf atomic.Bool
		go c.forth(client, server, &deaf)
		go c.back(server, client, &deaf)
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
		commits := bytes.Contains(b[:n], []byte("commit\x00"))
		if commits && c.before.CompareAndSwap(true, false) {
			if fn := c.between.Swap(nil); fn != nil {
				_ = server.Close() // the transaction goes, and its number
				(*fn)()
			}
			return
		}
		if c.hole.Load() {
			continue
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

func (c *cutter) back(server, client net.Conn, deaf *atomic.Bool) {
	defer client.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		if err != nil {
			return
		}
		if !deaf.Load() && !c.hole.Load() {
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
	url := strings.Replace(migrated(t), server.Dir, dir, 1)
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

// throughCutter opens an engine that is patient for a second, behind a cutter, and a connection past it.
func throughCutter(t *testing.T) (*cutter, *engine, *pgx.Conn) {
	t.Helper()
	c, dir := newCutter(t)
	url := migrated(t)
	opened, err := OpenEngine(t.Context(), strings.Replace(url, server.Dir, dir, 1), Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := opened.(*engine)
	e.patience = time.Second // before any lane has a session
	t.Cleanup(func() { c.hole.Store(false); _ = e.Close() })
	past, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = past.Close(context.Background()) })
	return c, e, past
}

func addClient(e *engine, id string) (ran, told int, err error) {
	err = e.Update(context.Background(), "", func(q store.Querier) error {
		ran++
		_, err := q.Exec("insert into clients (id, active, epoch) values ($1, true, 0)", id)
		return err
	}, func() { told++ })
	return ran, told, err
}

// What a server says of a transaction's number is not believed: after a crash another has it. Nor is
// a transaction committed because others are: its own witness says so, and nothing else.
func TestOnlyItsWitnessSaysThatATransactionIsThere(t *testing.T) {
	c, e, past := throughCutter(t)
	others := func() {
		for range 50 {
			if _, err := past.Exec(context.Background(), "insert into commits (token, at, lost) values (gen_random_uuid()::text::bytea, 0, false)"); err != nil {
				t.Error(err)
			}
		}
	}
	c.between.Store(&others)
	c.before.Store(true)
	if ran, told, err := addClient(e, "a"); ran != 2 || told != 1 || err != nil {
		t.Errorf("others have committed, it has not: ran %d times, told %d times (%v)", ran, told, err)
	}
	token := newToken()
	for range 2 { // the first answer may be lost, too
		if was, err := e.witnessed(t.Context(), token); was != lost || err != nil {
			t.Errorf("no witness: %v (%v)", was, err)
		}
	}
	if _, err := past.Exec(t.Context(), witnessSQL, token); err == nil {
		t.Error("what was said to be lost was committed afterwards")
	}
	token = newToken()
	if _, err := past.Exec(t.Context(), witnessSQL, token); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if was, err := e.witnessed(t.Context(), token); was != kept || err != nil {
			t.Errorf("a witness: %v (%v)", was, err)
		}
	}
}

// While it is not known what has become of a transaction nobody is told that it is there, what it
// changed is not believed, and whoever asked is not kept waiting for ever.
func TestAskingForAWitnessIsBounded(t *testing.T) {
	_, e, past := throughCutter(t)
	token := newToken()
	for _, text := range []string{"begin", "insert into commits (token, at, lost) values ('\\x" + hex.EncodeToString(token) + "', 0, false)"} {
		if _, err := past.Exec(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	l := &lane{e: e}
	began := time.Now()
	if was, err := l.fateOf(token, io.EOF); was != unknown || !fault.Is(err, fault.Unavailable) || time.Since(began) > 10*time.Second {
		t.Errorf("it is under way: %v (%v) after %v", was, err, time.Since(began))
	}
	if _, err := past.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if was, err := l.fateOf(token, io.EOF); was != kept || err != nil {
		t.Errorf("then: %v (%v)", was, err)
	}
}

// A server that is gone without a word holds up nobody for longer than the engine is patient, and
// when it is there again everybody goes on.
func TestAServerThatIsGoneWithoutAWord(t *testing.T) {
	c, e, _ := throughCutter(t)
	if _, _, err := addClient(e, "a"); err != nil {
		t.Fatal(err)
	}
	look := func(ctx context.Context) error {
		return e.View(ctx, func(q store.Querier) error {
			var n int64
			return q.QueryRow("select count(*) from clients").Scan(&n)
		})
	}
	bounded := func(what string, limit time.Duration, fn func() error) {
		t.Helper()
		began := time.Now()
		if err := fn(); !fault.Is(err, fault.Unavailable) || time.Since(began) > limit {
			t.Errorf("%s: %v after %v", what, err, time.Since(began))
		}
	}
	during := func(fn func(store.Querier) error) (told int, err error) {
		err = e.Update(context.Background(), "", func(q store.Querier) error {
			if _, err := q.Exec("insert into clients (id, active, epoch) values ('x', true, 0)"); err != nil {
				return err
			}
			c.hole.Store(true)
			return fn(q)
		}, func() { told++ })
		return told, err
	}
	bounded("a statement", 5*time.Second, func() error {
		told, err := during(func(q store.Querier) error { _, err := q.Exec("update clients set epoch = 1"); return err })
		if told != 0 {
			t.Error("told of what failed")
		}
		return err
	})
	c.hole.Store(false)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			hole := func(q store.Querier) error {
				c.hole.Store(true)
				var n int64
				return q.QueryRow("select count(*) from clients").Scan(&n)
			}
			began := time.Now()
			if err := e.View(t.Context(), hole); !fault.Is(err, fault.Unavailable) || time.Since(began) > 15*time.Second {
				t.Errorf("a view: %v after %v", err, time.Since(began))
			}
		})
	}
	wg.Wait()
	c.hole.Store(false)
	again := func(what string, fn func() error) {
		t.Helper()
		end := time.Now().Add(40 * time.Second)
		err := fn()
		for ; err != nil && time.Now().Before(end); err = fn() {
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("%s, when the server is there again: %v", what, err)
		}
	}
	again("a view", func() error { return look(t.Context()) })
	again("a change", func() error { _, _, err := addClient(e, "b"); return err })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	bounded("a view whose caller has gone", 900*time.Millisecond, func() error {
		return e.View(ctx, func(q store.Querier) error {
			var n int64
			return q.QueryRow("select count(*) from clients, pg_sleep(5)").Scan(&n)
		})
	})
}
