package dump

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// atOnce is how many rows are read by one statement.
const atOnce = 500

// Progress hears how many rows have gone through, now and then.
type Progress func(rows int64)

// Export writes all that is in a database, as one instant has it, to w. at is that instant.
// fault.Invalid where a row is not what its column holds.
func Export(ctx context.Context, e store.Engine, w io.Writer, why Purpose, at time.Time, progress Progress) (done Trailer, err error) {
	x := &exporter{out: bufio.NewWriterSize(w, 1<<16), sum: sha256.New(), progress: progress}
	err = e.View(ctx, func(q store.Querier) error {
		h := Header{Drawbridge: magic, Form: form, For: why, At: at.UTC(), Counters: map[string]int64{}}
		if h.Schema, h.Tables, err = describe(e, q); err != nil {
			return err
		}
		all, err := counters(e, q)
		if err != nil {
			return err
		}
		for _, c := range all {
			h.Counters[c.table] = c.last
		}
		if err := x.line(json.Marshal(h)); err != nil {
			return err
		}
		for _, t := range h.Tables {
			if err := x.table(ctx, q, t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return done, err
	}
	done = Trailer{Rows: x.rows, SHA256: hex.EncodeToString(x.sum.Sum(nil))}
	if err := x.line(json.Marshal(done)); err != nil {
		return done, err
	}
	return done, fault.Wrap(fault.Unavailable, op+".Export", x.out.Flush())
}

// exporter writes lines, and remembers what they were.
type exporter struct {
	out      *bufio.Writer
	sum      hash.Hash
	rows     int64
	scratch  []byte
	progress Progress
}

func (x *exporter) line(text []byte, err error) error {
	if err != nil {
		return fault.Wrap(fault.Internal, op+".Export", err)
	}
	text = append(text, '\n')
	_, _ = x.sum.Write(text) // a hash never fails
	_, err = x.out.Write(text)
	return fault.Wrap(fault.Unavailable, op+".Export", err)
}

// table writes a table's rows by its key, some hundred at a time.
func (x *exporter) table(ctx context.Context, q store.Querier, t Table) error {
	keys := t.keys()
	if len(keys) == 0 {
		return fault.New(fault.Internal, op, "%s has no key to read it by", t.Name)
	}
	text := fmt.Sprintf(`select %s from "%s"`, t.list(t.all()), t.Name)
	behind := fmt.Sprintf(` where (%s) > (%s)`, t.list(keys), numbered(1, len(keys)))
	order := fmt.Sprintf(` order by %s limit %d`, t.list(keys), atOnce)
	row := make([]any, len(t.Columns))
	for i := range row {
		row[i] = new(cell)
	}
	var last []any
	for {
		if err := ctx.Err(); err != nil {
			return fault.Wrap(fault.Unavailable, op+".Export", err)
		}
		query := text + order
		if last != nil {
			query = text + behind + order
		}
		n := 0
		err := q.Each(func(r store.Row) error {
			n++
			if err := r.Scan(row...); err != nil {
				return err
			}
			return x.row(t, row)
		}, query, last...)
		if err != nil {
			return err
		}
		x.progress(x.rows)
		if n < atOnce {
			return nil
		}
		last = last[:0]
		for _, at := range keys {
			last = append(last, row[at].(*cell).value)
		}
	}
}

func (x *exporter) row(t Table, row []any) (err error) {
	x.scratch = append(x.scratch[:0], `["`...)
	x.scratch = append(append(x.scratch, t.Name...), '"')
	for i, c := range t.Columns {
		x.scratch = append(x.scratch, ',')
		if x.scratch, err = appendCell(x.scratch, c.Kind, row[i].(*cell).value); err != nil {
			return fault.New(fault.Invalid, op+".Export", "a row of %s cannot be written: %s %v", t.Name, c.Name, err)
		}
	}
	x.rows++
	return x.line(append(x.scratch, ']'), nil)
}

// cell is any column.
type cell struct{ value any }

// Scan implements sql.Scanner. Bytes are the receiver's.
func (c *cell) Scan(src any) error {
	c.value = src
	return nil
}

func appendCell(b []byte, kind string, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(b, "null"...), nil
	case int64:
		if kind == "boolean" && (v == 0 || v == 1) {
			return strconv.AppendBool(b, v == 1), nil
		}
		if kind == "integer" {
			return strconv.AppendInt(b, v, 10), nil
		}
	case string:
		if kind == "text" {
			out, err := jsontext.AppendQuote(b, v)
			if err != nil {
				return b, fmt.Errorf("is not UTF-8")
			}
			return out, nil
		}
	case []byte:
		if kind == "bytes" {
			return append(base64.StdEncoding.AppendEncode(append(b, '"'), v), '"'), nil
		}
	}
	return b, fmt.Errorf("is a %T, not %s", value, kind)
}
