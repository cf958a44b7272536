package dump

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// maxLine bounds a line of a file: the largest row is a policy of 1,000,000 scopes.
const maxLine = 256 << 20

// together is how many rows are put in by one statement at most, and mostParameters what one takes.
const (
	together       = 50
	mostParameters = 1000
)

// Import puts a file into a database in which nothing is but its schema: all of it or nothing,
// in one transaction. open may be called again: a transaction may. allow refuses files by what
// they begin with; last is done at the end of the transaction. fault.Conflict where something is
// in the database, fault.Unsupported where the file is of another schema, fault.Invalid where it
// is broken.
func Import(ctx context.Context, e store.Engine, open func() (io.ReadCloser, error), allow func(Header) error, last func(store.Querier) error, progress Progress) (h Header, done Trailer, err error) {
	err = e.Update(ctx, "", func(q store.Querier) (err error) {
		file, err := open()
		if err != nil {
			return fault.Wrap(fault.Invalid, op+".Import", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		if err := q.Alone(); err != nil {
			return err
		}
		m := &importer{e: e, q: q, in: bufio.NewReaderSize(file, 1<<16), sum: sha256.New(), progress: progress}
		if h, err = m.header(allow); err != nil {
			return err
		}
		if err := m.clear(); err != nil {
			return err
		}
		if done, err = m.rest(ctx); err != nil {
			return err
		}
		if err := m.goOn(h.Counters); err != nil {
			return err
		}
		if err := m.forgetNews(); err != nil {
			return err
		}
		return last(q)
	}, nil)
	return h, done, err
}

// importer reads lines into a transaction.
type importer struct {
	e        store.Engine
	q        store.Querier
	in       *bufio.Reader
	sum      hash.Hash
	tables   []Table // of the database
	columns  map[string]Table
	lines    int64
	rows     int64
	waiting  [][]any // rows of one table
	of       string
	progress Progress
}

func broken(format string, args ...any) error {
	return fault.New(fault.Invalid, op+".Import", "the file is broken: "+format, args...)
}

// next is the next line, without its end; io.EOF after the last.
func (m *importer) next() ([]byte, error) {
	var line []byte
	for {
		part, err := m.in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, broken("line %d is longer than %d MiB", m.lines+1, maxLine>>20)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, broken("it was cut short, in line %d", m.lines+1)
		case err != nil:
			return nil, err
		}
		m.lines++
		return line, nil
	}
}

// begins is what the first line of every file of ours begins with.
const begins = `{"drawbridge":"` + magic + `",`

func (m *importer) header(allow func(Header) error) (h Header, err error) {
	first, _ := m.in.Peek(len(begins)) // what is wrong, next says
	line, err := m.next()
	if fault.Is(err, fault.Invalid) && string(first) == begins {
		return h, err
	}
	if err != nil && !fault.Is(err, fault.Invalid) && !errors.Is(err, io.EOF) {
		return h, fault.Wrap(fault.Unavailable, op+".Import", err)
	}
	if err != nil || json.Unmarshal(line, &h) != nil || h.Drawbridge != magic {
		return h, fault.New(fault.Invalid, op+".Import", "this is not a file that drawbridge db export or db backup wrote")
	}
	_, _ = m.sum.Write(line) // a hash never fails
	var schema int64
	if schema, m.tables, err = describe(m.e, m.q); err != nil {
		return h, err
	}
	if h.Form != form || h.Schema != schema {
		return h, fault.New(fault.Unsupported, op+".Import", "the file has schema %d (form %d), this program knows %d (form %d): put it in with the version of drawbridge that wrote it, then run drawbridge db migrate with this one",
			h.Schema, h.Form, schema, form)
	}
	if err := allow(h); err != nil {
		return h, err
	}
	m.columns = map[string]Table{}
	for _, t := range h.Tables {
		m.columns[t.Name] = t
	}
	for _, t := range m.tables {
		if !sameColumns(t, m.columns[t.Name]) {
			return h, broken("it has other columns of %s than this program's schema %d", t.Name, schema)
		}
	}
	if len(h.Tables) != len(m.tables) {
		return h, broken("it has %d tables, this program's schema %d has %d", len(h.Tables), schema, len(m.tables))
	}
	return h, nil
}

// sameColumns compares two tables' columns, in whatever order they stand.
func sameColumns(a, b Table) bool {
	if len(a.Columns) != len(b.Columns) {
		return false
	}
	return !slices.ContainsFunc(a.Columns, func(c Column) bool {
		return !slices.ContainsFunc(b.Columns, func(o Column) bool { return o.Name == c.Name && o.Kind == c.Kind })
	})
}

// clear takes away what migrations put in, and refuses a database in which more is.
func (m *importer) clear() error {
	for _, t := range m.tables {
		if t.single() {
			if _, err := m.q.Exec(`delete from "` + t.Name + `"`); err != nil {
				return err
			}
			continue
		}
		var something bool
		if err := m.q.QueryRow(`select exists (select 1 from "` + t.Name + `")`).Scan(&something); err != nil {
			return err
		}
		if something {
			return fault.New(fault.Conflict, op+".Import", "the database is not empty: there are rows in %s. Name one in which nothing is, or move this one aside", t.Name)
		}
	}
	return nil
}

// rest reads rows up to the trailer.
func (m *importer) rest(ctx context.Context) (t Trailer, err error) {
	for {
		line, err := m.next()
		if errors.Is(err, io.EOF) {
			return t, broken("it was cut short after line %d, without the line that says what is in it", m.lines)
		}
		if err != nil {
			return t, err
		}
		if line[0] == '{' {
			return m.trailer(line)
		}
		_, _ = m.sum.Write(line) // a hash never fails
		if err := m.row(line); err != nil {
			return t, err
		}
		if m.rows%atOnce == 0 {
			m.progress(m.rows)
			if err := ctx.Err(); err != nil {
				return t, fault.Wrap(fault.Unavailable, op+".Import", err)
			}
		}
	}
}

func (m *importer) trailer(line []byte) (t Trailer, err error) {
	if json.Unmarshal(line, &t) != nil || t.Rows != m.rows || t.SHA256 != hex.EncodeToString(m.sum.Sum(nil)) {
		return t, broken("what is in it is not what was written (SHA-256)")
	}
	if _, err := m.next(); !errors.Is(err, io.EOF) {
		return t, broken("something stands behind its end")
	}
	m.progress(m.rows)
	return t, m.put()
}

func (m *importer) row(line []byte) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var values []any
	if err := d.Decode(&values); err != nil || len(values) == 0 {
		return broken("line %d is no row", m.lines)
	}
	name, _ := values[0].(string)
	t, known := m.columns[name]
	if !known || len(values)-1 != len(t.Columns) {
		return broken("line %d is no row of a table", m.lines)
	}
	for i, c := range t.Columns {
		v, ok := valueOf(c.Kind, values[i+1])
		if !ok {
			return broken("%s in line %d is no %s", c.Name, m.lines, c.Kind)
		}
		values[i+1] = v
	}
	if name != m.of || len(m.waiting) >= min(together, mostParameters/len(t.Columns)) {
		if err := m.put(); err != nil {
			return err
		}
	}
	m.of, m.waiting = name, append(m.waiting, values[1:])
	m.rows++
	return nil
}

func valueOf(kind string, v any) (any, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case bool:
		return v, kind == "boolean"
	case json.Number:
		n, err := v.Int64()
		return n, kind == "integer" && err == nil
	case string:
		if kind == "bytes" {
			b, err := base64.StdEncoding.DecodeString(v)
			return append(make([]byte, 0, len(b)), b...), err == nil // never nil, which is NULL
		}
		return v, kind == "text"
	}
	return nil, false
}

// put puts the rows in that wait.
func (m *importer) put() error {
	if len(m.waiting) == 0 {
		return nil
	}
	t := m.columns[m.of]
	rows, args := make([]string, len(m.waiting)), []any{}
	for i, row := range m.waiting {
		rows[i] = "(" + numbered(len(args)+1, len(row)) + ")"
		args = append(args, row...)
	}
	m.waiting = m.waiting[:0]
	_, err := m.q.Exec(fmt.Sprintf(`insert into "%s" (%s) values %s`, t.Name, t.list(t.all()), strings.Join(rows, ", ")), args...)
	if fault.Is(err, fault.Conflict) {
		return broken("rows of %s before line %d contradict what is there: %v", t.Name, m.lines, err)
	}
	return err
}

// goOn makes tables give keys that were never given before.
func (m *importer) goOn(given map[string]int64) error {
	all, err := counters(m.e, m.q)
	if err != nil {
		return err
	}
	for _, c := range all {
		var most int64
		if err := m.q.QueryRow(fmt.Sprintf(`select coalesce(max("%s"), 0) from "%s"`, c.column, c.table)).Scan(&most); err != nil {
			return err
		}
		if err := m.e.Dialect().Catalog.Count(m.q, c.table, c.column, max(most, given[c.table], c.last)); err != nil {
			return err
		}
	}
	return nil
}

// forgetNews makes every cursor in the news of before one that is too old: whoever follows
// revocations begins anew, and misses none that was told where the rows came from.
func (m *importer) forgetNews() error {
	d := m.e.Dialect()
	if !d.Shared {
		return nil
	}
	_, err := m.q.Exec(`insert into news_trimmed (one, below) values (1, ` + d.Transaction + ` + 1) on conflict (one) do update set below = excluded.below`)
	return err
}
