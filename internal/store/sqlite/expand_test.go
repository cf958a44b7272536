package sqlite

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/drawbridge-id/drawbridge/internal/sqlitedb"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// released is the number behind the last migration of the release before: what comes since must
// let its program go on. It rises with a release.
const released = "00047"

// column is what a program relies on that names it, and on that leaves it out.
type column struct {
	kind     string
	needed   bool // an insert must name it
	nullable bool
}

type shape struct {
	columns map[string]column   // by table.column
	unique  map[string][]string // unique indexes and keys of a table
}

func shapeOf(t *testing.T, files fs.FS, path string) shape {
	t.Helper()
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Options{Path: path, Synchronous: sqlitedb.Normal, Migrations: files,
		TextFunctions: map[string]func(string) string{"fold": store.Fold, "instant": store.Instant}})
	if err != nil {
		t.Fatal(err)
	}
	s := shape{map[string]column{}, map[string][]string{}}
	err = db.View(t.Context(), func(q sqlitedb.Querier) error {
		err := q.Each(func(r sqlitedb.Row) error {
			var table, name, kind string
			var notNull, fallback, key bool
			if err := r.Scan(&table, &name, &kind, &notNull, &fallback, &key); err != nil {
				return err
			}
			s.columns[table+"."+name] = column{strings.ToLower(kind), notNull && !fallback && !key, !notNull}
			return nil
		}, `select t.name, c.name, c.type, c."notnull", c.dflt_value is not null, c.pk > 0 from sqlite_schema t, pragma_table_info(t.name) c
			where t.type = 'table' and t.name not like 'sqlite\_%' escape '\' and t.name <> 'goose_db_version'`)
		if err != nil {
			return err
		}
		return q.Each(func(r sqlitedb.Row) error {
			var table, columns, partly string
			if err := r.Scan(&table, &columns, &partly); err != nil {
				return err
			}
			s.unique[table] = append(s.unique[table], columns+partly)
			return nil
		}, `select t.name, (select group_concat(name) from (select name from pragma_index_info(i.name) order by seqno)),
				case when i.partial then substr(x.sql, instr(x.sql, ' where ')) else '' end
			from sqlite_schema t, pragma_index_list(t.name) i left join sqlite_schema x on x.name = i.name where t.type = 'table' and i."unique"`)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// narrowed lists what a program that knows a schema would miss in the next one.
func narrowed(was, is shape) (all []string) {
	tables := map[string]bool{}
	for name, c := range was.columns {
		table, _, _ := strings.Cut(name, ".")
		tables[table] = true
		now, there := is.columns[name]
		switch {
		case !there:
			all = append(all, name+" is gone")
		case now.kind != c.kind:
			all = append(all, fmt.Sprintf("%s was %s and is %s", name, c.kind, now.kind))
		case c.nullable && !now.nullable, !c.needed && now.needed:
			all = append(all, name+" must be given now")
		}
	}
	for name, c := range is.columns {
		table, _, _ := strings.Cut(name, ".")
		if _, known := was.columns[name]; !known && tables[table] && c.needed {
			all = append(all, name+" is new and must be given")
		}
	}
	for table := range tables {
		for _, u := range was.unique[table] {
			if !slices.Contains(is.unique[table], u) {
				all = append(all, fmt.Sprintf("%s is unique by (%s) no more: on conflict would find nothing", table, u))
			}
		}
		for _, u := range is.unique[table] {
			if !slices.Contains(was.unique[table], u) {
				all = append(all, fmt.Sprintf("%s must be unique by (%s) now", table, u))
			}
		}
	}
	slices.Sort(all)
	return all
}

// Migrations since the release before only add: its program goes on beside the next one's while
// nodes are replaced. PostgreSQL's keep the same schema, which a test of its engine holds.
func TestMigrationsOnlyAdd(t *testing.T) {
	t.Parallel()
	today, err := schemaFiles()
	if err != nil {
		t.Fatal(err)
	}
	was := shapeOf(t, before(t, released), filepath.Join(t.TempDir(), "was.db"))
	is := shapeOf(t, today, filepath.Join(t.TempDir(), "is.db"))
	if len(was.columns) < 300 || len(is.columns) <= len(was.columns) {
		t.Fatalf("%d columns were, %d are", len(was.columns), len(is.columns))
	}
	for _, what := range narrowed(was, is) {
		t.Error(what)
	}
}

// What would stop the program of before is seen.
func TestANarrowerSchemaIsSeen(t *testing.T) {
	files := func(more string) fs.FS {
		return migrationsOf(t, "create table a (key integer primary key, x text, y text not null default ''); create unique index a_y on a (y);", more)
	}
	was := shapeOf(t, files(""), filepath.Join(t.TempDir(), "was.db"))
	for sql, want := range map[string]string{
		"": "",
		"create table b (z text not null); alter table a add column w text; alter table a add column v text not null default ''": "",
		"drop table a":                       "a.key is gone; a.x is gone; a.y is gone; a is unique by (y) no more: on conflict would find nothing",
		"alter table a rename column x to z": "a.x is gone",
		"drop index a_y":                     "a is unique by (y) no more: on conflict would find nothing",
		"create unique index a_x on a (x)":   "a must be unique by (x) now",
		"drop table a; create table a (key integer primary key, x bigint, y text not null, w text not null); create unique index a_y on a (y)": "a.w is new and must be given; a.x was text and is bigint; a.y must be given now",
	} {
		got := narrowed(was, shapeOf(t, files(sql), filepath.Join(t.TempDir(), "is.db")))
		wanted := strings.Split(want, "; ")
		slices.Sort(wanted)
		if strings.Join(got, "; ") != strings.Join(wanted, "; ") {
			t.Errorf("%s: %q", sql, got)
		}
	}
}

func migrationsOf(t *testing.T, first, more string) fs.FS {
	t.Helper()
	files := fstest.MapFS{"00001_a.sql": {Data: []byte("-- +goose Up\n" + first)}}
	if more != "" {
		files["00002_b.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + more + ";")}
	}
	return files
}
