package bridge

import (
	"cmp"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// PersonName is somebody as an operator names them.
type PersonName struct {
	Connection access.ConnectionID `json:"connection"`
	Person     access.PersonID     `json:"person"`
	UserName   string              `json:"user_name"`
}

func compareNames(a, b PersonName) int {
	return cmp.Or(cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.UserName, b.UserName), cmp.Compare(a.Person, b.Person))
}

func (c PersonChange) name() PersonName { return PersonName{c.Connection, c.Person, c.UserName} }

// firsts keeps the first of many in an order, in bounded memory.
type firsts[T any] struct {
	most    int
	compare func(a, b T) int
	kept    []T
}

func (f *firsts[T]) add(x T) {
	if f.kept = append(f.kept, x); len(f.kept) > 2*f.most {
		f.trim()
	}
}

func (f *firsts[T]) trim() []T {
	slices.SortFunc(f.kept, f.compare)
	if len(f.kept) > f.most {
		clear(f.kept[f.most:])
		f.kept = f.kept[:f.most]
	}
	return f.kept
}
