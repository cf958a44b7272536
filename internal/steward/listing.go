package steward

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// The bounds of a list.
const (
	usualCount = 50
	mostCount  = 200
	// examined is how many rows one page looks at. A page may be shorter than was asked for,
	// and still have a next one.
	examined = 20_000
	// enumerated is how many scopes are asked for one by one; of more, all requests are read and
	// those that lie elsewhere left out.
	enumerated = 4000
)

func countOf(n int) int {
	if n <= 0 {
		return usualCount
	}
	return min(n, mostCount)
}

// walk collects what is kept of lists, the newest first, up to n; next is where to go on,
// "" at the end.
func walk[T any, ID ~string](after ID, n int, read func(before ID, n int) (rows []T, more bool, err error), id func(T) ID, keep func(T) bool) (kept []T, next ID, err error) {
	for cursor, looked, size := after, 0, n+1; ; size = min(2*size, 1000) {
		rows, more, err := read(cursor, size)
		if err != nil {
			return nil, "", err
		}
		for _, row := range rows {
			looked++
			cursor = id(row)
			if !keep(row) {
				continue
			}
			if kept = append(kept, row); len(kept) > n {
				return kept[:n], id(kept[n-1]), nil
			}
		}
		switch {
		case !more || len(rows) == 0:
			return kept, "", nil
		case looked >= examined:
			return kept, cursor, nil
		}
	}
}

// merged reads several lists as one.
func merged[T any, ID ~string](before ID, n int, id func(T) ID, lists ...func(ID, int) ([]T, error)) (all []T, more bool, err error) {
	var floor ID // what lies below is not read of every list yet
	for _, read := range lists {
		rows, err := read(before, n)
		if err != nil {
			return nil, false, err
		}
		if len(rows) == n {
			more, floor = true, max(floor, id(rows[n-1]))
		}
		all = append(all, rows...)
	}
	slices.SortFunc(all, func(a, b T) int { return -cmp.Compare(id(a), id(b)) })
	all = slices.CompactFunc(all, func(a, b T) bool { return id(a) == id(b) })
	return slices.DeleteFunc(all, func(t T) bool { return id(t) < floor }), more, nil
}

// Requests lists requests, the newest first: those that whoever acts sees. A person who
// decides nowhere sees their own.
func (s *Steward) Requests(ctx context.Context, a Actor, q Query) (out RequestPage, err error) {
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		k := newDesk(v, p, now, r)
		out = RequestPage{Requests: []RequestView{}}
		lists, keep, err := k.requestLists(q)
		if err != nil || lists == nil {
			return err
		}
		id := func(x store.RequestKey) access.RequestID { return x.ID }
		var reads []func(access.RequestID, int) ([]store.RequestKey, error)
		for _, l := range lists {
			reads = append(reads, func(before access.RequestID, n int) ([]store.RequestKey, error) { return v.RequestKeys(l, before, n) })
		}
		keys, next, err := walk(q.After, countOf(q.Count), func(before access.RequestID, n int) ([]store.RequestKey, bool, error) {
			return merged(before, n, id, reads...)
		}, id, keep)
		if err != nil {
			return err
		}
		out.Next = next
		out.Requests, err = k.requestViews(keys)
		return err
	})
	return out, err
}

func (k *desk) requestViews(keys []store.RequestKey) ([]RequestView, error) {
	ids := make([]access.RequestID, len(keys))
	for i, key := range keys {
		ids[i] = key.ID
	}
	all, err := k.v.RequestsBy(ids)
	views := make([]RequestView, len(all))
	for i, q := range all {
		if err == nil {
			views[i], err = k.view(q, false)
		}
	}
	return views, err
}

// requestLists says what is read for a query, and what of it is kept; no lists if there
// can be nothing.
func (k *desk) requestLists(q Query) (lists []store.RequestList, keep func(store.RequestKey) bool, err error) {
	me, root := k.by(), k.r.Root(k.Tree)
	at := access.ScopeID("")
	if q.Area != "" {
		s, err := k.area(q.Area)
		if err != nil {
			return nil, nil, err
		}
		at = s.ID
	}
	var of *request.Party
	if q.For != nil {
		p, err := k.named(*q.For)
		if err != nil {
			return nil, nil, err
		}
		of = &request.Party{Connection: p.Connection, Person: p.ID}
	}
	keep = func(x store.RequestKey) bool {
		state := request.Request{State: x.State, DecideBy: x.DecideBy}.StateAt(k.Now)
		mine := x.By == me || x.For == me
		return (mine || k.r.Sees(k.Tree, x.Scope)) && (q.State == "" || q.State == state) && (!q.Mine || mine) && (of == nil || x.For == *of) &&
			(q.Case == "" || x.Case == q.Case) && (at == "" || k.Tree.Covers(at, x.Scope)) && (!q.ToDecide || !mine && state.Waits() && k.decidesKey(x))
	}
	if q.ToDecide && (root == "" || k.r.Operator) {
		return nil, nil, nil // they decide nothing
	}
	return k.cheapest(q, of, at, root), keep, nil
}

func (k *desk) decidesKey(x store.RequestKey) bool {
	return request.Decides(k.Tree, x.Approvers, k.r.Scope, x.Scope)
}

// cheapest are the lists that hold all of a query's, and the least besides.
func (k *desk) cheapest(q Query, of *request.Party, at, root access.ScopeID) []store.RequestList {
	me := k.by()
	switch {
	case of != nil:
		return []store.RequestList{{For: of}}
	case q.Mine || root == "":
		return []store.RequestList{{For: &me}, {By: &me}}
	case q.Case != "":
		return []store.RequestList{{Case: q.Case}}
	}
	if at == "" || k.Tree.Covers(at, root) {
		at = root
	}
	waiting := q.ToDecide || q.State.Waits()
	if host, _ := k.Tree.Resolve("."); at != host.ID {
		if under := k.Tree.Under(at); len(under) <= enumerated {
			return []store.RequestList{{Scopes: under, Waiting: waiting}}
		}
	}
	switch {
	case q.ToDecide:
		return []store.RequestList{{State: request.Open}, {State: request.Unconfirmed}}
	case q.State == request.Lapsed:
		return []store.RequestList{{State: request.Lapsed}, {State: request.Open}} // those whom nobody has noticed
	case q.State == request.Expired:
		return []store.RequestList{{State: request.Expired}, {State: request.Unconfirmed}}
	}
	return []store.RequestList{{State: q.State}}
}

// Request shows one request. fault.NotFound if whoever acts does not see it.
func (s *Steward) Request(ctx context.Context, a Actor, id access.RequestID) (out RequestView, err error) {
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		k := newDesk(v, p, now, r)
		q, err := k.request(id)
		if err != nil {
			return err
		}
		out, err = k.view(q, true)
		return err
	})
	return out, err
}
