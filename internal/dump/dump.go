// Package dump is a database as a whole, whichever engine keeps it: all of it goes into a file,
// and comes from one, and what is in it is checked against itself.
//
// The file is lines of JSON: a Header, one array for each row (its table, then its columns in
// the header's order), and a Trailer with the number of rows and the SHA-256 of all bytes
// before it. Rows are read and written a few hundred at a time.
package dump

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

const op = "dump"

// Purpose is what a file was written for.
type Purpose string

// A Move is of a bridge that stands still and goes on elsewhere. A Backup is of one that went
// on: what was revoked since lives in it.
const (
	Move   Purpose = "move"
	Backup Purpose = "backup"
)

// What a file of ours begins with.
const (
	magic = "directory"
	form  = 1
)

// Header is the first line.
type Header struct {
	Drawbridge string           `json:"drawbridge"` // "directory"
	Form       int              `json:"form"`
	For        Purpose          `json:"for"`
	Schema     int64            `json:"schema"` // the number of the last migration
	At         time.Time        `json:"at"`
	Tables     []Table          `json:"tables"`
	Counters   map[string]int64 `json:"counters"` // of each table the last key that was given
}

// Table is a table with its columns, in the order of a row.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
}

// Column is a column; Kind is integer, boolean, text or bytes (in base64).
type Column struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	key  int64  // its place in the primary key; 0: it is not in it
}

// Trailer is the last line.
type Trailer struct {
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// passing is what nodes say of the present: it would mean nothing elsewhere.
func passing(table string) bool {
	return slices.Contains([]string{"commits", "history", "news", "news_trimmed", "nodes", "turns"}, table)
}

// counter is a table whose keys are never given twice.
type counter struct {
	table, column string
	last          int64
}

// describe reads the schema: tables after those that their rows name.
func describe(e store.Engine, q store.Querier) (schema int64, tables []Table, err error) {
	c := e.Dialect().Catalog
	if err := q.QueryRow(`select max(version_id) from goose_db_version where is_applied`).Scan(&schema); err != nil {
		return 0, nil, fault.Wrap(fault.Unavailable, op, err)
	}
	err = q.Each(func(r store.Row) error {
		var table string
		var col Column
		if err := r.Scan(&table, &col.Name, &col.Kind, &col.key); err != nil {
			return err
		}
		if passing(table) {
			return nil
		}
		if !slices.Contains([]string{"integer", "boolean", "text", "bytes"}, col.Kind) {
			return fault.New(fault.Internal, op, "%s.%s is a %s, which no file holds", table, col.Name, col.Kind)
		}
		if last := len(tables) - 1; last < 0 || tables[last].Name != table {
			tables = append(tables, Table{Name: table})
		}
		t := &tables[len(tables)-1]
		t.Columns = append(t.Columns, col)
		return nil
	}, c.Columns)
	if err != nil {
		return 0, nil, fault.Wrap(fault.Unavailable, op, err)
	}
	needs := map[string][]string{}
	err = q.Each(func(r store.Row) error {
		var of, needed string
		err := r.Scan(&of, &needed)
		if of != needed {
			needs[of] = append(needs[of], needed)
		}
		return err
	}, c.References)
	if err != nil {
		return 0, nil, fault.Wrap(fault.Unavailable, op, err)
	}
	tables, err = inOrder(tables, needs)
	return schema, tables, err
}

// inOrder puts every table behind those that it needs.
func inOrder(tables []Table, needs map[string][]string) (ordered []Table, err error) {
	placed := map[string]bool{}
	for len(ordered) < len(tables) {
		before := len(ordered)
		for _, t := range tables {
			if !placed[t.Name] && !slices.ContainsFunc(needs[t.Name], func(n string) bool { return !placed[n] }) {
				ordered, placed[t.Name] = append(ordered, t), true
			}
		}
		if len(ordered) == before {
			return nil, fault.New(fault.Internal, op, "tables name each other in a circle")
		}
	}
	return ordered, nil
}

func counters(e store.Engine, q store.Querier) (all []counter, err error) {
	err = q.Each(func(r store.Row) error {
		var c counter
		err := r.Scan(&c.table, &c.column, &c.last)
		if !passing(c.table) {
			all = append(all, c)
		}
		return err
	}, e.Dialect().Catalog.Counters)
	return all, fault.Wrap(fault.Unavailable, op, err)
}

// single reports whether a table has one row, which migrations put in.
func (t Table) single() bool {
	return t.Name == "exceptions_pass" || slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == "one" && c.key == 1 })
}

// keys are the columns of the primary key, in its order.
func (t Table) keys() (at []int) {
	for i, c := range t.Columns {
		if c.key > 0 {
			at = append(at, i)
		}
	}
	slices.SortFunc(at, func(a, b int) int { return int(t.Columns[a].key - t.Columns[b].key) })
	return at
}

// list are columns as SQL names them.
func (t Table) list(at []int) string {
	names := make([]string, len(at))
	for i, n := range at {
		names[i] = `"` + t.Columns[n].Name + `"`
	}
	return strings.Join(names, ", ")
}

func (t Table) all() []int {
	at := make([]int, len(t.Columns))
	for i := range at {
		at[i] = i
	}
	return at
}

// numbered are n parameters from the given one on.
func numbered(from, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("$%d", from+i)
	}
	return strings.Join(all, ", ")
}
