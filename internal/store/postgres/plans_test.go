//go:build lanes

package postgres

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// explained asks how the server runs each statement, once, while reading whole tables is
// forbidden: it does so all the same where no index serves. It asks a superuser, too, whom
// row-level security does not bind.
type explained struct {
	store.Engine
	looked *looked
	free   *pgconn.PgConn
}

type looked struct {
	lists bool // filtered ones are looked at, too
	mu    sync.Mutex
	plans map[string][2]string // by statement: bound, and free
}

func (l *looked) over(t testing.TB) *store.Store {
	t.Helper()
	url := fresh(t)
	free, err := pgconn.Connect(t.Context(), strings.Replace(url, "user=drawbridge", "user=postgres", 1)+" options='-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off'")
	if err != nil {
		t.Fatal(err)
	}
	e, err := OpenEngine(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), explained{e, l, free})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), free.Close(context.WithoutCancel(t.Context()))); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (e explained) Update(ctx context.Context, lane access.ConnectionID, fn func(store.Querier) error, committed func()) error {
	return e.Engine.Update(ctx, lane, func(q store.Querier) error { return fn(explainer{q, e}) }, committed)
}

func (e explained) View(ctx context.Context, fn func(store.Querier) error) error {
	return e.Engine.View(ctx, func(q store.Querier) error { return fn(explainer{q, e}) })
}

type explainer struct {
	store.Querier
	e explained
}

func (q explainer) Of(conn int64) store.Querier { return explainer{q.Querier.Of(conn), q.e} }

// filtered are the lists that clients filter and sort by whatever they like.
var filtered = regexp.MustCompile(`^select (count\(\*\)|p\.key|g\.key).* from (people p|groups g) where`)

func (q explainer) look(query string, args []any) {
	if q.e.looked.knows(query) || !q.e.looked.lists && filtered.MatchString(strings.Join(strings.Fields(query), " ")) || !strings.Contains(" select insert update delete with ", " "+strings.Fields(query)[0]+" ") {
		return
	}
	if err := q.whole("off"); err != nil {
		return // the transaction is lost, and whoever runs the statement hears of it
	}
	bound := ""
	err := q.Querier.Search(context.Background(), func(r store.Row) error {
		var line string
		err := r.Scan(&line)
		bound += line + "\n"
		return err
	}, "explain (costs off) "+query, args...)
	if err == nil && q.whole("on") == nil {
		q.e.looked.keep(query, bound, q.e.unbound(query, args))
	}
}

// unbound is the superuser's plan. Two ask never at once.
func (e explained) unbound(query string, args []any) string {
	e.looked.mu.Lock()
	defer e.looked.mu.Unlock()
	values, formats, err := bindAll(args)
	if err != nil {
		return err.Error()
	}
	result := e.free.ExecParams(context.Background(), "explain (costs off) "+query, values, nil, formats, nil).Read()
	plan := ""
	for _, line := range result.Rows {
		plan += string(line[0]) + "\n"
	}
	return plan
}

func (l *looked) keep(query, bound, free string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plans[query] = [2]string{bound, free}
}

// whole allows, or forbids, what reads a table as a whole: by itself, or for a join. Where tables
// are as small as in a test it is what costs least.
func (q explainer) whole(how string) error {
	return q.Querier.Search(context.Background(), func(store.Row) error { return nil },
		"select set_config('enable_seqscan', '"+how+"', true), set_config('enable_hashjoin', '"+how+"', true), set_config('enable_mergejoin', '"+how+"', true)")
}

func (l *looked) knows(query string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.plans[query]
	return known
}

func (q explainer) Exec(query string, args ...any) (int64, error) {
	q.look(query, args)
	return q.Querier.Exec(query, args...)
}

func (q explainer) QueryRow(query string, args ...any) store.Row {
	q.look(query, args)
	return q.Querier.QueryRow(query, args...)
}

func (q explainer) Expect(rows int64, query string, args ...any) (int64, error) {
	q.look(query, args)
	return q.Querier.Expect(rows, query, args...)
}

func (q explainer) Tally(by int64, query string, args ...any) error {
	q.look(query, append([]any{by}, args...))
	return q.Querier.Tally(by, query, args...)
}

func (q explainer) Steady(query string, args ...any) store.Row {
	q.look(query, args)
	return q.Querier.Steady(query, args...)
}

func (q explainer) Each(scan func(store.Row) error, query string, args ...any) error {
	q.look(query, args)
	return q.Querier.Each(scan, query, args...)
}

func (q explainer) Last(questions ...store.Question) error {
	for _, a := range questions {
		q.look(a.Query, a.Args)
	}
	return q.Querier.Last(questions...)
}

func (q explainer) Search(ctx context.Context, scan func(store.Row) error, query string, args ...any) error {
	if q.e.looked.lists {
		q.look(query, args)
	}
	return q.Querier.Search(ctx, scan, query, args...)
}

var (
	whole  = regexp.MustCompile(`Seq Scan on (\w+)`)
	index  = regexp.MustCompile(`Index (?:Only )?Scan (?:Backward )?using (\w+) on (\w+)`)
	bitmap = regexp.MustCompile(`Bitmap Index Scan on (\w+)`)
)

// readWhole lists the tables of which a plan reads everything, and the indexes; and those of
// which it reads all that a connection has.
func readWhole(plan string) (tables []string) {
	lines := steps(plan)
	for i, line := range lines {
		if m := whole.FindStringSubmatch(line); m != nil {
			tables = append(tables, m[1])
		}
		m := index.FindStringSubmatch(line)
		if m == nil {
			m = bitmap.FindStringSubmatch(line)
		}
		if m == nil {
			continue
		}
		cond := strings.TrimSpace(lines[i+1])
		switch {
		case !strings.HasPrefix(cond, "Index Cond: "):
			tables = append(tables, m[1])
		case onlyConn.MatchString(cond):
			tables = append(tables, m[1]+" of a connection")
		}
	}
	return tables
}

// steps are the lines of a plan without those of what a parameter rules out: the server
// plans it, and does not do it.
func steps(plan string) (lines []string) {
	out := -1 // how far what is left out is indented; -1: nothing is
	for line := range strings.Lines(plan + "\n") {
		deep := len(line) - len(strings.TrimLeft(line, " "))
		if out >= 0 && deep >= out {
			continue
		}
		out = -1
		if strings.Contains(line, "One-Time Filter: false") {
			out = deep
		}
		lines = append(lines, line)
	}
	return lines
}

var onlyConn = regexp.MustCompile(`^Index Cond: \(conn = '?\$?\w+'?(::\w+)?\)$`)

// report tells of statements of which row-level security makes more than they would be.
func (l *looked) report(t *testing.T) {
	t.Helper()
	t.Logf("%d statements were looked at", len(l.plans))
	for _, query := range slices.Sorted(maps.Keys(l.plans)) {
		plans := l.plans[query]
		if plans[1] == "" {
			t.Errorf("%s\nhas no plan", query)
		}
		if bound, free := readWhole(plans[0]), readWhole(plans[1]); len(bound) > len(free) {
			t.Errorf("%s\nreads all of %v, and of %v without row-level security\n%s\n%s", query, bound, free, plans[0], plans[1])
		}
	}
}

// The filters that identity providers send are served by an index, also where row-level
// security stands before it.
func TestFiltersOfIdentityProvidersUseAnIndex(t *testing.T) {
	all := &looked{lists: true, plans: map[string][2]string{}}
	s := all.over(t)
	peopled(t, s)
	err := s.View(t.Context(), func(v *store.View) error {
		d, err := v.In(here)
		if err != nil {
			return err
		}
		for _, text := range []string{`userName eq "u"`, `externalId eq "x"`, `id eq "per_1"`, `emails.value eq "u@some.example"`, `userName eq "u" and active eq true`, `externalId eq "x" or userName eq "u"`} {
			e, err := filter.Parse(schema.Users(), text)
			if err != nil {
				return err
			}
			if _, _, err := d.People(store.Query{Filter: e, Start: 1, Count: 10}); err != nil {
				return err
			}
		}
		for _, text := range []string{`displayName eq "team"`, `externalId eq "x"`, `members.value eq "per_1"`, `id eq "grp_1" and members.value eq "per_1"`} {
			e, err := filter.Parse(schema.Groups(), text)
			if err != nil {
				return err
			}
			if _, _, err := d.Groups(store.Query{Filter: e, Start: 1, Count: 10}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all.report(t)
}
