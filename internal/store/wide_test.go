package store

import (
	"fmt"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// What is wide is copied whole whenever some of it changes (docs/scaling.md): with so many
// connections, each with a token.
func BenchmarkWideCopied(b *testing.B) {
	for _, connections := range []int{10, 10_000, 100_000} {
		b.Run(fmt.Sprint(connections), func(b *testing.B) {
			w := &wide{connections: map[access.ConnectionID]connectionState{}, tokens: map[string]SCIMToken{}}
			for i := range connections {
				id := fmt.Sprint("connection-", i)
				w.connections[access.ConnectionID(id)] = connectionState{key: int64(i), active: true, epoch: 1}
				w.tokens[id] = SCIMToken{PublicID: id}
			}
			b.ReportAllocs()
			for b.Loop() {
				if c := w.clone(); len(c.connections) != connections {
					b.Fatal("a copy is not whole")
				}
			}
		})
	}
}
