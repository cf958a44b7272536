//go:build lanes

package postgres

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// wire counts what goes to the server: how often somebody waits for an answer, and how many
// statements are run.
type wire struct{ trips, statements atomic.Int64 }

type countedConn struct {
	net.Conn
	w     *wire
	heard atomic.Bool // the server has said something since the last sending
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Store(true)
	}
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	if c.heard.Swap(false) {
		c.w.trips.Add(1)
	}
	for m := b; len(m) >= 5; { // messages: their kind, then their length
		if m[0] == 'B' || m[0] == 'Q' {
			c.w.statements.Add(1)
		}
		m = m[min(len(m), 1+int(binary.BigEndian.Uint32(m[1:]))):]
	}
	return c.Conn.Write(b)
}

func (w *wire) watch(c *pgxpool.Config) {
	dial := c.ConnConfig.DialFunc
	c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &countedConn{Conn: conn, w: w}, nil
	}
}

// watched is a store of which it is counted what its lanes send.
func watched(t testing.TB, url string, lanes int, batchTime time.Duration) (*store.Store, *wire) {
	t.Helper()
	w := &wire{}
	var pools []*pgxpool.Config
	for _, n := range []int{lanes, 8, besideConns} {
		c, err := configure(url, n)
		if err != nil {
			t.Fatal(err)
		}
		pools = append(pools, c)
	}
	w.watch(pools[0])
	e, err := open(t.Context(), lanes, pools[0], pools[1], pools[2])
	if err != nil {
		t.Fatal(err)
	}
	e.batchTime = batchTime // before anybody writes
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, w
}

// queued runs fn from so many callers whose requests all wait for the same commit: the lane is
// held until all of them are in line.
func queued(t *testing.T, s *store.Store, conn access.ConnectionID, callers int, fn func(i int64) error) {
	t.Helper()
	var wg sync.WaitGroup
	in, out := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		err := s.UpdateFor(t.Context(), conn, func(*store.Tx) error { close(in); <-out; return nil })
		if err != nil {
			t.Error(err)
		}
	})
	<-in
	for i := range callers {
		wg.Go(func() {
			if err := fn(int64(i)); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // one who comes later only makes it cost more
	close(out)
	wg.Wait()
}

// cost reports what each of b's operations cost: round trips, statements, and processor time here and
// in the server.
func cost(b *testing.B, w *wire, run func()) {
	b.Helper()
	trips, statements, here, there := w.trips.Load(), w.statements.Load(), ownTime(), serverTime(b)
	run()
	each := func(n int64) float64 { return float64(n) / float64(b.N) }
	b.ReportMetric(each(w.trips.Load()-trips), "trips/op")
	b.ReportMetric(each(w.statements.Load()-statements), "statements/op")
	b.ReportMetric(each((ownTime() - here).Microseconds()), "own-µs/op")
	b.ReportMetric(each((serverTime(b) - there).Microseconds()), "server-µs/op")
}

func ownTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // never fails for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serverTime is the processor time of the server and of all its processes, in ticks of 10 ms.
func serverTime(t testing.TB) (sum time.Duration) {
	t.Helper()
	own := strconv.Itoa(server.pid)
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
		if fields[1] != own && filepath.Base(filepath.Dir(path)) != own {
			continue
		}
		for _, ticks := range fields[11:13] {
			n, err := strconv.ParseInt(ticks, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return sum
}

// People who are inserted together hardly ever wait for the server.
func TestInsertsTakeFewRoundTrips(t *testing.T) {
	const callers = 40
	s, w := watched(t, migrated(t), 1, time.Minute)
	populated(t, s, someConn)
	add := func(from int64) func(int64) error {
		return func(i int64) error { return insert(t.Context(), s, someConn, somePerson(from+i)) }
	}
	queued(t, s, someConn, 2, add(1000)) // the statements are prepared
	before := w.trips.Load()
	queued(t, s, someConn, callers, add(0))
	took := w.trips.Load() - before
	t.Logf("%d round trips for %d people", took, callers)
	if most := int64(15); took > most {
		t.Errorf("%d people took %d round trips, more than %d", callers, took, most)
	}
	if n := people(t, s); n != callers+2 {
		t.Errorf("there are %d people", n)
	}
}
