package main

import (
	"errors"
	"net"
	"sync"
)

// link is the way of one node to one server, which can be cut: it then swallows what either side
// sends and closes nothing, as a network does that is gone.
type link struct {
	l  net.Listener
	to string

	mu   sync.Mutex // guards what follows
	cut  bool
	open map[net.Conn]bool
}

func newLink(to string) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &link{l: l, to: to, open: map[net.Conn]bool{}}
	go k.serve()
	return k, nil
}

func (k *link) address() string { return k.l.Addr().String() }

func (k *link) serve() {
	for {
		near, err := k.l.Accept()
		if err != nil {
			return // it was closed
		}
		far, err := net.Dial("tcp", k.to)
		if err != nil {
			_ = near.Close() // whoever called sees that nobody is there
			continue
		}
		k.mu.Lock()
		k.open[near], k.open[far] = true, true
		k.mu.Unlock()
		go k.carry(near, far)
		go k.carry(far, near)
	}
}

// carry takes bytes from one side to the other until one of them ends.
func (k *link) carry(from, to net.Conn) {
	defer k.drop(from, to)
	some := make([]byte, 64<<10)
	for {
		n, err := from.Read(some)
		if k.isCut() {
			n = 0
		}
		if _, failed := to.Write(some[:n]); err != nil || failed != nil {
			return
		}
	}
}

func (k *link) isCut() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cut
}

func (k *link) drop(conns ...net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // the other side may have
		delete(k.open, c)
	}
}

// sever cuts the link, or makes it as new: what was open is then closed.
func (k *link) sever(cut bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cut = cut; cut {
		return
	}
	for c := range k.open {
		_ = c.Close() // carry notices
	}
}

func (k *link) close() error {
	k.sever(false)
	if err := k.l.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
