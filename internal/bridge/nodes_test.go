package bridge_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
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
	w.clock.Add(time.Hour) // a third one's clock is ahead
	_, err = b.UseProof(w.ctx, [16]byte{8}, w.clock.Now().Add(time.Minute))
	w.do(err)
	w.clock.Add(-time.Hour)
	if again, err := a.UseProof(w.ctx, [16]byte{7}, until); err != nil || again {
		t.Errorf("after a node with a clock that is ahead took another: %t (%v)", again, err)
	}
}

// A poll that waits at one node is answered soon by what another node writes.
func TestAPollHearsOfWhatAnotherNodeWrites(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.clients = append(w.clients, oidc.Client{ID: "app"})
		w.aroundStore = func(e store.Engine) store.Engine { return among{e} }
	})
	other := w.bridge
	w.assemble()
	tr := transmitting(t, w)
	id := tr.stream("app", polled)
	answers := make(chan map[string]any, 1)
	go func() { answers <- tr.want(200, "app"+canRead, "POST", "/ssf/poll/"+id, "{}") }()
	time.Sleep(100 * time.Millisecond) // it waits
	w.clock.Add(time.Minute)
	begun := time.Now()
	w.do(other.VerifyStream(w.ctx, oidc.Client{ID: "app"}, id, "s"))
	if sets, _ := (<-answers)["sets"].(map[string]any); len(sets) != 1 {
		t.Errorf("answered %v", sets)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
