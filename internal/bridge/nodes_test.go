package bridge_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// among is an engine that says that other nodes write, too.
type among struct{ store.Engine }

func (e among) Dialect() store.Dialect {
	d := e.Engine.Dialect()
	d.Shared = true
	return d
}

// twoNodes are two bridges that share what is stored, and nothing that either remembers.
func twoNodes(t *testing.T) (w *world, a, b *bridge.Bridge) {
	t.Helper()
	w = newWorld(t, func(w *world) { w.aroundStore = func(e store.Engine) store.Engine { return among{e} } })
	a = w.bridge
	w.assemble()
	return w, a, w.bridge
}

// The parts of an import of scopes come to whichever node, and it is put in force by either.
func TestAnImportOfScopesIsWrittenByTwoNodes(t *testing.T) {
	w, a, b := twoNodes(t)
	src := samplePolicy(t)
	inStore(t, &src)
	_, err := a.ApplyPolicy(w.ctx, src)
	w.do(err)
	w.settle()
	rows := []bridge.ImportRow{{Path: "southern/wattle", Name: "Wattle Couriers"}, {Path: "southern/wattle/hobart", Name: "Hobart", TimeZone: "Australia/Hobart"},
		{Path: "southern/wattle/perth", Name: "Perth", TimeZone: "Australia/Perth"}, {Path: "southern/acacia", Name: "Acacia"}}
	begun, err := a.BeginImport(w.ctx, "one")
	w.do(err)
	for i, node := range []*bridge.Bridge{a, b, a, b} {
		state, err := node.StageImport(w.ctx, begun.Import, int64(i), rows[i:i+1])
		if err != nil || state.Staged != int64(i+1) {
			t.Fatalf("part %d: %+v (%v)", i, state, err)
		}
	}
	if state, err := a.StageImport(w.ctx, begun.Import, 3, rows[3:]); err != nil || state.Staged != 4 {
		t.Errorf("the last part again, to the other node: %+v (%v)", state, err)
	}
	done, err := a.CommitImport(w.ctx, begun.Import, nil, bridge.TreeAuthor{Author: "ops@vendor.example"})
	if err != nil || done.Added != 4 {
		t.Errorf("put in force: %+v (%v)", done, err)
	}
	if _, err := b.StageImport(w.ctx, begun.Import, 4, rows[:1]); err == nil {
		t.Error("the other node still writes it")
	}
}

// A proof that one node took counts as used at the other.
func TestAProofIsUsedOnceByTwoNodes(t *testing.T) {
	w, a, b := twoNodes(t)
	until := w.clock.Now().Add(time.Minute)
	first, err := a.UseProof(w.ctx, [16]byte{7}, until)
	w.do(err)
	again, err := b.UseProof(w.ctx, [16]byte{7}, until)
	if err != nil || !first || again {
		t.Errorf("used by one: %t, by the other: %t (%v)", first, again, err)
	}
}
