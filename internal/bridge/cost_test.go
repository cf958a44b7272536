package bridge_test

import (
	"slices"
	"strings"
	"testing"
)

// TestWhatARefreshAsks: each is a round trip on several nodes.
func TestWhatARefreshAsks(t *testing.T) {
	s := &steps{}
	w := newWorld(t, stepping(s))
	w.kim()
	v := w.session(southern, "oid-kim")
	next, err := w.refresh(v.tokens.RefreshToken) // what the node remembers is remembered
	w.do(err)
	var verbs, transactions []string
	s.reach = func(kind, what string) error {
		switch {
		case kind == stepHot:
			verbs = append(verbs, what)
		case kind == stepBoundary && strings.HasPrefix(what, "before"):
			transactions = append(transactions, what)
		case kind == stepStatement && what != lastStep:
			transactions = append(transactions, "asks by itself: "+what)
		}
		return nil
	}
	_, err = w.refresh(next.RefreshToken)
	s.reach = nil
	w.do(err)
	if !slices.Equal(verbs, []string{"Rotate"}) {
		t.Errorf("a refresh asks the hot store for %v", verbs)
	}
	if !slices.Equal(transactions, []string{"before view"}) {
		t.Errorf("a refresh asks the directory more than once: %q", transactions)
	}
}
