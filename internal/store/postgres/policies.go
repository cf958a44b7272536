package postgres

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// connectionSetting says whose rows there are in a transaction: the key of a connection, or
// "host" for those of all. Without it there are none.
const connectionSetting = "drawbridge.connection"

// rowFunctionsSQL read the setting: NULL is the host; nobody is what no row has. They are
// not texts, but bound to what they name: dumps are made without a search path.
const rowFunctionsSQL = `
create or replace function connection_in_force() returns bigint language sql stable parallel safe
	return case coalesce(current_setting('drawbridge.connection', true), '') when 'host' then null when '' then -1
		else current_setting('drawbridge.connection')::bigint end;
create or replace function connection_id_in_force() returns text language sql stable parallel safe
	return case coalesce(current_setting('drawbridge.connection', true), '') when 'host' then null when '' then ''
		else coalesce((select id from connections where key = connection_in_force()), '') end collate "C";
`

// unguardedSQL lists the tables that name a connection and have no policy yet, with what a
// row must be. The condition is a CASE because the planner takes half of all rows to
// pass that: it believes of a comparison that hardly any do, and would choose other indexes.
const unguardedSQL = `select c.relname,
		string_agg('case ' || a.attname || ' when coalesce((select ' || case a.atttypid when 20 then 'connection_in_force()' else 'connection_id_in_force()' end
			|| '), ' || a.attname || ') then true else false end', ' or ' order by a.attnum)
	from pg_class c join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
		and (a.attname in ('conn', 'by_conn', 'for_conn') or c.relname = 'connections' and a.attname = 'key')
	where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
		and not (c.relrowsecurity and c.relforcerowsecurity and exists (select 1 from pg_policy p where p.polrelid = c.oid and p.polname = 'of_connection'))
	group by c.relname order by c.relname`

// putPolicies guards the tables that name a connection by row-level security, the second
// line behind the key in every statement. It binds the tables' owner, too.
func putPolicies(ctx context.Context, conn *sql.Conn) (err error) {
	const where = op + ".Migrate"
	rows, err := conn.QueryContext(ctx, unguardedSQL)
	if err != nil {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	text := ""
	for rows.Next() {
		var table, condition string
		if err := rows.Scan(&table, &condition); err != nil {
			return fault.Wrap(fault.Unavailable, where, err)
		}
		text += fmt.Sprintf("drop policy if exists of_connection on %[1]s; create policy of_connection on %[1]s using (%[2]s); "+
			"alter table %[1]s enable row level security, force row level security; ", table, condition)
	}
	if err := rows.Err(); err != nil || text == "" {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	_, err = conn.ExecContext(ctx, "begin; "+text+"commit")
	return fault.Wrap(fault.Unavailable, where, err)
}
