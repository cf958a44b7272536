//go:build lanes

package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// fold and instant say in SQL what they say in Go: of every letter, and of texts in between.
func TestFunctionsSayWhatGoSays(t *testing.T) {
	e, err := OpenEngine(t.Context(), migrated(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	texts := []string{"", "a", "ÉCOLE", "e\u0301cole", "ß ẞ ſ K Å", "İstanbul ıI", "ΣΑΣ σας", "Ǆ ǅ ǆ", "ﬃ", "🚚 Kraków", "x\u0307\u0323"}
	for _, some := range unicode.CaseRanges {
		var b strings.Builder
		for r := rune(some.Lo); r <= rune(some.Hi); r++ {
			b.WriteRune(r)
			b.WriteByte(' ')
		}
		texts = append(texts, b.String())
	}
	times := []string{"", "x", "2026-11-20T09:30:00Z", "2026-11-20T09:30:00", "2026-11-20t09:30:00z", "2026-11-20T09:30:00.1234567891+01:30", "2026-02-29T00:00:00Z", "2024-02-29T23:59:59-23:59",
		"0000-01-01T00:00:00Z", "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2026-11-20T24:00:00Z", "2026-11-20T9:30:00Z", "2026-11-20T09:30:60Z", "2026-11-20T09:30:00,5Z",
		"2026-11-20T09:30:00.Z", "2026-11-20T09:30Z", "2026-13-01T00:00:00Z", "2026-11-20T09:30:00+24:00", "2026-11-20T09:30:00+25:00", "2026-11-20T09:30:00.5", " 2026-11-20T09:30:00Z", "2026-11-20T09:30:00Z\n"}
	err = e.View(t.Context(), func(q store.Querier) error {
		ask := func(function, text, want string) {
			var got string
			if err := q.QueryRow("select "+function+"($1)", text).Scan(&got); err != nil || got != want {
				t.Errorf("%s(%q) is %q in SQL, %q in Go (%v)", function, text, got, want, err)
			}
		}
		for _, text := range texts {
			ask("fold", text, store.Fold(text))
		}
		for _, text := range times {
			ask("instant", text, store.Instant(text))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Several nodes start at once on a database in which nothing is.
func TestNodesStartAtOnce(t *testing.T) {
	databases.mu.Lock()
	url := address("drawbridge", empty(t))
	databases.mu.Unlock()
	if pending, err := Pending(t.Context(), url); err != nil || len(pending) == 0 {
		t.Errorf("%d migrations are pending (%v)", len(pending), err)
	}
	if _, err := Open(t.Context(), url, Options{LeaveSchema: true}); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.DetailOf(err), "lacks 00046_directory.sql, ") {
		t.Errorf("a start that leaves the schema: %v", err)
	}
	if pending, err := Pending(t.Context(), url); err != nil || len(pending) < 2 {
		t.Errorf("asking and refusing put in all but %v (%v)", pending, err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := Open(t.Context(), url, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if pending, err := Pending(t.Context(), url); err != nil || len(pending) != 0 {
		t.Errorf("then %v are pending (%v)", pending, err)
	}
	settled, err := Open(t.Context(), url, Options{LeaveSchema: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := settled.Close(); err != nil {
		t.Error(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	do := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			if _, err := conn.Exec(t.Context(), text); err != nil {
				t.Fatal(err)
			}
		}
	}
	says := "comment on table goose_db_version is '" + oldestSays
	do("insert into goose_db_version (version_id, is_applied) values (99999, true)", "comment on function fold(text) is 'of a newer program'")
	for comment, opens := range map[string]bool{says + "51'": true, says + "99999'": false, says + "x'": false, "comment on table goose_db_version is null": false, "comment on table goose_db_version is 'ours'": false} {
		do(comment)
		for _, leave := range []bool{false, true} {
			s, err := Open(t.Context(), url, Options{LeaveSchema: leave})
			switch {
			case opens && err == nil:
				err = s.Close()
			case !opens && (fault.Is(err, fault.Unsupported) || fault.Is(err, fault.Invalid)):
				err = nil
			}
			if err != nil {
				t.Errorf("a newer schema, %s: %v", comment, err)
			}
		}
	}
	var functions string
	if err := conn.QueryRow(t.Context(), functionsThere).Scan(&functions); err != nil || functions != "of a newer program" {
		t.Errorf("the functions are now %q (%v)", functions, err)
	}
}

// What one connection writes does not wait for another's.
func TestConnectionsWriteAtTheSameTime(t *testing.T) {
	s := populated(t, openStore(t), "c1", "c2")
	in := func(conn access.ConnectionID, fn func()) error {
		return s.UpdateFor(t.Context(), conn, func(tx *store.Tx) error {
			if _, err := tx.In(conn); err != nil {
				return err
			}
			fn()
			return nil
		})
	}
	entered, leave := make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	var once sync.Once
	go func() { first <- in("c1", func() { once.Do(func() { close(entered) }); <-leave }) }()
	<-entered
	if err := in("c2", func() {}); err != nil {
		t.Error(err)
	}
	select {
	case err := <-first:
		t.Errorf("the first has ended: %v", err)
	default:
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// Whoever wants the lock of a connection does not wait for it with what others have written in the
// same transaction: who has the lock may wait for just that.
func TestNobodyWaitsForALockWithWhatOthersWrote(t *testing.T) {
	e, err := OpenEngine(t.Context(), deadlocked(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() }) //nolint:errcheck // a test
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	populated(t, s, "c1")
	e.(*engine).batchTime = time.Minute // before anybody else writes
	for _, kind := range []string{"it has written nothing", "it has written"} {
		t.Run(kind, func(t *testing.T) {
			began := time.Now()
			var all sync.WaitGroup
			update := func(conn access.ConnectionID, fn func(store.Querier) error) {
				all.Go(func() {
					if err := e.Update(t.Context(), conn, fn, func() {}); err != nil {
						t.Error(err)
					}
				})
			}
			entered, wrote, queued := make(chan struct{}), make(chan struct{}), make(chan struct{})
			var enteredOnce, wroteOnce sync.Once
			update("c1", func(q store.Querier) error {
				if _, err := q.Exec("update clients set epoch = epoch + 1 where id = 'nobody'"); err != nil { // the lock is sent with it
					return err
				}
				enteredOnce.Do(func() { close(entered) })
				<-wrote
				time.Sleep(100 * time.Millisecond) // the other has asked for the lock
				_, err := q.Exec("update connections set people = people + 0 where id = 'c1'")
				return err
			})
			<-entered
			update("", func(q store.Querier) error {
				_, err := q.Exec("update connections set last_scim_at = last_scim_at + 1 where id = 'c1'")
				wroteOnce.Do(func() { <-queued; close(wrote) })
				return err
			})
			time.Sleep(50 * time.Millisecond) // it is in line before the next
			update("", func(q store.Querier) error {
				if kind == "it has written" {
					if _, err := q.Exec("update clients set epoch = epoch + 1 where id = 'nobody'"); err != nil {
						return err
					}
				}
				if err := q.Enter("c1"); err != nil {
					return err
				}
				_, err := q.Exec("update connections set last_scim_at = last_scim_at + 1 where id = 'c1'")
				return err
			})
			time.Sleep(50 * time.Millisecond)
			close(queued)
			all.Wait()
			if took := time.Since(began); took > lockTime/2 {
				t.Errorf("they waited for each other: %s", took)
			}
		})
	}
	if err := e.View(t.Context(), func(q store.Querier) error {
		var n int64
		err := q.QueryRow("select last_scim_at from connections where id = 'c1'").Scan(&n)
		if n != 4 {
			t.Errorf("%d of four updates are there", n)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// deadlocked is a database whose server does not look for deadlocks: whoever waits for each other waits
// as long as one waits for a lock.
func deadlocked(t testing.TB) string {
	t.Helper()
	url := migrated(t)
	_, database, _ := strings.Cut(url, "dbname=")
	if err := admin(database, "alter database "+database+" set deadlock_timeout = '1h'"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin(database, "alter database "+database+" reset deadlock_timeout"); err != nil {
			t.Error(err)
		}
	})
	return url
}

// What is refused by something that another has changed in the same commit is told so when that has
// been committed, and everybody knows.
func TestWhoeverIsRefusedIsAnsweredWithTheCommitThatRefused(t *testing.T) {
	e, err := OpenEngine(t.Context(), migrated(t), Options{Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() }) //nolint:errcheck // a test
	hold, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var all sync.WaitGroup
	update := func(fn func(store.Querier) error, committed func(), tell func(error)) {
		all.Go(func() { tell(e.Update(context.Background(), "", fn, committed)) })
		time.Sleep(50 * time.Millisecond) // it is in line
	}
	right := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	update(func(store.Querier) error { once.Do(func() { close(held) }); <-hold; return nil }, func() {}, right)
	<-held
	var known atomic.Bool
	update(func(q store.Querier) error {
		_, err := q.Exec("insert into clients (id, active, epoch) values ('gone', false, 1)")
		return err
	}, func() { time.Sleep(20 * time.Millisecond); known.Store(true) }, right)
	refused := errors.New("it is gone")
	update(func(q store.Querier) error {
		var n int
		if err := q.QueryRow("select count(*) from clients where id = 'gone'").Scan(&n); err != nil || n == 0 {
			return errors.Join(err, errors.New("it ran before the other"))
		}
		return refused
	}, func() { t.Error("what was refused was committed") }, func(err error) {
		if !errors.Is(err, refused) || !known.Load() {
			t.Errorf("it was told %v, and that others know: %t", err, known.Load())
		}
	})
	close(hold)
	all.Wait()
}

// A connection that breaks in the middle of a transaction takes nothing along: it runs
// again on another.
func TestABrokenConnectionIsReplaced(t *testing.T) {
	s := populated(t, openStore(t), someConn)
	broke := 0
	p := somePerson(1)
	err := s.UpdateFor(t.Context(), someConn, func(tx *store.Tx) error {
		d, err := tx.In(someConn)
		if err != nil {
			return err
		}
		if err := d.InsertPerson(&p); err != nil {
			return err
		}
		if broke++; broke == 1 {
			if err := admin("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction' and usename = 'drawbridge'"); err != nil {
				return err
			}
		}
		return d.SetDecided(p.Key, 1, time.Time{})
	})
	if err != nil || broke != 2 {
		t.Errorf("it ran %d times (%v)", broke, err)
	}
	if n := people(t, s); n != 1 {
		t.Errorf("there are %d people", n)
	}
}

func people(t *testing.T, s *store.Store) (n int64) {
	t.Helper()
	err := s.View(t.Context(), func(v *store.View) error {
		all, err := v.Connections()
		for _, c := range all {
			n += c.People
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whoever fails undoes what they did, and nothing of those who share the commit; and what a
// constraint refuses is undone alone, whatever its transaction goes on to do.
func TestFailuresAreTheirOwn(t *testing.T) {
	s := populated(t, openStore(t), someConn)
	errRefused := errors.New("no")
	var wg sync.WaitGroup
	var kept atomic.Int64
	for i := range 60 {
		wg.Go(func() {
			p, again := somePerson(int64(i)), somePerson(int64(i))
			again.ID += "x"
			err := s.UpdateFor(t.Context(), someConn, func(tx *store.Tx) error {
				d, err := tx.In(someConn)
				if err != nil {
					return err
				}
				if err := d.InsertPerson(&p); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return errRefused
				case 2: // goes on after a refusal
					if err := d.InsertPerson(&again); !fault.Is(err, fault.Conflict) {
						return fmt.Errorf("the same name again: %w", err)
					}
					return d.SetDecided(p.Key, 1, time.Time{})
				}
				return nil
			})
			if (i%3 == 1) != errors.Is(err, errRefused) || i%3 != 1 && err != nil {
				t.Errorf("%d: %v", i, err)
			}
			if err == nil {
				kept.Add(1)
			}
		})
	}
	wg.Wait()
	if n := people(t, s); n != 40 || kept.Load() != 40 {
		t.Errorf("%d people, %d were acknowledged", n, kept.Load())
	}
}

// Two that wait for each other are told apart, and both come through.
func TestDeadlocksAreRetried(t *testing.T) {
	e, err := OpenEngine(t.Context(), migrated(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	err = e.Update(t.Context(), "", func(q store.Querier) error {
		_, err := q.Exec("insert into clients (id, active, epoch) values ('a', true, 0), ('b', true, 0)")
		return err
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() {
			for range 5 {
				err := e.Update(t.Context(), access.ConnectionID(order[0]), func(q store.Querier) error {
					for _, id := range order {
						if _, err := q.Exec("update clients set epoch = epoch + 1 where id = $1", id); err != nil {
							return err
						}
						time.Sleep(5 * time.Millisecond)
					}
					return nil
				}, nil)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	err = e.View(t.Context(), func(q store.Querier) error {
		var sum int64
		err := q.QueryRow("select min(epoch) + max(epoch) from clients").Scan(&sum)
		if sum != 20 {
			t.Errorf("the epochs are %d together", sum)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A server that does not keep what it acknowledges is refused.
func TestAnUnsafeServerIsRefused(t *testing.T) {
	url := migrated(t)
	if _, err := Open(t.Context(), url+" options='-c synchronous_commit=off'", Options{}); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.DetailOf(err), "synchronous_commit") {
		t.Errorf("synchronous_commit=off: %v", err)
	}
	found, err := Findings(t.Context(), url)
	if err != nil || len(found) != 0 {
		t.Errorf("found %v (%v)", found, err)
	}
	found, err = Findings(t.Context(), strings.Replace(url, "user=drawbridge", "user=postgres", 1))
	if err != nil || len(found) != 1 || found[0].Code != "row_security_bypassed" {
		t.Errorf("of a superuser: %v (%v)", found, err)
	}
}

// A connection to a server that has become unsafe since the start is refused, too.
func TestALaterConnectionIsChecked(t *testing.T) {
	url := migrated(t)
	e, err := OpenEngine(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	name := url[strings.LastIndex(url, "=")+1:]
	if err := admin("postgres", "alter database "+name+" set synchronous_commit = off"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin("postgres", "alter database "+name+" reset synchronous_commit"); err != nil {
			t.Error(err)
		}
	})
	e.(*engine).writers.Reset()
	write := func() error {
		return e.Update(t.Context(), "", func(q store.Querier) error { _, err := q.Exec("update host set epoch = epoch"); return err }, nil)
	}
	if err := write(); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "synchronous_commit") {
		t.Errorf("a write to a server that does not keep it: %v", err)
	}
}
