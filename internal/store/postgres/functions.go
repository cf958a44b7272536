package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// functionsSQL are what filters compare with. fold and instant are store.Fold and
// store.Instant; a text of a document that is no JSON for PostgreSQL, because it holds a
// NUL, is read without that.
const functionsSQL = `
create or replace function doc_json(doc text) returns json language sql immutable parallel safe as $$
	select case when strpos(doc, '\u0000') = 0 then doc::json
		else regexp_replace(doc, '((?:^|[^\\])(?:\\\\)*)\\u0000', '\1', 'g')::json end $$;
create or replace function doc_each(doc json, path text[]) returns table (value json) language sql immutable parallel safe as $$
	select e.v from (select doc #> path as x) d,
		lateral (select json_array_elements(d.x) as v where json_typeof(d.x) = 'array'
			union all select d.x where json_typeof(d.x) not in ('array', 'null')) e $$;
create or replace function doc_text(j json) returns text language sql immutable parallel safe as $$
	select case when json_typeof(j) = 'string' then j #>> '{}' end $$;
create or replace function doc_truth(j json) returns boolean language sql immutable parallel safe as $$
	select case when json_typeof(j) = 'boolean' then (j #>> '{}')::boolean end $$;
create or replace function doc_number(j json) returns double precision language sql immutable parallel safe as $$
	select case when json_typeof(j) = 'number' then (j #>> '{}')::double precision end $$;
create or replace function doc_integer(j json) returns bigint language sql immutable parallel safe as $$
	select case when json_typeof(j) = 'number' and (j #>> '{}') ~ '^-?[0-9]{1,18}$' then (j #>> '{}')::bigint
		when json_typeof(j) = 'number' and abs((j #>> '{}')::numeric) < 9e18 then (j #>> '{}')::numeric::bigint end $$;
create or replace function instr(x text, part text) returns int language sql immutable parallel safe as $$ select strpos(x, part) $$;
create or replace function instant(x text) returns text language plpgsql immutable parallel safe as $$
declare
	p text[];
	t timestamp;
	y int;
begin
	if x is null then
		return null;
	end if;
	p := regexp_match(x, '^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))?$');
	if p is null or p[4]::int > 23 or p[5]::int > 59 or p[6]::int > 59 or coalesce(p[9]::int, 0) > 24 or coalesce(p[10]::int, 0) > 60 then
		return '';
	end if;
	-- 400 years have as many days wherever they begin: the year 0 has no name here.
	t := make_timestamp(p[1]::int + 400, p[2]::int, p[3]::int, p[4]::int, p[5]::int, p[6]::int);
	if p[8] is not null then
		t := t - (p[8] || '1')::int * make_interval(hours => p[9]::int, mins => p[10]::int);
	end if;
	y := extract(year from t)::int - 400;
	if y < 0 or y > 9999 then
		return '';
	end if;
	return lpad(y::text, 4, '0') || to_char(t, '-MM-DD"T"HH24:MI:SS') || '.' || rpad(left(coalesce(p[7], ''), 9), 9, '0');
exception when datetime_field_overflow then
	return '';
end $$;
create or replace function fold(x text) returns text language sql immutable parallel safe as $$
	select case when octet_length(x) = length(x) then lower(x collate "C")
		else normalize(translate(normalize(x, NFC), '{from}', '{to}'), NFC) end $$;
`

// functions is functionsSQL with Go's case folding in it.
var functions = sync.OnceValue(func() string {
	var from, to strings.Builder
	for _, some := range unicode.CaseRanges {
		for r := rune(some.Lo); r <= rune(some.Hi); r++ { //nolint:gosec // they are letters
			if folded := foldOf(r); folded != r {
				from.WriteRune(r)
				to.WriteRune(folded)
			}
		}
	}
	return strings.NewReplacer("{from}", from.String(), "{to}", to.String()).Replace(functionsSQL) + rowFunctionsSQL
})

// foldOf is what store.Fold makes of one letter. Those that composing changes never come
// to it.
func foldOf(r rune) rune {
	s := string(r)
	if !utf8.ValidRune(r) || norm.NFC.String(s) != s {
		return r
	}
	folded, size := utf8.DecodeRuneInString(store.Fold(s))
	if size != len(store.Fold(s)) {
		return r
	}
	return folded
}

// functionsThere asks for the digest of the functions that are there; NULL if there are none.
const functionsThere = "select obj_description(to_regprocedure('fold(text)'))"

// functionsWanted are the functions of this program, and their digest.
func functionsWanted() (text, digest string) {
	text = functions()
	sum := sha256.Sum256([]byte(text))
	return text, hex.EncodeToString(sum[:])
}

// putFunctions puts the functions in if they are not those of this program.
func putFunctions(ctx context.Context, conn *sql.Conn) error {
	const where = op + ".Migrate"
	text, digest := functionsWanted()
	var there sql.NullString
	err := conn.QueryRowContext(ctx, functionsThere).Scan(&there)
	if err != nil || there.String == digest {
		return fault.Wrap(fault.Unavailable, where, err)
	}
	_, err = conn.ExecContext(ctx, "begin; "+text+" comment on function fold(text) is '"+digest+"'; commit")
	return fault.Wrap(fault.Unavailable, where, err)
}
