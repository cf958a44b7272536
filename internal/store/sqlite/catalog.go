package sqlite

import (
	"fmt"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

var catalog = store.Catalog{
	Columns: `select t.name, c.name, case lower(c.type) when 'integer' then 'integer' when 'bigint' then 'integer' when 'blob' then 'bytes' else lower(c.type) end, c.pk
		from sqlite_schema t, pragma_table_info(t.name) c where t.type = 'table' and t.name not like 'sqlite\_%' escape '\' and t.name <> 'goose_db_version' order by t.name, c.cid`,
	References: `select distinct t.name, f."table" from sqlite_schema t, pragma_foreign_key_list(t.name) f where t.type = 'table'`,
	Counters: `select t.name, c.name, coalesce(s.seq, 0) from sqlite_schema t, pragma_table_info(t.name) c left join sqlite_sequence s on s.name = t.name
		where t.type = 'table' and c.pk = 1 and lower(t.sql) like '%autoincrement%' and t.name <> 'goose_db_version' order by t.name`,
	Count: count,
	Sound: sound,
}

func count(q store.Querier, table, _ string, last int64) error {
	n, err := q.Exec(`update sqlite_sequence set seq = max(seq, $2) where name = $1`, table, last)
	if err != nil || n > 0 {
		return err
	}
	_, err = q.Exec(`insert into sqlite_sequence (name, seq) values ($1, $2)`, table, last)
	return err
}

// sound asks SQLite, which names a hundred of the faults of a file.
func sound(q store.Querier, found func(string)) error {
	err := q.Each(func(r store.Row) error {
		var what string
		if err := r.Scan(&what); err != nil {
			return err
		}
		if what != "ok" {
			found("the file is damaged: " + what)
		}
		return nil
	}, `select integrity_check from pragma_integrity_check`)
	if err != nil {
		return err
	}
	return q.Each(func(r store.Row) error {
		var table, parent string
		var rows int64
		if err := r.Scan(&table, &parent, &rows); err != nil {
			return err
		}
		found(fmt.Sprintf("%d rows of %s name rows of %s that are not there", rows, table, parent))
		return nil
	}, `select "table", parent, count(*) from pragma_foreign_key_check group by 1, 2`)
}
