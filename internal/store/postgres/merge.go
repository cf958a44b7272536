package postgres

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// many is how a statement of which many are sent is sent as one: its text for so many rows. It
// costs the server and this side a good part less than one by one.
type many struct {
	table string
	head  string // up to the values
	tail  string // behind them
	param int    // the parameters are so many, of these types
	types []string
	key   int  // of an update: the parameter that says which row; -1: it inserts
	reads bool // of other tables
	sizes map[int]*statement
}

// atOnce are how many rows one statement takes: it is prepared once for each.
var atOnce = []int{32, 8, 2}

var (
	insertOne = regexp.MustCompile(`(?is)^\s*insert into (\w+) \(([^()]*)\)\s*values \((.*)\)(\s*on conflict (?:\([^()]*\) )?do nothing)?$`)
	updateOne = regexp.MustCompile(`(?is)^\s*update (\w+) set ([^()]*) where ([^()]*)$`)
	parameter = regexp.MustCompile(`\$\d+`)
)

// typesOf names the types of parameters; nil: there is one that is not known here.
func typesOf(oids []uint32) []string {
	known := map[uint32]string{pgtype.Int8OID: "bigint", pgtype.Int4OID: "int", pgtype.TextOID: "text", pgtype.ByteaOID: "bytea", pgtype.BoolOID: "boolean", pgtype.Float8OID: "double precision"}
	types := make([]string, len(oids))
	for i, oid := range oids {
		if types[i] = known[oid]; types[i] == "" {
			return nil
		}
	}
	return types
}

// manyOf is how to send many of a statement at once; nil: this one is sent alone.
func (n *names) manyOf(query string, oids []uint32) *many {
	m := &many{param: len(oids), types: typesOf(oids), key: -1, sizes: map[int]*statement{}}
	if len(m.types) == 0 {
		return nil
	}
	columns := make([]string, m.param)
	for i := range columns {
		columns[i] = "c" + strconv.Itoa(i+1)
	}
	from, as := " from (values ", ") v ("+strings.Join(columns, ", ")+")"
	if p := insertOne.FindStringSubmatch(query); p != nil {
		if regexp.MustCompile(`(?i)\bfrom ` + p[1] + `\b`).MatchString(p[3]) { // each sees those before it
			return nil
		}
		m.reads = strings.Contains(strings.ToLower(p[3]), "select")
		m.table, m.head, m.tail = p[1], "insert into "+p[1]+" ("+p[2]+") select "+valued(p[3])+from, as+p[4]
		return m
	}
	p := updateOne.FindStringSubmatch(query)
	if p == nil || n.first[p[1]] == "" {
		return nil
	}
	at := regexp.MustCompile(`\b` + n.first[p[1]] + ` = \$(\d+)`).FindStringSubmatch(p[3])
	if at == nil {
		return nil
	}
	key, err := strconv.Atoi(at[1])
	if err != nil {
		return nil
	}
	m.table, m.key = p[1], key-1
	m.head, m.tail = "update "+p[1]+" set "+valued(p[2])+from, as+" where "+valued(p[3])
	return m
}

// valued takes columns of the values for parameters.
func valued(text string) string {
	return parameter.ReplaceAllStringFunc(text, func(p string) string { return "v.c" + p[1:] })
}

// text is the statement for so many rows.
func (m *many) text(rows int) string {
	var b strings.Builder
	b.WriteString(m.head)
	for i := range rows * m.param {
		switch {
		case i == 0:
			b.WriteByte('(')
		case i%m.param == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d::%s", i+1, m.types[i%m.param])
	}
	return b.String() + ")" + m.tail
}

// alike are how many of the first pieces may be sent as one: of one statement, and of an update no
// two of one row.
func alike(pieces []piece) int {
	first := pieces[0]
	if first.st == nil || first.st.many == nil || first.of != "" || first.st.many.key >= 0 && first.rows == store.AnyRows {
		return 1
	}
	key, seen := first.st.many.key, map[string]bool{}
	for i, p := range pieces[:min(len(pieces), atOnce[0])] {
		if p.st != first.st || p.of != "" || p.rows != first.rows {
			return i
		}
		if key < 0 {
			continue
		}
		if seen[string(p.values[key])] {
			return i
		}
		seen[string(p.values[key])] = true
	}
	return min(len(pieces), atOnce[0])
}

// merged makes few of many pieces that stand together.
func (s *session) merged(ahead []piece) ([]piece, error) {
	out := make([]piece, 0, len(ahead))
	for len(ahead) > 0 {
		n, st := alike(ahead), ahead[0].st
		for _, size := range atOnce {
			if n < size {
				continue
			}
			n = 1
			one, err := s.manyAtOnce(st, size)
			if err != nil {
				return nil, err
			}
			if one != nil {
				s.used(one)
				out, n = append(out, one.of(ahead[:size])), size
			}
			break
		}
		if n == 1 {
			out = append(out, ahead[0])
		}
		ahead = ahead[n:]
	}
	return out, nil
}

// manyAtOnce is a statement for so many rows; nil: there is no room for it.
func (s *session) manyAtOnce(st *statement, rows int) (*statement, error) {
	if one := st.many.sizes[rows]; one != nil || len(s.stmts) >= maxStatements {
		return one, nil
	}
	one, err := s.describe(st.many.text(rows))
	if err != nil {
		st.many = nil
		return nil, err
	}
	one.each = st
	st.many.sizes[rows] = one
	return one, nil
}

// of is the piece that does what others do one by one.
func (st *statement) of(pieces []piece) piece {
	one := piece{st: st}
	for _, p := range pieces {
		one.values, one.formats = append(one.values, p.values...), append(one.formats, p.formats...)
		one.rows += p.rows
	}
	if pieces[0].rows == store.AnyRows { // and so all of them
		one.rows = store.AnyRows
	}
	return one
}

// place is where a piece stands best: behind another of its statement, if all that stands between
// are inserts into tables to which it does not refer, or add up. What is read stands behind them all.
func (s *session) place(p piece) int {
	end := len(s.ahead)
	if p.st.many == nil || p.st.many.key >= 0 || p.st.many.reads {
		return end
	}
	for i := end - 1; i >= max(0, end-passed); i-- {
		at := s.ahead[i]
		switch {
		case at.st == p.st:
			return i + 1
		case at.of != "":
		case at.st == nil || at.st.many == nil || at.st.many.key >= 0 || s.names.refers[[2]string{p.st.many.table, at.st.many.table}]:
			return end
		}
	}
	return end
}

// passed is how many others a piece goes past, at most.
const passed = 8
