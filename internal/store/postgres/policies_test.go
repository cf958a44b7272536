//go:build lanes

package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/lanes"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Every table that names a connection is guarded, for its owner, too; those that do not are known.
func TestTablesOfConnectionsAreGuarded(t *testing.T) {
	conn := plainly(t, migrated(t))
	rows, err := conn.Query(t.Context(), `select c.relname, c.relrowsecurity and c.relforcerowsecurity, exists (select 1 from pg_attribute a
			where a.attrelid = c.oid and not a.attisdropped and (a.attname ~ '(^|_)conn$' or c.relname = 'connections' and a.attname = 'key')),
			(select count(*) from pg_policy p where p.polrelid = c.oid and p.polcmd = '*' and p.polpermissive)
		from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'`)
	if err != nil {
		t.Fatal(err)
	}
	guarded := 0
	var table string
	var forced, names bool
	var policies int
	_, err = pgx.ForEachRow(rows, []any{&table, &forced, &names, &policies}, func() error {
		if forced != names || names != (policies == 1) {
			t.Errorf("%s: names a connection %v, guarded %v, by %d policies", table, names, forced, policies)
		}
		if forced {
			guarded++
		}
		return nil
	})
	if err != nil || guarded < 30 {
		t.Errorf("%d tables are guarded (%v)", guarded, err)
	}
}

// plainly is the program's user without the program.
func plainly(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// Whoever does not say whose rows they want sees none, and neither does whoever comes after.
func TestRowsOfNobody(t *testing.T) {
	url := migrated(t)
	peopled(t, node(t, url))
	conn := plainly(t, url)
	count := func() (people int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), "select count(*) from people").Scan(&people); err != nil {
			t.Fatal(err)
		}
		return people
	}
	if n := count(); n != 0 {
		t.Errorf("nobody sees %d people", n)
	}
	if _, err := conn.Exec(t.Context(), "begin; set local drawbridge.connection = 'host'"); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 4 {
		t.Errorf("the host sees %d people", n)
	}
	if _, err := conn.Exec(t.Context(), "commit"); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 0 {
		t.Errorf("nobody sees %d people after the host", n)
	}
}

const here, there access.ConnectionID = "here", "there"

// peopled puts two people, of whom one is in a group, in each of two connections.
func peopled(t testing.TB, s *store.Store) {
	t.Helper()
	populated(t, s, here, there)
	for i, conn := range []access.ConnectionID{here, there} {
		must(t, s, func(tx *store.Tx) error {
			d, err := tx.In(conn)
			if err != nil {
				return err
			}
			one, two := somePerson(int64(2*i)), somePerson(int64(2*i+1))
			g := store.Group{ID: "grp_same", DisplayName: "Same", Version: 1, Doc: []byte(`{}`), Created: someDay, Updated: someDay}
			for _, write := range []func() error{
				func() error { return d.InsertPerson(&one) }, func() error { return d.InsertPerson(&two) }, func() error { return d.InsertGroup(&g) },
				func() error { _, err := d.AddMembers(&g, []store.PersonKey{one.Key}, someDay); return err },
			} {
				if err := write(); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// Statements that forget the connection's key, of every kind, reach nothing of another
// connection; and none can put a row in another's.
func TestAForgottenKeyReachesNothing(t *testing.T) {
	e, err := OpenEngine(t.Context(), migrated(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	peopled(t, s)
	tables := []string{"people", "groups", "memberships", "connections"}
	counts := func(q store.Querier) (all []int64) {
		t.Helper()
		for _, table := range tables {
			var n int64
			if err := q.QueryRow("select count(*) from " + table).Scan(&n); err != nil {
				t.Fatal(table, err)
			}
			all = append(all, n)
		}
		return all
	}
	look := func(q store.Querier) error {
		for conn, want := range map[int64][]int64{everybody: {4, 2, 2, 2}, 1: {2, 1, 1, 1}, 2: {2, 1, 1, 1}, 3: {0, 0, 0, 0}} {
			if got := counts(q.Of(conn)); !slices.Equal(got, want) {
				t.Errorf("of %d: %v of %v, not %v", conn, got, tables, want)
			}
		}
		return nil
	}
	if err := e.View(t.Context(), look); err != nil {
		t.Error(err)
	}
	err = e.Update(t.Context(), "", func(q store.Querier) error {
		for text, want := range map[string]int64{"update people set version = version + 1": 2, "delete from memberships": 1} {
			if n, err := q.Of(1).Exec(text); err != nil || n != want {
				t.Errorf("%s: %d rows (%v)", text, n, err)
			}
		}
		if got := counts(q); !slices.Equal(got, []int64{4, 2, 1, 2}) {
			t.Errorf("left: %v", got)
		}
		return intrude(t, q)
	}, nil)
	if !fault.Is(err, fault.Internal) && !fault.Is(err, fault.Unavailable) {
		t.Errorf("a row for another connection: %v", err)
	}
}

// intrude puts a member in another connection, which the server refuses.
func intrude(t *testing.T, q store.Querier) error {
	t.Helper()
	_, err := q.Of(1).Exec("insert into memberships (conn, grp, person, since) values (2, 2, 3, 1)")
	if err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("a row for another connection: %v", err)
	}
	return err
}

// forgetful forgets the connection's key in every statement of a directory.
type forgetful struct{ store.Engine }

func (e forgetful) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	return e.Engine.Update(ctx, lane, func(q store.Querier) error { return fn(forgetting{q}) }, committed)
}

func (e forgetful) View(ctx context.Context, fn func(store.Querier) error) error {
	return e.Engine.View(ctx, func(q store.Querier) error { return fn(forgetting{q}) })
}

type forgetting struct{ store.Querier }

var keyed = regexp.MustCompile(`\b((?:\w+\.)?conn) = (\$\d+)`)

// forget keeps the parameter, which would be missed.
func forget(query string) string {
	return keyed.ReplaceAllString(query, "($2::bigint is not null or $1 > 0)")
}

func (q forgetting) Of(conn int64) store.Querier { return forgetting{q.Querier.Of(conn)} }

func (q forgetting) QueryRow(query string, args ...any) store.Row {
	return q.Querier.QueryRow(forget(query), args...)
}

func (q forgetting) Steady(query string, args ...any) store.Row {
	return q.Querier.Steady(forget(query), args...)
}

func (q forgetting) Each(scan func(store.Row) error, query string, args ...any) error {
	return q.Querier.Each(scan, forget(query), args...)
}

func (q forgetting) Last(questions ...store.Question) error {
	for i := range questions {
		questions[i].Query = forget(questions[i].Query)
	}
	return q.Querier.Last(questions...)
}

func (q forgetting) Search(ctx context.Context, scan func(store.Row) error, query string, args ...any) error {
	return q.Querier.Search(ctx, scan, forget(query), args...)
}

// A store of which every reading statement has lost its connection's key keeps connections
// apart all the same.
func TestAForgetfulStoreKeepsConnectionsApart(t *testing.T) {
	s := wrapped(t, func(e store.Engine) store.Engine { return forgetful{e} })
	peopled(t, s)
	if text := "select p.id from people p where p.conn = $1 and p.id = $2"; forget(text) == text {
		t.Fatal("nothing is forgotten")
	}
	for i, conn := range []access.ConnectionID{here, there} {
		err := s.View(t.Context(), func(v *store.View) error {
			d, err := v.In(conn)
			if err != nil {
				return err
			}
			people, total, err := d.People(store.Query{Start: 1, Count: 10})
			if err != nil || len(people) != 2 || total != 2 {
				t.Errorf("%s lists %d of %d people (%v)", conn, len(people), total, err)
			}
			groups, total, err := d.Groups(store.Query{Start: 1, Count: 10})
			if err != nil || len(groups) != 1 || total != 1 {
				t.Errorf("%s lists %d of %d groups (%v)", conn, len(groups), total, err)
			}
			if p, err := d.Person(access.PersonID(fmt.Sprint("per_", 2*(1-i)))); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s sees %s (%v)", conn, p.ID, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// A dump by the tables' owner has everything in it, as docs/operations.md says.
func TestAnOwnerDumps(t *testing.T) {
	url := migrated(t)
	peopled(t, node(t, url))
	bin, err := lanes.PostgresPrograms()
	if err != nil {
		t.Fatal(err)
	}
	dump := exec.Command(filepath.Join(bin, "pg_dump"), "--enable-row-security", "-d", url) //nolint:gosec // of our own server
	dump.Env = append(os.Environ(), "PGOPTIONS=-c drawbridge.connection=host")
	text, err := dump.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"per_0", "per_3", "grp_same", "create policy of_connection on public.people"} {
		if !strings.Contains(strings.ToLower(string(text)), want) {
			t.Errorf("the dump has no %s", want)
		}
	}
}
