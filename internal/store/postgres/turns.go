package postgres

import "sync"

// turns lets what follows commits run in their order. Lanes take their turns before they
// commit, and commit at the same time; one that has seen what another committed has
// taken its turn after it.
type turns struct {
	mu    sync.Mutex // guards what follows
	moved *sync.Cond
	taken uint64
	now   uint64
}

func newTurns() *turns {
	t := &turns{}
	t.moved = sync.NewCond(&t.mu)
	return t
}

func (t *turns) take() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken++
	return t.taken - 1
}

func (t *turns) wait(turn uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.now != turn {
		t.moved.Wait()
	}
}

func (t *turns) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now++
	t.moved.Broadcast()
}
