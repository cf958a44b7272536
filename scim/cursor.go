package scim

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// cursorLife is how long a cursor waits for the next request (RFC 9865 section 4,
// cursorTimeout).
const cursorLife = time.Hour

// place is what a cursor holds, sealed: where a walk stands.
type place struct {
	source  int // which of the search's sources
	count   int // the page size that the walk began with
	total   int // what was counted when it began
	expires int64
	after   []byte // Page.Next of that source; empty: at its beginning
}

// encode writes four numbers, and after as it is.
func (p place) encode() []byte {
	b := binary.AppendUvarint(make([]byte, 0, 16+len(p.after)), uint64(p.source))
	b = binary.AppendUvarint(b, uint64(p.count))
	b = binary.AppendUvarint(b, uint64(p.total))
	return append(binary.AppendVarint(b, p.expires), p.after...)
}

var errNoPlace = errors.New("scim: a cursor holds no place")

// decodePlace reads what encode wrote. It is sealed: only a fault of ours fails here.
func decodePlace(b []byte, sources int) (p place, err error) {
	for _, into := range []*int{&p.source, &p.count, &p.total} {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<31 {
			return place{}, errNoPlace
		}
		*into, b = int(v), b[n:]
	}
	expires, n := binary.Varint(b)
	if n <= 0 || p.source >= sources {
		return place{}, errNoPlace
	}
	p.expires = expires
	if len(b) > n {
		p.after = b[n:]
	}
	return p, nil
}

// invalidCursor says the same of a cursor that was made up, changed, made for
// another connection, address, filter or order, or by another key.
func invalidCursor(err error) error {
	return &Error{Status: http.StatusBadRequest, ScimType: TypeInvalidCursor, Err: err,
		Detail: "The cursor is not one of this list; send the nextCursor of the page before with all other parameters as they were, or an empty cursor to begin anew."}
}

func expiredCursor() error {
	return Invalid(TypeExpiredCursor, "The cursor has expired; begin anew with an empty one, and ask for the next page within an hour.")
}

func invalidCount() error {
	return Invalid(TypeInvalidCount, "With a cursor, count is an integer from 0 to "+strconv.Itoa(maxCount)+" and stays the same from the first page to the last.")
}

// walk is one page of a walk through all sources, one after the other (RFC 9865).
func (s *Server) walk(ctx context.Context, c *call, all search) (found, error) {
	at, err := s.begin(ctx, c, all)
	if err != nil || all.count == 0 {
		return found{total: at.total}, err
	}
	f, next, err := all.from(ctx, at)
	if err != nil {
		return found{}, err
	}
	f.total = at.total
	if next != nil {
		next.expires = s.now().Add(cursorLife).Unix()
		f.next = c.dir.Cursors.Seal(next.encode(), all.bound())
	}
	return f, nil
}

// begin is where a page begins: at the start, where all is counted once for the
// whole walk, or where the cursor says.
func (s *Server) begin(ctx context.Context, c *call, all search) (place, error) {
	if all.cursor == "" {
		total, err := all.counted(ctx)
		return place{count: all.count, total: total}, err
	}
	b, err := c.dir.Cursors.Open(all.cursor, all.bound())
	if err != nil {
		return place{}, invalidCursor(err)
	}
	p, err := decodePlace(b, len(all.sources))
	switch {
	case err != nil:
		return place{}, invalidCursor(err)
	case p.count != all.count:
		return place{}, invalidCount()
	case s.now().Unix() >= p.expires:
		return place{}, expiredCursor()
	}
	return p, nil
}

func (s search) counted(ctx context.Context) (total int, err error) {
	for _, from := range s.sources {
		page, err := new(found).page(ctx, from, Query{Start: 1})
		if err != nil {
			return 0, err
		}
		total += page.Total
	}
	return total, nil
}

// from is the page that begins at a place, and where the next one does; nil: this
// is the last.
func (s search) from(ctx context.Context, at place) (f found, next *place, err error) {
	for i := at.source; i < len(s.sources); i++ {
		left := s.count - len(f.items)
		if left == 0 {
			more, err := s.any(ctx, s.sources[i])
			if err != nil || more {
				return f, &place{source: i, count: at.count, total: at.total}, err
			}
			continue
		}
		page, err := f.page(ctx, s.sources[i], Query{Sort: s.sort, Count: left, Walk: true, After: at.after})
		if err != nil {
			return f, nil, err
		}
		if page.Next != nil {
			return f, &place{source: i, count: at.count, total: at.total, after: page.Next}, nil
		}
		at.after = nil
	}
	return f, nil, nil
}

// any reports whether a source has anything at all.
func (s search) any(ctx context.Context, from source) (bool, error) {
	from.want = Want{}
	page, err := new(found).page(ctx, from, Query{Count: 1, Walk: true})
	return len(page.Resources) > 0, err
}
