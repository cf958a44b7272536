package store

import "sync"

// listeners are woken when events have been committed.
type listeners struct {
	mu  sync.Mutex
	all []chan struct{} // guarded by mu
}

// Listen gives a channel that has something in it after a commit with events: however
// many came, one. It says nothing of what was committed before; the outbox does. The
// channel is kept for as long as the store.
func (s *Store) Listen() <-chan struct{} {
	c := make(chan struct{}, 1)
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	s.heard.all = append(s.heard.all, c)
	return c
}

func (l *listeners) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		select {
		case c <- struct{}{}:
		default: // it has been told already
		}
	}
}
