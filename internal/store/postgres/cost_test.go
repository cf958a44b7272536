//go:build lanes

package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
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
	e, w := watchedEngine(t, url, lanes, batchTime, writers)
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return s, w
}

// The pools that can be watched.
const (
	writers = iota
	readers
)

func watchedEngine(t testing.TB, url string, lanes int, batchTime time.Duration, which int) (*engine, *wire) {
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
	w.watch(pools[which])
	e, err := open(t.Context(), lanes, pools[0], pools[1], pools[2])
	if err != nil {
		t.Fatal(err)
	}
	e.batchTime = batchTime // before anybody writes
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, w
}

// queued runs fn from so many callers whose requests all wait for the same commit: the lane is
// held until all of them are in line.
func queued(t *testing.T, s *store.Store, conn access.ConnectionID, callers int, fn func(i int64) error) {
	t.Helper()
	var wg sync.WaitGroup
	var once sync.Once // it may run again
	in, out := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		err := s.UpdateFor(t.Context(), conn, func(*store.Tx) error { once.Do(func() { close(in) }); <-out; return nil })
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
	own := strconv.Itoa(server.PID())
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

// What was sent later and fails is said to whom it belongs to, as if it had been asked at once; what
// others of the same commit do is done.
func TestWhatIsSentLaterFailsForItsOwner(t *testing.T) {
	s, _ := watched(t, migrated(t), 1, time.Minute)
	populated(t, s, someConn)
	fill(t, s, 30)
	g := hotGroup(t, s)
	keys := keysOf(t, s, 30)
	if added, err := joined(t, s, g, keys[0]); err != nil || len(added) != 1 {
		t.Fatalf("the first member: %v (%v)", added, err)
	}
	queued(t, s, someConn, 40, func(i int64) error {
		switch i % 4 {
		case 0:
			return insert(t.Context(), s, someConn, somePerson(1000+i))
		case 1:
			p := somePerson(1000 + i)
			p.UserName = somePerson(3).UserName
			if err := insert(t.Context(), s, someConn, p); !fault.Is(err, fault.Conflict) || fault.ReasonOf(err) != "user_name" {
				return fmt.Errorf("a name that somebody has: %w", err)
			}
		case 2:
			if added, err := joined(t, s, g, keys[0]); err != nil || len(added) != 0 {
				return fmt.Errorf("a member joins again: %v (%w)", added, err)
			}
		case 3:
			if added, err := joined(t, s, g, keys[1+i/4]); err != nil || len(added) != 1 {
				return fmt.Errorf("somebody joins: %v (%w)", added, err)
			}
		}
		return nil
	})
	if n := people(t, s); n != 40 {
		t.Errorf("there are %d people", n)
	}
	err := s.View(t.Context(), func(v *store.View) error {
		d, err := v.In(someConn)
		if err != nil {
			return err
		}
		now, err := d.Group(g.ID)
		if now.MemberCount != 11 || now.Version != 12 {
			t.Errorf("the group has %d members, at version %d", now.MemberCount, now.Version)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func joined(t *testing.T, s *store.Store, g store.Group, key store.PersonKey) (added []store.PersonKey, err error) {
	t.Helper()
	err = s.UpdateFor(t.Context(), someConn, func(tx *store.Tx) error {
		g := g
		d, err := tx.In(someConn)
		if err == nil {
			added, err = d.AddMembers(&g, []store.PersonKey{key}, someDay)
		}
		return err
	})
	return added, err
}

func keysOf(t testing.TB, s *store.Store, people int) (keys []store.PersonKey) {
	t.Helper()
	ids := make([]access.PersonID, people)
	for i := range ids {
		ids[i] = somePerson(int64(i)).ID
	}
	err := s.View(t.Context(), func(v *store.View) error {
		d, err := v.In(someConn)
		if err != nil {
			return err
		}
		found, err := d.Keys(ids)
		keys = slices.Sorted(maps.Values(found))
		return err
	})
	if err != nil || len(keys) != people {
		t.Fatalf("%d keys of %d people (%v)", len(keys), people, err)
	}
	return keys
}

// Whoever reads on from a key misses nobody who is inserted later: keys rise within a connection,
// whichever lanes write in it.
func TestKeysRiseWithinAConnection(t *testing.T) {
	url := migrated(t)
	ids := []access.ConnectionID{"c0", "c1", "c2"}
	one, other := populated(t, node(t, url), ids...), node(t, url)
	var wg sync.WaitGroup
	for i := range int64(240) {
		wg.Go(func() {
			s := []*store.Store{one, other}[i%2]
			if err := insert(t.Context(), s, ids[i%3], somePerson(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	conn, err := pgx.Connect(t.Context(), strings.Replace(url, "user=drawbridge", "user=postgres", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var people, fell int
	err = conn.QueryRow(t.Context(), `select count(*), count(*) filter (where key < before) from (
		select p.key, lag(p.key) over (partition by p.conn order by a.id) as before from audit a join people p on p.id = a.person and p.conn = a.conn) k`).Scan(&people, &fell)
	if err != nil || people != 240 || fell != 0 {
		t.Errorf("of %d people, %d have a lower key than one inserted before (%v)", people, fell, err)
	}
}

// What a server has planned for a directory that was empty is forgotten while it grows, also where
// something is asked only once it is large.
func TestPlansAreForgottenAsADirectoryGrows(t *testing.T) {
	s := newSession(nil, nil, true)
	often, later := &statement{planned: plannedAnew}, &statement{planned: plannedAnew}
	s.stmts["often"], s.stmts["later"] = often, later
	for _, st := range []*statement{often, later} {
		var anew []int
		for range 1000 {
			if s.beginWrite(); slices.ContainsFunc(s.ahead, func(p piece) bool { return p.text == "discard plans" }) {
				anew = append(anew, st.ran)
			}
			s.used(st)
		}
		if want := []int{64, 256}; !slices.Equal(anew, want) {
			t.Errorf("they are forgotten when it has run %v times, not %v", anew, want)
		}
	}
}
