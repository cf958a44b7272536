package sqlite

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/sqlitedb"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// before is the schema as it was before the migration of that number.
func before(t *testing.T, number string) fs.FS {
	t.Helper()
	old := fstest.MapFS{}
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() >= number {
			continue
		}
		body, err := fs.ReadFile(migrations, "migrations/"+f.Name())
		if err != nil {
			t.Fatal(err)
		}
		old[f.Name()] = &fstest.MapFile{Data: body}
	}
	return old
}

// A database in which every scope under a ceiling was a row of it becomes one that
// knows the tree: what was held is held, what was refused is refused.
func TestCeilingsOfScopesBecomeCeilingsInATree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	old, err := sqlitedb.Open(t.Context(), sqlitedb.Options{Path: path, Synchronous: sqlitedb.Normal, Migrations: before(t, "00010"),
		TextFunctions: map[string]func(string) string{"fold": store.Fold, "instant": store.Instant}})
	if err != nil {
		t.Fatal(err)
	}
	scopes := []access.Scope{
		{ID: "h", Level: access.Host, Name: "Vendor"},
		{ID: "p", Slug: "pacific", Level: access.ServiceProvider, Name: "Pacific", Parent: "h"},
		{ID: "a", Slug: "ironbark", Level: access.Account, Name: "Ironbark", Parent: "p", Was: []string{"bluegum", "redgum"}},
		{ID: "f", Slug: "adelaide", Level: access.Fleet, Name: "Adelaide", Parent: "a", TimeZone: "Australia/Adelaide"},
		{ID: "g", Slug: "coral", Level: access.Account, Name: "Coral", Parent: "p"},
	}
	conn := access.Connection{ID: "c", Root: "a", Ceiling: access.Ceiling{Scope: "a", Grants: []access.Grant{access.Standard}}}
	source, err := json.Marshal(mapping.PolicySource{Scopes: scopes, Connections: []access.Connection{conn}})
	if err != nil {
		t.Fatal(err)
	}
	definition, err := json.Marshal(conn)
	if err != nil {
		t.Fatal(err)
	}
	written := func(q sqlitedb.Querier) error {
		for _, s := range []struct {
			sql  string
			args []any
		}{
			{`insert into policy (one, version, hash, source, applied_at) values (1, 3, 'h', $1, 1)`, []any{string(source)}},
			{`insert into connections (key, id, definition, active, epoch, created_at) values (1, 'c', $1, true, 1, 1)`, []any{string(definition)}},
			{`insert into people (key, conn, id, user_name, user_name_key, display_name, email, active, epoch, version, policy, fence, valid_until,
				claimed_level, claimed_until, asserted, asserted_level, asserted_until, created_at, updated_at, doc)
				values (1, 1, 'per_1', 'one', 'one', 'One', '', true, 1, 1, 3, 0, 0, '', 0, false, '', 0, 1, 1, '{}')`, nil},
			// the pairs of the ceiling, one that a change took away, and one at a scope that the file names no more
			{`insert into ceilings (conn, grant_kind, scope, retired) values (1, 'standard', 'a', false), (1, 'standard', 'f', false),
				(1, 'elevated', 'f', true), (1, 'standard', 'x', true)`, nil},
			{`insert into assignments (conn, person, id, grant_kind, scope, events, video, standing, not_before, until, by_rule, ceiling_scope, sources) values
				(1, 1, 'asg_1', 'standard', 'f', '', false, 'primary', 0, 0, true, 'f', '[]'),
				(1, 1, 'asg_2', 'elevated', 'f', '', false, 'guest', 0, 0, true, 'f', '[]'),
				(1, 1, 'asg_3', 'standard', 'x', '', false, 'guest', 0, 0, true, 'x', '[]'),
				(1, 1, 'asg_4', 'administrator', 'g', '', true, 'guest', 0, 0, false, null,
					'[{"kind":"request","id":"req_1","standing":"guest","flags":{"events":"none","video":true},"until":"2999-01-02T03:04:05.678Z"}]')`, nil},
		} {
			if _, err := q.Exec(s.sql, s.args...); err != nil {
				return err
			}
		}
		return nil
	}
	if err := old.Update(t.Context(), written, func() {}); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		stored, err := tx.Scopes()
		if err != nil {
			return err
		}
		want, err := access.NewTree(scopes)
		if err != nil {
			return err
		}
		got, err := access.NewTree(stored)
		if err != nil || !access.DiffTrees(want, got).Empty() {
			t.Errorf("the tree is %+v: %v", stored, err)
		}
		d, err := tx.In("c")
		if err != nil {
			return err
		}
		p, err := d.Person("per_1")
		if err != nil {
			return err
		}
		held, err := d.Assignments(p)
		if err != nil || len(held) != 4 {
			t.Errorf("held %v: %v", held, err)
		}
		by, err := d.Decided(p)
		if want := time.Date(2999, 1, 2, 3, 4, 5, 678e6, time.UTC); err != nil || len(by.Permits) != 1 || by.Permits[0].Request != "req_1" || !by.Permits[0].Until.Equal(want) ||
			by.Permits[0].Flags != held[3].Sources[0].Flags || p.ValidUntil.After(time.Unix(1, 0)) {
			t.Errorf("permitted %+v, held %+v, until %v: %v", by.Permits, held, p.ValidUntil, err)
		}
		give := func(id access.AssignmentID, g access.Grant, s access.ScopeID) error {
			return d.ApplyPlan(p, mapping.Plan{Give: []access.Assignment{{ID: id, Grant: g, Scope: s, Standing: access.Guest, Sources: []access.Source{{Kind: access.SourceRule}}}}})
		}
		if err := give("asg_5", access.Standard, "a"); err != nil {
			t.Errorf("under the ceiling: %v", err)
		}
		for _, scope := range []access.ScopeID{"p", "g", "x"} {
			if err := give("asg_6", access.Standard, scope); !fault.Is(err, fault.Denied) {
				t.Errorf("at %s: %v", scope, err)
			}
		}
		if err := d.ApplyPlan(p, mapping.Plan{Drop: held}); err != nil {
			return err
		}
		return tx.PruneTree()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Sessions that were there before are found by what the identity provider calls them.
func TestSessionsOfBeforeAreFoundByTheProvidersNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	old, err := sqlitedb.Open(t.Context(), sqlitedb.Options{Path: path, Synchronous: sqlitedb.Normal, Migrations: before(t, "00022"),
		TextFunctions: map[string]func(string) string{"fold": store.Fold, "instant": store.Instant}})
	if err != nil {
		t.Fatal(err)
	}
	err = old.Update(t.Context(), func(q sqlitedb.Querier) error {
		for _, statement := range []string{
			`insert into connections (key, id, definition, active, epoch, created_at) values (1, 'c', '{}', true, 1, 1)`,
			`insert into sessions (id, conn, person, state, active, version, host_epoch, connection_epoch, person_epoch, auth_at, created_at, expires_at, ended_at, end_reason, upstream, cookie)
				values ('ses_1', 1, 'per_1', 2, '', 1, 1, 1, 1, 1, 1, 4000000000000, 0, '', '{"Issuer":"i","Subject":"u","Session":"s","AMR":null,"ACR":""}', x'01')`,
		} {
			if _, err := q.Exec(statement); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err := errors.Join(err, old.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test
	err = s.View(t.Context(), func(v *store.View) error {
		dir, err := v.In("c")
		if err != nil {
			return err
		}
		for _, by := range [][2]string{{"s", ""}, {"", "u"}} {
			if rows, err := dir.SessionsFrom("i", by[0], by[1]); err != nil || len(rows) != 1 || rows[0].ID != "ses_1" {
				t.Errorf("%q: %+v (%v)", by, rows, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
