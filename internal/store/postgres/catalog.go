package postgres

import (
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

var catalog = store.Catalog{
	Columns: `select c.relname, a.attname, case a.atttypid when 20 then 'integer' when 23 then 'integer' when 16 then 'boolean' when 25 then 'text' when 17 then 'bytes' else format_type(a.atttypid, null) end,
			coalesce((select k.n from pg_constraint o, unnest(o.conkey) with ordinality k(att, n) where o.conrelid = c.oid and o.contype = 'p' and k.att = a.attnum), 0)
		from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
		where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relname <> 'goose_db_version' order by c.relname, a.attnum`,
	References: `select distinct c.relname, r.relname from pg_constraint o join pg_class c on c.oid = o.conrelid join pg_class r on r.oid = o.confrelid
		where o.contype = 'f' and c.relnamespace = current_schema()::regnamespace`,
	Counters: `select c.relname, a.attname, coalesce(pg_sequence_last_value(pg_get_serial_sequence(quote_ident(c.relname), a.attname)::regclass), 0)
		from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attidentity <> ''
		where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relname <> 'goose_db_version' order by c.relname`,
	Count: count,
	Sound: sound,
}

func count(q store.Querier, table, column string, last int64) error {
	if last < 1 { // it has given none
		return nil
	}
	_, err := q.Exec(`select setval(pg_get_serial_sequence($1, $2)::regclass, $3)`, table, column, last)
	return err
}

// unsoundSQL lists what the server knows to be broken.
const unsoundSQL = `select 'the index ' || c.relname || ' is not valid' from pg_index i join pg_class c on c.oid = i.indexrelid
		where c.relnamespace = current_schema()::regnamespace and not i.indisvalid
	union all select 'the server has found ' || checksum_failures || ' damaged pages' from pg_stat_database where datname = current_database() and checksum_failures > 0`

// referencesSQL lists the references, with their columns on both sides.
const referencesSQL = `select c.relname, r.relname,
		(select string_agg(quote_ident(a.attname), ',' order by k.n) from unnest(o.conkey) with ordinality k(att, n) join pg_attribute a on a.attrelid = c.oid and a.attnum = k.att),
		(select string_agg(quote_ident(a.attname), ',' order by k.n) from unnest(o.confkey) with ordinality k(att, n) join pg_attribute a on a.attrelid = r.oid and a.attnum = k.att)
	from pg_constraint o join pg_class c on c.oid = o.conrelid join pg_class r on r.oid = o.confrelid
	where o.contype = 'f' and c.relnamespace = current_schema()::regnamespace order by 1, 2, 3`

// sound asks the server, and looks for rows that references lead to.
func sound(q store.Querier, found func(string)) error {
	err := q.Each(func(r store.Row) error {
		var what string
		if err := r.Scan(&what); err != nil {
			return err
		}
		found(what)
		return nil
	}, unsoundSQL)
	if err != nil {
		return err
	}
	return q.Each(func(r store.Row) error {
		var table, parent, from, to string
		if err := r.Scan(&table, &parent, &from, &to); err != nil {
			return err
		}
		var rows int64
		if err := q.QueryRow(danglingSQL(table, parent, strings.Split(from, ","), strings.Split(to, ","))).Scan(&rows); err != nil {
			return err
		}
		if rows > 0 {
			found(fmt.Sprintf("%d rows of %s name rows of %s that are not there", rows, table, parent))
		}
		return nil
	}, referencesSQL)
}

// danglingSQL counts the rows of a table that refer to nothing.
func danglingSQL(table, parent string, from, to []string) string {
	var whole, same []string
	for i := range from {
		whole = append(whole, "t."+from[i]+" is not null")
		same = append(same, "p."+to[i]+" = t."+from[i])
	}
	return fmt.Sprintf(`select count(*) from "%s" t where %s and not exists (select 1 from "%s" p where %s)`,
		table, strings.Join(whole, " and "), parent, strings.Join(same, " and "))
}
