package sqlite

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// A page of 200, at the beginning of 50,000 people and near their end, and a sort
// that no index serves.
func BenchmarkWalk(b *testing.B) {
	const people, count = 50_000, 200
	s := benchStore(b)
	fill(b, s, people)
	for _, path := range []string{"", "userName", "title"} {
		name := "by " + path
		var by *filter.Sort
		if path != "" {
			var err error
			if by, err = filter.ParseSort(schema.Users(), path, ""); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(name+", first page", func(b *testing.B) { walkPages(b, s, store.Walk{Sort: by, Count: count}) })
		if path == "title" {
			continue // every page of it costs the same, by reading everybody
		}
		late := skip(b, s, by, people/store.MaxPage-1)
		b.Run(name+", late page", func(b *testing.B) { walkPages(b, s, store.Walk{Sort: by, After: late, Count: count}) })
	}
}

// skip is the place behind some large pages.
func skip(b *testing.B, s *store.Store, by *filter.Sort, pages int) (at store.Place) {
	b.Helper()
	for range pages {
		at = onePage(b, s, store.Walk{Sort: by, After: at, Count: store.MaxPage})
	}
	return at
}

func walkPages(b *testing.B, s *store.Store, w store.Walk) {
	b.Helper()
	for b.Loop() {
		onePage(b, s, w)
	}
}

func onePage(b *testing.B, s *store.Store, w store.Walk) (next store.Place) {
	b.Helper()
	err := s.View(b.Context(), func(v *store.View) error {
		d, err := v.In(benchConn)
		if err != nil {
			return err
		}
		_, next, err = d.WalkPeople(w)
		return err
	})
	if err != nil || next == nil {
		b.Fatalf("%v, next %q", err, next)
	}
	return next
}
