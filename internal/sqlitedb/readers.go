package sqlitedb

import "sync"

// readers are the connections that nobody reads by. Whoever comes has the one that
// was given back last, whose statements are prepared and whose pages are in memory:
// a file that is read little does not prepare every statement on every connection, and
// opens no more of them than ever read at once.
type readers struct {
	free chan struct{} // as many as may read: receive one before taking
	open func() (*session, error)

	mu   sync.Mutex // guards what follows
	idle []*session
}

func newReaders(n int, open func() (*session, error)) *readers {
	r := &readers{free: make(chan struct{}, n), open: open}
	for range n {
		r.free <- struct{}{}
	}
	return r
}

// take is for whoever received from free. Where it fails, it has given that back.
func (r *readers) take() (*session, error) {
	if s := r.last(); s != nil {
		return s, nil
	}
	s, err := r.open()
	if err != nil {
		r.free <- struct{}{}
	}
	return s, err
}

func (r *readers) last() *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.idle) - 1
	if last < 0 {
		return nil
	}
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
