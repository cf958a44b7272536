package scim

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// searchSegment is where searches are posted to: at the connection's root, and under
// each resource type (RFC 7644 section 3.4.3).
const searchSegment = ".search"

// search is a query whose names have been looked up.
type search struct {
	queryText
	sources []source
	sort    *filter.Sort
	at      string // the address it was sent to; part of what a cursor is good for
}

// source is one resource type that is searched.
type source struct {
	view
	rows    Reader
	filter  filter.Expr
	matters bool // some resource of the type can match
	want    Want
}

// found is what a search's answer shows.
type found struct {
	total    int
	compared int
	items    []item
	next     string // a cursor; "" for none
}

type item struct {
	view
	Resource
}

// list answers a query in the address: over one resource type or, at the root, over
// all of them one after the other.
func (s *Server) list(kinds ...kind) action {
	return func(ctx context.Context, c *call) error {
		q, err := parseQuery(c.r.URL.RawQuery)
		if err != nil {
			return err
		}
		return s.search(ctx, c, q, kinds...)
	}
}

// find answers a search that was posted, over one resource type or, at the root,
// over all of them one after the other.
func (s *Server) find(kinds ...kind) action {
	return func(ctx context.Context, c *call) error {
		if q, err := parseQuery(c.r.URL.RawQuery); err != nil || q != noQuery() {
			return Invalid(TypeInvalidValue, "Send the parameters of a search in its body, not in the address.")
		}
		c.told.Message, c.told.Types = true, typesOf(served(c, kinds))
		sent, err := body(c, maxTarget)
		if err != nil {
			return err
		}
		q, notes, err := parseSearch(sent, c.dialect.Leniency)
		if err != nil {
			return err
		}
		c.note(notes)
		return s.search(ctx, c, q, kinds...)
	}
}

func (s *Server) search(ctx context.Context, c *call, q queryText, kinds ...kind) error {
	kinds = served(c, kinds)
	if len(kinds) == 1 {
		c.told.Type = kinds[0].rt
	}
	all, err := s.look(c, q, kinds)
	if err != nil {
		return err
	}
	c.asksSearch(all)
	began := s.now()
	var f found
	start := 0 // of a walk
	if q.hasCursor {
		f, err = s.walk(ctx, c, all)
	} else {
		start = q.start
		f, err = all.numbered(ctx)
	}
	if err != nil {
		return err
	}
	c.found(f, q.hasFilter)
	c.cost(f.compared, s.now().Sub(began))
	return s.write(c, http.StatusOK, func(a *answer) error { return f.appendTo(a, start) })
}

// cost tells the client that no index serves what was asked for, and what that took
// (Server-Timing, W3C).
func (c *call) cost(compared int, took time.Duration) {
	c.compared = compared
	if compared > 0 {
		c.w.Header().Set("Server-Timing", fmt.Sprintf(`scan;dur=%.1f;desc="no index serves this: %d rows compared"`, float64(took.Microseconds())/1000, compared))
	}
}

// look resolves the names of a query against every resource type it is for.
func (s *Server) look(c *call, q queryText, kinds []kind) (search, error) {
	all := search{queryText: q, at: c.path.collection}
	var err error
	switch {
	case q.hasSort && len(kinds) > 1:
		return all, Invalid(TypeInvalidValue, "Users and groups are not sorted together; send a sorted search to /Users/.search or /Groups/.search.")
	case q.hasSort:
		all.sort, err = filter.ParseSort(kinds[0].rt, q.sortBy, q.sortOrder)
	default:
		err = filter.CheckOrder(q.sortOrder)
	}
	if err != nil {
		return all, err
	}
	var notes schema.Notes
	for _, k := range kinds {
		p := parseProjection(k.rt, q)
		from := source{view: s.view(c, k, p), rows: k.reads(c.dir), matters: true, want: Want{Relations: p.wants(k.relation)}}
		if q.hasFilter {
			if from.filter, from.matters, err = filter.ParseAcross(k.rt, typesOf(kinds), q.filter, c.dialect.Leniency, &notes); err != nil {
				return all, err
			}
		}
		all.sources = append(all.sources, from)
	}
	c.note(notes)
	return all, nil
}

func typesOf(kinds []kind) []*schema.ResourceType {
	types := make([]*schema.ResourceType, len(kinds))
	for i, k := range kinds {
		types[i] = k.rt
	}
	return types
}

// page asks one source for a page.
func (f *found) page(ctx context.Context, from source, q Query) (Page, error) {
	if !from.matters {
		return Page{}, nil
	}
	q.Filter, q.Want, q.Base = from.filter, from.want, from.base
	page, err := from.rows.List(ctx, q)
	if err != nil {
		return Page{}, err
	}
	f.compared += page.Compared
	for _, r := range page.Resources {
		f.items = append(f.items, item{from.view, r})
	}
	return page, nil
}

// numbered is the page that begins at startIndex, counted through all sources.
func (s search) numbered(ctx context.Context) (found, error) {
	var f found
	skip := s.start - 1
	for _, from := range s.sources {
		page, err := f.page(ctx, from, Query{Sort: s.sort, Start: skip + 1, Count: s.count - len(f.items)})
		if err != nil {
			return f, err
		}
		f.total += page.Total
		skip = max(skip-page.Total, 0)
	}
	return f, nil
}

// appendTo writes a ListResponse (RFC 7644 section 3.4.2). itemsPerPage is what
// this answer holds, Resources is never null, and a walk (start 0) has no startIndex.
func (f found) appendTo(a *answer, start int) error {
	if start > 0 {
		a.buf = appendListHead(a.buf, f.total, start, len(f.items))
	} else {
		a.buf = appendWalkHead(a.buf, f)
	}
	for i, it := range f.items {
		if i > 0 {
			a.buf = append(a.buf, ',')
		}
		r := it.Resource
		if r.Later != nil {
			var err error
			if r, err = r.Later(); err != nil {
				return err
			}
		}
		if err := it.appendResource(a, r); err != nil {
			return err
		}
	}
	a.buf = append(a.buf, `]}`...)
	return nil
}

func appendListHead(dst []byte, total, start, items int) []byte {
	dst = append(dst, `{"schemas":["`+urnList+`"],"totalResults":`...)
	dst = append(strconv.AppendInt(dst, int64(total), 10), `,"startIndex":`...)
	dst = append(strconv.AppendInt(dst, int64(start), 10), `,"itemsPerPage":`...)
	return append(strconv.AppendInt(dst, int64(items), 10), `,"Resources":[`...)
}

// appendWalkHead is appendListHead for a walk (RFC 9865 section 2).
func appendWalkHead(dst []byte, f found) []byte {
	dst = append(dst, `{"schemas":["`+urnList+`"],"totalResults":`...)
	dst = append(strconv.AppendInt(dst, int64(f.total), 10), `,"itemsPerPage":`...)
	dst = strconv.AppendInt(dst, int64(len(f.items)), 10)
	if f.next != "" {
		dst = appendString(append(dst, `,"nextCursor":`...), f.next)
	}
	return append(dst, `,"Resources":[`...)
}

// bound describes the list for which a cursor is good, beside its connection and
// its page size: the same words for the same list only.
func (s search) bound() string {
	sort := ""
	if s.sort != nil {
		sort = s.sort.By.Path() + " " + s.sort.Word()
	}
	return fmt.Sprintf("list v1 %q %t %q %q", s.at, s.hasFilter, s.filter, sort)
}
