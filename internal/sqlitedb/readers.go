package sqlitedb

import "sync"

// readers are the connections that nobody reads by. Whoever comes has the one that
// was given back last, whose statements are prepared and whose pages are in memory:
// a file that is read little does not prepare every statement on every connection.
type readers struct {
	free chan struct{} // as many as idle has: receive one before taking

	mu   sync.Mutex // guards what follows
	idle []*session
}

func newReaders(n int) *readers { return &readers{free: make(chan struct{}, n)} }

// take is for whoever received from free.
func (r *readers) take() *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.idle) - 1
	s := r.idle[last]
	r.idle = r.idle[:last]
	return s
}

func (r *readers) give(s *session) {
	r.mu.Lock()
	r.idle = append(r.idle, s)
	r.mu.Unlock()
	r.free <- struct{}{}
}
