package store

import (
	"fmt"
	"maps"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"pgregory.net/rapid"
)

// What is wide is copied in part whenever some of it changes (docs/scaling.md): with so many
// connections, each with a token, one of both changes.
func BenchmarkWideCopied(b *testing.B) {
	for _, connections := range []int{10, 10_000, 100_000} {
		b.Run(fmt.Sprint(connections), func(b *testing.B) {
			w := &wide{}
			ids := make([]string, connections)
			for i := range ids {
				ids[i] = fmt.Sprint("connection-", i)
				w.connections.put(access.ConnectionID(ids[i]), connectionState{key: int64(i), active: true, epoch: 1})
				w.tokens.put(ids[i], SCIMToken{PublicID: ids[i]})
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				id := ids[i%connections]
				w = w.clone()
				w.connections.put(access.ConnectionID(id), connectionState{epoch: 2})
				w.tokens.put(id, SCIMToken{PublicID: id})
			}
		})
	}
}

// TestAPartedMapIsAMap: a parted map says what a map says, and so does everything that it was cloned
// from, whatever has become of the clones.
func TestAPartedMapIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.Map(rapid.IntRange(0, 600), func(i int) string { return fmt.Sprint(i) })
		type version struct {
			parted parted[string, int]
			plain  map[string]int
		}
		versions := []version{{plain: map[string]int{}}}
		for i := range rapid.IntRange(1, 60).Draw(t, "versions") {
			was := rapid.SampledFrom(versions).Draw(t, "of")
			next := version{was.parted.clone(), maps.Clone(was.plain)}
			for range rapid.IntRange(0, 30).Draw(t, "changes") {
				k := key.Draw(t, "key")
				if rapid.Bool().Draw(t, "drop") {
					next.parted.drop(k)
					delete(next.plain, k)
				} else {
					next.parted.put(k, i)
					next.plain[k] = i
				}
			}
			versions = append(versions, next)
		}
		for _, v := range versions {
			if got := maps.Collect(v.parted.all()); !maps.Equal(got, v.plain) {
				t.Fatalf("%v, want %v", got, v.plain)
			}
			k := key.Draw(t, "asked")
			want, there := v.plain[k]
			if got, known := v.parted.get(k); got != want || known != there {
				t.Fatalf("%s is %d (%t), want %d (%t)", k, got, known, want, there)
			}
		}
	})
}
