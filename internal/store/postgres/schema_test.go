//go:build lanes

package postgres

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

// Both engines keep the same tables: columns with their types, what may be missing and
// what stands for it, keys, references, checks and indexes.
func TestBothEnginesKeepTheSame(t *testing.T) {
	embedded, err := sqlite.OpenEngine(t.Context(), filepath.Join(t.TempDir(), "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = embedded.Close() })
	several, err := OpenEngine(t.Context(), migrated(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = several.Close() })
	want, have := described(t, embedded, sqliteSchema), described(t, several, postgresSchema)
	if len(want) < 300 {
		t.Fatalf("only %d things are described", len(want))
	}
	for _, line := range want {
		if _, found := slices.BinarySearch(have, line); !found {
			t.Errorf("PostgreSQL's migrations do not have: %s", line)
		}
	}
	for _, line := range have {
		if _, found := slices.BinarySearch(want, line); !found {
			t.Errorf("SQLite's migrations do not have: %s", line)
		}
	}
}

// sqliteSchema and postgresSchema describe a schema: what, of which table, name, more.
var sqliteSchema = []string{
	`select 'column', t.name, c.name, case lower(c.type) when 'integer' then 'int' when 'bigint' then 'int' when 'blob' then 'bytes' else lower(c.type) end ||
			case when c."notnull" or c.pk > 0 then ' not null' else '' end || ' ' || coalesce(c.dflt_value, '')
		from sqlite_schema t, pragma_table_info(t.name) c where t.type = 'table'`,
	`select 'key', t.name, '', coalesce((select group_concat(name) from (select name from pragma_table_info(t.name) where pk > 0 order by pk)), '') from sqlite_schema t where t.type = 'table' and exists (select 1 from pragma_table_info(t.name) where pk > 0)`,
	`select 'reference', t.name, '', f."table" || ' ' || group_concat(f."from") || ' ' || coalesce(group_concat(f."to"), 'key') || ' ' || lower(f.on_delete)
		from sqlite_schema t, (select m.name as of, l.* from sqlite_schema m, pragma_foreign_key_list(m.name) l where m.type = 'table' order by m.name, l.id, l.seq) f
		where t.type = 'table' and f.of = t.name group by t.name, f.id`,
	`select 'index', t.name, i.name, i."unique" || ' ' || (select group_concat(name) from (select name from pragma_index_info(i.name) order by seqno)) || ' ' ||
			case when s.sql like '% where %' then substr(s.sql, instr(s.sql, ' where ') + 7) else '' end
		from sqlite_schema t, pragma_index_list(t.name) i join sqlite_schema s on s.name = i.name where t.type = 'table' and i.origin = 'c'`,
	`select 'sql', name, '', sql from sqlite_schema where type = 'table'`,
}

var postgresSchema = []string{
	`select 'column', c.relname, a.attname, case when a.atttypid in (20, 23) then 'int' when a.atttypid = 17 then 'bytes' when a.atttypid = 16 then 'boolean' else format_type(a.atttypid, null) end ||
			case when a.attnotnull then ' not null' else '' end || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
		from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
		where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'`,
	`select 'key', c.relname, '', (select string_agg(a.attname, ',' order by k.n) from unnest(o.conkey) with ordinality k(att, n) join pg_attribute a on a.attrelid = c.oid and a.attnum = k.att)
		from pg_constraint o join pg_class c on c.oid = o.conrelid where o.contype = 'p' and c.relnamespace = 'public'::regnamespace`,
	`select 'reference', c.relname, '', r.relname || ' ' || (select string_agg(a.attname, ',' order by k.n) from unnest(o.conkey) with ordinality k(att, n) join pg_attribute a on a.attrelid = c.oid and a.attnum = k.att) || ' ' ||
			(select string_agg(a.attname, ',' order by k.n) from unnest(o.confkey) with ordinality k(att, n) join pg_attribute a on a.attrelid = r.oid and a.attnum = k.att) || ' ' ||
			case o.confdeltype when 'c' then 'cascade' when 'n' then 'set null' else 'no action' end
		from pg_constraint o join pg_class c on c.oid = o.conrelid join pg_class r on r.oid = o.confrelid where o.contype = 'f' and c.relnamespace = 'public'::regnamespace`,
	`select 'index', t.relname, c.relname, i.indisunique::int || ' ' || (select string_agg(a.attname, ',' order by a.attnum) from pg_attribute a where a.attrelid = c.oid) || ' ' || coalesce(pg_get_expr(i.indpred, i.indrelid), '')
		from pg_index i join pg_class c on c.oid = i.indexrelid join pg_class t on t.oid = i.indrelid where not i.indisprimary and t.relnamespace = 'public'::regnamespace`,
	`select 'check', c.relname, '', pg_get_constraintdef(o.oid) from pg_constraint o join pg_class c on c.oid = o.conrelid where o.contype = 'c' and c.relnamespace = 'public'::regnamespace`,
}

func described(t *testing.T, e store.Engine, queries []string) (all []string) {
	t.Helper()
	err := e.View(t.Context(), func(q store.Querier) error {
		for _, query := range queries {
			err := q.Each(func(r store.Row) error {
				var what, table, name, more string
				if err := r.Scan(&what, &table, &name, &more); err != nil {
					return err
				}
				if strings.HasPrefix(table, "sqlite_") || strings.HasPrefix(table, "goose_") {
					return nil
				}
				if what == "sql" {
					all = append(all, checksOf(table, more)...)
					return nil
				}
				if what == "check" || what == "index" {
					more = essence(more)
				}
				all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s: %s", what, table, name, plain(more))))
				return nil
			}, query)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

var comments = regexp.MustCompile(`--[^\n]*`)

// checksOf finds the checks in the text of a table.
func checksOf(table, text string) (all []string) {
	text = comments.ReplaceAllString(text, "")
	for _, rest := range strings.Split(text, "check (")[1:] {
		depth := 1
		end := strings.IndexFunc(rest, func(r rune) bool {
			switch r {
			case '(':
				depth++
			case ')':
				depth--
			}
			return depth == 0
		})
		all = append(all, plain("check "+table+" : "+essence(rest[:end])))
	}
	return all
}

var words = regexp.MustCompile(`'[^']*'|[a-z_0-9]+|[<>=]+`)

// essence is what a condition is made of, in its order: the engines write it in their own ways.
func essence(check string) string {
	check = strings.NewReplacer("::text", "", "= any", "any").Replace(strings.ToLower(check))
	found := words.FindAllString(check, -1)
	return strings.Join(slices.DeleteFunc(found, func(w string) bool { return w == "check" || w == "any" || w == "array" || w == "in" }), " ")
}

// plain is a text without what engines add to it.
func plain(s string) string {
	s = strings.NewReplacer("(", "", ")", "", "::text", "").Replace(strings.ToLower(s))
	return strings.Join(strings.Fields(s), " ")
}
