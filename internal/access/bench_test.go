package access

import (
	"fmt"
	"testing"
)

// fleets is a tree of one account with so many fleets.
func fleets(n int) []Scope {
	all := []Scope{{ID: "h", Level: Host, Name: "Vendor"}, {ID: "s", Slug: "s", Level: ServiceProvider, Name: "S", Parent: "h"}, {ID: "a", Slug: "a", Level: Account, Name: "A", Parent: "s"}}
	for i := range n {
		all = append(all, Scope{ID: ScopeID(fmt.Sprintf("scp_%06d", i)), Slug: fmt.Sprintf("fleet-%06d", i), Level: Fleet, Name: fmt.Sprintf("Fleet %d", i), Parent: "a", TimeZone: "Australia/Perth"})
	}
	return all
}

func BenchmarkTreeOf100000Fleets(b *testing.B) {
	all := fleets(100_000)
	tree, err := NewTree(all)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("build", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := NewTree(all); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("resolve", func(b *testing.B) {
		for b.Loop() {
			if _, ok := tree.Resolve("s/a/fleet-099999"); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("add one and compare", func(b *testing.B) {
		for b.Loop() {
			more, err := tree.Added(Scope{ID: "new", Slug: "new", Name: "New", Parent: "a", TimeZone: "Australia/Perth"})
			if err != nil {
				b.Fatal(err)
			}
			after, err := NewTree(more)
			if err != nil {
				b.Fatal(err)
			}
			if d := DiffTrees(tree, after); len(d.New) != 1 || len(d.Changed)+len(d.Gone) != 0 || len(d.Above) != 1 {
				b.Fatalf("%+v", d)
			}
		}
	})
}
