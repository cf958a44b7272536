package postgres

import (
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

const (
	bigint = pgtype.Int8OID
	text   = pgtype.TextOID
)

// A statement of one row says how many rows at once are said; one that may not be put so is sent alone.
func TestManyRowsAreOneStatement(t *testing.T) {
	n := &names{first: map[string]string{"people": "key", "audit": "id"}}
	for _, c := range []struct {
		query string
		oids  []uint32
		two   string
	}{
		{`insert into members (conn, who) values ($1, $2)`, []uint32{bigint, text},
			`insert into members (conn, who) select v.c1, v.c2 from (values ($1::bigint, $2::text), ($3::bigint, $4::text)) v (c1, c2)`},
		{`insert into members (conn, since) values ($1, 7) on conflict (conn, since) do nothing`, []uint32{bigint},
			`insert into members (conn, since) select v.c1, 7 from (values ($1::bigint), ($2::bigint)) v (c1) on conflict (conn, since) do nothing`},
		{`update people set policy = $1 where conn = $2 and key = $3`, []uint32{bigint, bigint, bigint},
			`update people set policy = v.c1 from (values ($1::bigint, $2::bigint, $3::bigint), ($4::bigint, $5::bigint, $6::bigint)) v (c1, c2, c3) where conn = v.c2 and key = v.c3`},
		{`insert into members (conn, who) values ($1, $2) on conflict (conn) do update set who = $2`, []uint32{bigint, text}, ""},
		{`insert into members (conn, n) values ($1, (select count(*) from members))`, []uint32{bigint}, ""}, // each sees those before it
		{`update people set policy = $1 where conn = $2`, []uint32{bigint, bigint}, ""},                     // of many rows, perhaps
		{`update people set policy = (select 1) where key = $1`, []uint32{bigint}, ""},
		{`delete from people where key = $1`, []uint32{bigint}, ""},
		{`insert into members (doc) values ($1)`, []uint32{pgtype.JSONBOID}, ""},
		{`update audit_sealed set id = 1`, nil, ""},
	} {
		m := n.manyOf(c.query, c.oids)
		switch {
		case m == nil && c.two != "":
			t.Errorf("is sent alone: %s", c.query)
		case m != nil && m.text(2) != c.two:
			t.Errorf("%s\nis of two:\n%s\nnot:\n%s", c.query, m.text(2), c.two)
		}
	}
}

// Of an update no two of one row are sent as one, nor what adds up, nor what is sent in between.
func TestWhatStandsTogetherIsAlike(t *testing.T) {
	adds := &statement{many: &many{table: "a", key: -1}}
	sets := &statement{many: &many{table: "b", key: 0}}
	alone := &statement{}
	row := func(st *statement, key int) piece {
		return piece{st: st, rows: 1, values: [][]byte{strconv.AppendInt(nil, int64(key), 10)}}
	}
	any := row(sets, 3)
	any.rows = store.AnyRows
	tally := row(adds, 1)
	tally.of = "people"
	for _, c := range []struct {
		what   string
		pieces []piece
		want   int
	}{
		{"inserts", []piece{row(adds, 1), row(adds, 1), row(adds, 1)}, 3},
		{"inserts and something else", []piece{row(adds, 1), row(adds, 1), row(alone, 1), row(adds, 1)}, 2},
		{"inserts and a text", []piece{row(adds, 1), {text: "set local a = 1"}, row(adds, 1)}, 1},
		{"updates of three rows", []piece{row(sets, 1), row(sets, 2), row(sets, 3)}, 3},
		{"updates, two of one row", []piece{row(sets, 1), row(sets, 2), row(sets, 1)}, 2},
		{"updates of whatever rows", []piece{any, any}, 1},
		{"updates of one and of whatever rows", []piece{row(sets, 1), any}, 1},
		{"what adds up", []piece{tally, tally}, 1},
		{"what is sent alone", []piece{row(alone, 1), row(alone, 1)}, 1},
	} {
		if got := alike(c.pieces); got != c.want {
			t.Errorf("%s: %d are alike, not %d", c.what, got, c.want)
		}
	}
}

// An insert goes to others of its statement past what adds up and inserts into tables to which it does not refer, and
// past nothing else.
func TestAnInsertStandsBehindOthersOfItsStatement(t *testing.T) {
	people, given := &statement{many: &many{table: "people", key: -1}}, &statement{many: &many{table: "assignments", key: -1}}
	sets := &statement{many: &many{table: "people", key: 0}}
	s := newSession(nil, &names{refers: map[[2]string]bool{{"assignments", "people"}: true}}, true)
	p, a, u, tally := piece{st: people}, piece{st: given}, piece{st: sets}, piece{st: sets, of: "people"}
	for _, c := range []struct {
		what  string
		ahead []piece
		p     piece
		want  int
	}{
		{"past a tally and what refers to it", []piece{p, tally, a}, p, 1},
		{"not past that to which it refers", []piece{a, p}, a, 2},
		{"behind its own", []piece{p, p, a}, a, 3},
		{"not past a text", []piece{p, {text: "savepoint one"}, a}, p, 3},
		{"not past an update", []piece{p, u}, p, 2},
		{"no update", []piece{u, a}, u, 2},
		{"first", nil, p, 0},
	} {
		s.ahead = c.ahead
		if got := s.place(c.p); got != c.want {
			t.Errorf("%s: at %d, not %d", c.what, got, c.want)
		}
	}
}
