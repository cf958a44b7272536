package postgres

import "sync"

// order lets what follows commits run in the order of the commits. Lanes take their places before
// they commit, and commit at the same time; one that has seen what another committed has taken its
// place after it.
type order struct {
	mu    sync.Mutex // guards what follows
	moved *sync.Cond
	taken uint64
	now   uint64
}

func newOrder() *order {
	o := &order{}
	o.moved = sync.NewCond(&o.mu)
	return o
}

func (o *order) take() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken++
	return o.taken - 1
}

func (o *order) wait(place uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.now != place {
		o.moved.Wait()
	}
}

func (o *order) done() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now++
	o.moved.Broadcast()
}
