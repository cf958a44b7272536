package oidc

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// together is a small memory of several nodes.
type together struct {
	mu   sync.Mutex
	used map[[16]byte]bool
	down bool
}

func (m *together) UseProof(_ context.Context, id [16]byte, _ time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return false, fault.New(fault.Unavailable, "together", "down")
	}
	was := m.used[id]
	m.used[id] = true
	return !was, nil
}

func (m *together) ForgetProof(_ context.Context, id [16]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.used, id)
	return nil
}

// A proof works once, on whichever node it comes first, and a node that has just started asks
// nobody for a nonce of its own: the others know what was used before.
func TestAProofWorksOnceOnSeveralNodes(t *testing.T) {
	w := newWorld()
	key := w.prover(t)
	memory := &together{used: map[[16]byte]bool{}}
	node := func() *Proofs {
		c := w.proofs.ProofConfig
		c.Nodes = memory
		return NewProofs(c)
	}
	a := node()
	w.now = w.now.Add(time.Second)
	proof := key.proof("POST", PathToken, "", map[string]any{"iat": w.now.Unix()})
	w.now = w.now.Add(time.Second)
	b := node()
	use := func(q *Proofs) error {
		r := httptest.NewRequest(http.MethodPost, PathToken, nil)
		r.Header["Dpop"] = []string{proof}
		p, err := q.prove(r, "")
		if err != nil {
			return err
		}
		return q.use(t.Context(), p, counted)
	}
	memory.down = true
	if err := use(a); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without the memory: %v", err)
	}
	memory.down = false
	if err := use(b); err != nil {
		t.Errorf("at the node that was started last: %v", err)
	}
	if err := use(a); err == nil {
		t.Error("it worked at the other node, too")
	}
	p, err := ParseProof(proof)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.unuse(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	c := node()
	if err := use(c); err != nil {
		t.Errorf("after it had done nothing: %v", err)
	}
}
