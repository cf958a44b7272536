package bridge_test

import (
	"fmt"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// BenchmarkAddAScopeTo100000: what one fleet more costs in all, outside the writer and in it.
func BenchmarkAddAScopeTo100000(b *testing.B) {
	w := newWorld(b)
	w.policy(func(p *mapping.PolicySource) { inStore(b, p) })
	state, err := w.bridge.BeginImport(w.ctx, "bench")
	w.do(err)
	rows := []bridge.ImportRow{{Path: "southern/acme", Name: "Acme"}}
	for i := range 100_000 {
		rows = append(rows, bridge.ImportRow{Path: fmt.Sprintf("southern/acme/f%06d", i), Name: fmt.Sprintf("Fleet %06d", i), TimeZone: "Australia/Perth"})
	}
	for len(rows) > 0 {
		n := min(len(rows), bridge.ImportPart)
		state, err = w.bridge.StageImport(w.ctx, state.Import, state.Staged, rows[:n])
		w.do(err)
		rows = rows[n:]
	}
	_, err = w.bridge.CommitImport(w.ctx, state.Import, nil, bridge.TreeAuthor{})
	w.do(err)
	n := 0
	for b.Loop() {
		n++
		_, err := w.bridge.AddScope(w.ctx, bridge.NewScope{Under: "southern/acme", Slug: fmt.Sprintf("new-%d", n), Name: fmt.Sprintf("New %d", n), TimeZone: "Australia/Perth"})
		w.do(err)
	}
}
