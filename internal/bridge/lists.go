package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
)

// cursors seals places in one connection's lists.
type cursors struct {
	key  credential.CursorKey
	conn access.ConnectionID
}

// Seal implements scim.Cursors.
func (c cursors) Seal(place []byte, bound string) string {
	return c.key.Seal(place, c.bind(bound))
}

// Open implements scim.Cursors.
func (c cursors) Open(cursor, bound string) ([]byte, error) {
	return c.key.Open(cursor, c.bind(bound))
}

// bind says what a cursor is good for. No connection's name holds the NUL.
func (c cursors) bind(bound string) string {
	if planted.Bug(planted.KeyJoinedByColon) {
		return string(c.conn) + ":" + bound
	}
	return string(c.conn) + "\x00" + bound
}

// lister is how one resource type is listed in a transaction. later names a row whose
// document the store left out; such a one is read when its turn in the answer comes.
type lister[T any] struct {
	numbered  func(*store.Directory, store.Query) ([]T, int, error)
	walk      func(*store.Directory, store.Walk) ([]T, store.Place, error)
	resources func(*store.Directory, []T) ([]scim.Resource, error)
	later     func(T) (id string, missing bool)
	get       func(ctx context.Context, id string) (scim.Resource, error)
}

// listing is read for a list, which waits for its turn where no index serves it.
func (b *Bridge) listing(ctx context.Context, conn access.ConnectionID, fn func(*store.Directory) error) error {
	return b.store.Listing(ctx, conn, func(v *store.View) error {
		dir, err := v.In(conn)
		if err != nil {
			return err
		}
		return fn(dir)
	})
}

// page is one page of a list, read in one transaction.
func page[T any](ctx context.Context, b *Bridge, conn access.ConnectionID, q scim.Query, l lister[T]) (scim.Page, error) {
	var page scim.Page
	err := b.listing(ctx, conn, func(dir *store.Directory) (err error) {
		page = scim.Page{}
		defer func() { page.Compared = dir.Compared() }()
		var rows []T
		if q.Walk {
			rows, page.Next, err = walked(dir, q, l)
		} else {
			rows, page.Total, err = l.numbered(dir, store.Query{Filter: q.Filter, Sort: q.Sort, Start: q.Start, Count: q.Count, Base: q.Base})
		}
		if err != nil {
			return err
		}
		if page.Resources, err = l.resources(dir, rows); err != nil {
			return err
		}
		for i, row := range rows {
			if id, missing := l.later(row); missing {
				page.Resources[i] = scim.Resource{Later: func() (scim.Resource, error) {
					r, err := l.get(ctx, id)
					if err != nil {
						err = scim.Unavailable(err) // also where it has gone meanwhile: the page is to be asked for again
					}
					return r, err
				}}
			}
		}
		return nil
	})
	if err != nil {
		return scim.Page{}, edge(err)
	}
	return page, nil
}

func walked[T any](dir *store.Directory, q scim.Query, l lister[T]) ([]T, []byte, error) {
	return l.walk(dir, store.Walk{Filter: q.Filter, Sort: q.Sort, After: q.After, Count: q.Count, Base: q.Base})
}
