package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/scim/filter"
)

// A filter that no index serves may search for scanTime. Where there are more than
// freeScan rows, at most wideScans of them search at once: every search holds a
// reader, and the others need some too.
const (
	scanTime  = 5 * time.Second
	freeScan  = 5_000
	wideScans = 2
)

// People lists a page of people, oldest first, with the number of all that match.
// fault.Limited if a filter that no index serves takes longer than 5 seconds, or
// too many are searching already. In a DirectoryTx it holds the writer: do not.
func (d *Directory) People(q Query) ([]Person, int, error) {
	return page(d, "store.People", peopleTable(d.dialect()), q, d.counted, d.scanPerson)
}

// Groups lists a page of live groups, oldest first, with the number of all that match.
func (d *Directory) Groups(q Query) ([]Group, int, error) {
	return page(d, "store.Groups", groupsTable(d.dialect()), q, d.counted, d.scanGroup)
}

// page finds the keys of a page on the narrow index first and joins the wide rows
// outside, so that a deep page does not read what it skips.
func page[T any](d *Directory, op string, t table, q Query, count func(column string) (int, error), scan func(Row) (T, error)) ([]T, int, error) {
	if q.Start < 1 || q.Count < 0 || q.Count > MaxPage {
		return nil, 0, fault.New(fault.Invalid, op, "a page starts at 1 or later and has at most %d entries", MaxPage)
	}
	where, args, err := t.where(d.conn, q.Filter)
	if err != nil {
		return nil, 0, err
	}
	all := 0
	if q.Filter == nil || !t.narrow(q.Filter) {
		if all, err = count(t.counter); err != nil {
			return nil, 0, err
		}
	}
	if q.Filter != nil && all > freeScan {
		select {
		case d.v.scans <- struct{}{}:
			defer func() { <-d.v.scans }()
		default:
			return nil, 0, fault.New(fault.Limited, op, "other searches are under way: try again in a few seconds, or filter by userName, externalId or id")
		}
	}
	ctx, cancel := context.WithTimeout(d.v.ctx, scanTime)
	defer cancel()
	var found []T
	if q.Count > 0 {
		text := fmt.Sprintf(`select %s from (select %s.key from %s %s where %s order by %s.key limit $%d offset $%d) k join %s %s on %s.key = k.key order by k.key`,
			t.columns, t.alias, t.name, t.alias, where, t.alias, len(args)+1, len(args)+2, t.name, t.alias, t.alias)
		if err := d.run(ctx, t, q.Filter, into(&found, scan), text, append(slices.Clone(args), q.Count, q.Start-1)...); err != nil {
			return nil, 0, tooLong(ctx, op, d.v.failed(err, op))
		}
	}
	total, err := t.total(ctx, d, op, q, all, len(found), where, args)
	return found, total, err
}

// counted is one of the connection's counters.
func (d *Directory) counted(column string) (n int, err error) {
	err = d.v.q.QueryRow(`select `+column+` from connections where key = $1`, d.conn).Scan(&n)
	return n, d.v.failed(err, "store.counted")
}

// run runs a search. Every identity provider asks the same few questions before
// each change: those are prepared once; others are interruptible and forgotten.
func (d *Directory) run(ctx context.Context, t table, f filter.Expr, scan func(Row) error, text string, args ...any) error {
	if c, one := f.(*filter.Compare); f == nil || one && c.Op == filter.Equal && t.narrow(f) {
		return d.v.q.Each(scan, text, args...)
	}
	return d.v.q.Search(ctx, scan, text, args...)
}

// total counts what matches, where the page has not already shown it.
func (t table) total(ctx context.Context, d *Directory, op string, q Query, all, found int, where string, args []any) (int, error) {
	if q.Filter == nil {
		return all, nil
	}
	if q.Count > 0 && found < q.Count && (found > 0 || q.Start == 1) {
		return q.Start - 1 + found, nil
	}
	var total int
	err := d.v.q.Search(ctx, func(r Row) error { return r.Scan(&total) }, fmt.Sprintf(`select count(*) from %s %s where %s`, t.name, t.alias, where), args...)
	return total, tooLong(ctx, op, d.v.failed(err, op))
}

func tooLong(ctx context.Context, op string, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &fault.Error{Kind: fault.Limited, Op: op, Err: err,
			Detail: "this filter takes too long here: filter by userName, externalId, id, displayName of a group or a time instead"}
	}
	return err
}
