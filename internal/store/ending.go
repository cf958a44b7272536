package store

import "database/sql"

// Ending is v of which one statement more is read, and nothing after it: an engine may end the view
// with the answer. It is not for what writes.
func (v *View) Ending() *View {
	one := *v
	one.q = ending{v.q}
	return &one
}

// Ending is described at View.Ending.
func (d *Directory) Ending() *Directory {
	one := *d
	one.v = d.v.Ending()
	return &one
}

// ending asks for the last time.
type ending struct{ Querier }

func (q ending) Each(scan func(Row) error, query string, args ...any) error {
	return q.Last(Question{scan, query, args})
}

func (q ending) QueryRow(query string, args ...any) Row { return lastRow{q, query, args} }

// lastRow is the first row of an answer to who asks for the last time.
type lastRow struct {
	q     ending
	query string
	args  []any
}

func (r lastRow) Scan(dest ...any) error {
	found := false
	err := r.q.Last(Question{func(row Row) error {
		if found {
			return nil
		}
		found = true
		return row.Scan(dest...)
	}, r.query, r.args})
	if err == nil && !found {
		return sql.ErrNoRows
	}
	return err
}
