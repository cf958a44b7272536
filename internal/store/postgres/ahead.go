package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// piece is something that is sent with the next statement of which somebody reads the answer: a
// text without parameters, or a statement of which it is said already what it changes.
type piece struct {
	text    string
	st      *statement
	values  [][]byte
	formats []int16
	rows    int64

	sum int64  // of what counts, its first parameter
	of  string // and what it counts
}

// At most so many pieces wait for a statement that is read.
const maxAhead = 256

// How often a statement is not sent later that has changed other rows than was expected.
const waryTimes = 200

// first sends a text ahead of the next statement.
func (s *session) first(text string) { s.ahead = append(s.ahead, piece{text: text}) }

// later sends a statement ahead of the next one that is read, and says already what it is expected to
// change. Whatever else it comes to loses the transaction, which runs again and asks.
func (s *session) later(rows int64, query string, args []any) (int64, error) {
	if s.lost != nil {
		return 0, s.lost
	}
	st, err := s.prepare(query)
	if err != nil {
		return 0, err
	}
	if st.wary > 0 {
		st.wary--
		result, err := s.run(query, args)
		if err != nil {
			return 0, err
		}
		return result.CommandTag.RowsAffected(), nil
	}
	return rows, s.put(rows, query, args)
}

// put puts a statement ahead of the next.
func (s *session) put(rows int64, query string, args []any) error {
	return s.putPiece(piece{rows: rows}, query, args)
}

func (s *session) putPiece(p piece, query string, args []any) (err error) {
	if p.st, err = s.prepare(query); err != nil {
		return err
	}
	if p.values, p.formats, err = s.bound(p.st, args); err != nil {
		return err
	}
	s.written++
	s.ahead = slices.Insert(s.ahead, s.place(p), p)
	if len(s.ahead) >= maxAhead {
		return s.flush()
	}
	return nil
}

// count is later for something that adds up.
func (s *session) count(conn, by int64, query string, args []any) error {
	if s.lost != nil {
		return s.lost
	}
	of := fmt.Sprint(conn, query, args)
	for i := len(s.ahead) - 1; i >= 0; i-- {
		p := &s.ahead[i]
		if p.of == of {
			s.written++
			p.sum += by
			p.values[0] = strconv.AppendInt(nil, p.sum, 10)
			return nil
		}
		if strings.HasPrefix(p.text, "savepoint ") {
			break // whoever goes back to it takes back what came behind it, and no more
		}
	}
	return s.putPiece(piece{rows: 1, sum: by, of: of}, query, append([]any{by}, args...))
}

// block is keys that nobody else is given.
type block struct {
	keys []int64
	size int // of the next
}

// nextKey is a key for a row of a table, which the caller must insert; 0: let the database make it, as for
// a row that may be the only one.
func (s *session) nextKey(table string) (key int64, err error) {
	if s.lost != nil {
		return 0, s.lost
	}
	b := s.blocks[table]
	if b == nil {
		b = &block{size: s.following()}
		s.blocks[table] = b
		if b.size == 0 {
			b.size = 1
			return 0, nil
		}
		b.size++
	}
	if len(b.keys) == 0 {
		result, err := s.run("select nextval('"+s.names.keys[table]+"') from generate_series(1, $1::int)", []any{int64(b.size)})
		if err != nil {
			return 0, err
		}
		for _, values := range result.Rows {
			k, err := strconv.ParseInt(string(values[0]), 10, 64)
			if err != nil {
				return 0, fault.Wrap(fault.Internal, op, err)
			}
			b.keys = append(b.keys, k)
		}
		b.size = min(2*b.size, maxBatch)
	}
	key, b.keys = b.keys[0], b.keys[1:]
	return key, nil
}

func (s *session) bound(st *statement, args []any) (values [][]byte, formats []int16, err error) {
	s.used(st)
	if len(args) != len(st.ParamOIDs) {
		return nil, nil, fault.New(fault.Internal, op, "a statement of %d arguments got %d", len(st.ParamOIDs), len(args))
	}
	return bindAll(args)
}

// flush sends what was to be sent with the next statement.
func (s *session) flush() error {
	if len(s.ahead) == 0 {
		return nil
	}
	if s.delayed() {
		if _, err := s.exchange(func(*pgconn.Batch) {}); err != nil {
			return s.lose(err)
		}
		return nil
	}
	texts := make([]string, len(s.ahead))
	for i, p := range s.ahead {
		texts[i] = p.text
	}
	s.ahead = s.ahead[:0]
	if err := s.command(context.Background(), strings.Join(texts, "; ")); err != nil {
		return s.lose(err)
	}
	return nil
}

// delayed reports whether a statement waits that somebody takes for done.
func (s *session) delayed() bool {
	for _, p := range s.ahead {
		if p.st != nil {
			return true
		}
	}
	return false
}

// exchange sends what stands ahead, and what put adds, in one round trip. It gives the answers to
// what put has added.
func (s *session) exchange(put func(*pgconn.Batch)) (results []*pgconn.Result, err error) {
	delayed := s.delayed()
	sent, err := s.merged(s.ahead)
	s.ahead = s.ahead[:0]
	if err != nil {
		s.late = true
		return nil, err
	}
	batch := &pgconn.Batch{}
	for _, p := range sent {
		if p.st == nil {
			batch.ExecParams(p.text, nil, nil, nil, nil)
		} else {
			batch.ExecStatement(p.st.StatementDescription, p.values, p.formats, nil)
		}
	}
	put(batch)
	err = s.ask(func() (err error) {
		results, err = s.pg.ExecBatch(context.Background(), batch).ReadAll() // ask bounds it
		return err
	})
	if err != nil {
		s.late = s.late || delayed
		return nil, err
	}
	for i, p := range sent {
		if n := results[i].CommandTag.RowsAffected(); p.st != nil && p.rows != store.AnyRows && n != p.rows {
			s.late = true
			cmp.Or(p.st.each, p.st).wary = waryTimes
			return nil, fmt.Errorf("a statement has changed %d rows, not %d", n, p.rows)
		}
	}
	return results[len(sent):], nil
}
