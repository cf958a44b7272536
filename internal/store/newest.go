package store

import (
	"cmp"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// atScopes asks for a page of what lies at some scopes: at most n, whose ids come before
// from.
type atScopes struct {
	scopes []access.ScopeID
	from   string
	n      int
}

// newestAt is a page of rows of a table with the columns scope and id, called r, the
// newest first. It asks scope by scope, those with the newest rows first, and only as many of them as the
// page needs: there may be many scopes, and few of them have any.
func newestAt[T any](v *View, op, table, only string, at atScopes, read func(access.ScopeID) ([]T, error), id func(T) string) (page []T, err error) {
	type newest struct {
		scope access.ScopeID
		id    string
	}
	with, err := list(v, op, func(r Row) (w newest, err error) { return w, r.Scan(&w.scope, &w.id) }, `select k.scope, k.id from
		(select j.value as scope, (select max(r.id) from `+table+` where r.scope = j.value and r.id < $2`+only+`) as id from (`+v.engine.Dialect().Texts("$1")+`) j) k
		where k.id is not null order by k.id desc limit $3`, jsonList(at.scopes), at.from, at.n)
	if err != nil {
		return nil, err
	}
	for _, w := range with {
		if len(page) == at.n && id(page[at.n-1]) > w.id {
			break // no scope from here on has a newer one
		}
		some, err := read(w.scope)
		if err != nil {
			return nil, err
		}
		page = append(page, some...)
		slices.SortFunc(page, func(a, b T) int { return -cmp.Compare(id(a), id(b)) })
		page = page[:min(at.n, len(page))]
	}
	return page, nil
}
