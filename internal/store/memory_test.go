package store

import (
	"context"
	"hash/maphash"
	"runtime"
	"testing"
)

// What is read while something is changed may be of before: it is used once, and not kept.
func TestWhatWasReadBeforeADropIsNotKept(t *testing.T) {
	for name, change := range map[string]func(s *shards[string, int]){
		"it was dropped":      func(s *shards[string, int]) { s.drop("per_1") },
		"all was dropped":     func(s *shards[string, int]) { s.clear() },
		"nothing has changed": func(*shards[string, int]) {},
	} {
		s := newShards[string, int](maphash.MakeSeed(), 64)
		began := s.turn("per_1")
		change(s)
		s.keep("per_1", 1, began)
		if _, kept := s.get("per_1"); kept != (name == "nothing has changed") {
			t.Errorf("%s: kept %t", name, kept)
		}
	}
}

// Whoever asks gets what was read after they asked: what is under way by then has perhaps read
// already what they have changed.
func TestWhoeverAsksSharesNothingThatHasBegun(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	runs := 0 // one at a time
	c := coalesced[int]{life: registryTime, run: func(context.Context) (int, error) {
		if runs++; runs == 1 {
			close(begun)
			<-end
		}
		return runs, nil
	}}
	ask := func(answered chan<- int) {
		n, err := c.do(t.Context())
		if err != nil {
			t.Error(err)
		}
		answered <- n
	}
	first, others := make(chan int, 1), make(chan int, 2)
	go ask(first)
	<-begun
	go ask(others)
	go ask(others)
	for waits := false; !waits; runtime.Gosched() {
		c.mu.Lock()
		waits = c.next != nil
		c.mu.Unlock()
	}
	close(end)
	if n := <-first; n != 1 {
		t.Errorf("the first was answered by run %d", n)
	}
	for range 2 {
		if n := <-others; n < 2 {
			t.Error("somebody was answered by what had begun before they asked")
		}
	}
}
