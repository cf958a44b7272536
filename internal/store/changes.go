package store

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// ChangeKind says which of the five integers a Change is about, or that a family ended.
type ChangeKind uint8

// The kinds, from the outside in.
const (
	ChangedHost ChangeKind = iota + 1
	ChangedConnection
	ChangedClient
	ChangedPerson
	ChangedSession
	ChangedFamily
)

// Change is something that commits have touched, as it is now: what was handed out
// before may not count any more.
type Change struct {
	Kind       ChangeKind
	Connection access.ConnectionID // of ChangedConnection and ChangedPerson
	Client     access.ClientID     // of ChangedClient and ChangedFamily
	Person     access.PersonID
	Session    session.ID
	Family     string
	Epoch      int64     // the integer now
	Ended      bool      // it is not alive
	Undecided  bool      // only the directory can say who is still accepted
	Until      time.Time // what is remembered of it holds until then; zero: no end
}

// maxChanges is how many changes are remembered. Whoever asks for older ones has missed
// some, and is told so.
const maxChanges = 1 << 15

// changes are what the latest commits have touched, in commit order. They are not kept
// over a restart: whoever follows them begins anew.
type changes struct {
	mu    sync.Mutex    // guards what follows
	first int64         // the number of list[0]
	list  []changeRef   // at most 2*maxChanges, cut back to maxChanges
	woken chan struct{} // closed by the next change
}

// changeRef is what was touched; which state it is in is read when somebody asks.
type changeRef struct {
	kind      ChangeKind
	person    personRef
	client    access.ClientID
	session   session.ID
	family    string
	undecided bool
}

func newChanges() *changes { return &changes{first: 1, woken: make(chan struct{})} }

func (c *changes) add(refs []changeRef) {
	if len(refs) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, refs...)
	if over := len(c.list) - maxChanges; over > maxChanges {
		c.first += int64(over)
		c.list = slices.Clone(c.list[over:])
	}
	close(c.woken)
	c.woken = make(chan struct{})
}

func (c *changes) after(n int64, limit int) (refs []changeRef, last int64, whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.first + int64(len(c.list)) - 1
	if n < c.first-1 || n > end {
		return nil, end, false
	}
	refs = c.list[n+1-c.first:]
	refs = slices.Clone(refs[:min(limit, len(refs))])
	return refs, n + int64(len(refs)), true
}

// Changed gives a channel that is closed by the next commit that changes what counts.
func (s *Store) Changed() <-chan struct{} {
	c := s.window.changes
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.woken
}

// LastChange is the number of the latest change since the store was opened; 0 if there
// was none.
func (s *Store) LastChange() int64 {
	_, last, _ := s.window.changes.after(-1, 0)
	return last
}

// Changes gives what commits have touched after the one of that number, each thing once
// and in its state now, and the number up to which that is. Not whole: the number is of
// another run, or so old that changes after it are forgotten.
func (s *Store) Changes(ctx context.Context, after int64, limit int) (list []Change, last int64, whole bool, err error) {
	refs, last, whole := s.window.changes.after(after, limit)
	if !whole || len(refs) == 0 {
		return nil, last, whole, nil
	}
	seen := make(map[changeRef]bool, len(refs))
	w := s.window.wide.Load()
	err = s.View(ctx, func(v *View) error { // begun after the commits it tells of
		list = list[:0]
		clear(seen)
		for _, ref := range refs {
			if seen[ref] {
				continue
			}
			seen[ref] = true
			c, err := v.changeOf(w, ref)
			if err != nil {
				return err
			}
			list = append(list, c)
		}
		return nil
	})
	if err != nil {
		return nil, 0, true, refused(err)
	}
	return list, last, true, nil
}

func (v *View) changeOf(w *wide, ref changeRef) (Change, error) {
	c := Change{Kind: ref.kind, Connection: ref.person.connection, Client: ref.client, Person: ref.person.person, Session: ref.session, Family: ref.family, Undecided: ref.undecided}
	switch ref.kind {
	case ChangedHost:
		c.Epoch = w.host
	case ChangedConnection:
		conn, there := w.connections[c.Connection]
		c.Epoch, c.Ended = conn.epoch, !there || !conn.active
	case ChangedClient:
		client, there := w.clients[c.Client]
		c.Epoch, c.Ended = client.epoch, !there || !client.active
	case ChangedPerson:
		p, err := v.personState(ref.person)
		if err != nil {
			return c, err
		}
		c.Epoch, c.Ended, c.Until = p.epoch, !p.exists || !p.active, p.validUntil
		c.Undecided = p.fenced || p.policy <= 0 || p.policy < w.connections[c.Connection].since.from
	case ChangedSession:
		s, err := v.sessionState(c.Session)
		if err != nil {
			return c, err
		}
		c.Epoch, c.Ended, c.Until = s.version, !s.exists || s.state == session.Ended, s.expires
	case ChangedFamily:
		c.Ended = true // it never comes back
	}
	return c, nil
}

// wideRefs is what changed of what concerns many people at once. A policy may open
// less, and a fence leaves people to be decided anew: neither raises an integer.
func wideRefs(was, is *wide) (refs []changeRef) {
	if was.host != is.host || was.policy != is.policy {
		refs = append(refs, changeRef{kind: ChangedHost, undecided: was.policy != is.policy})
	}
	for id, now := range is.connections {
		before, there := was.connections[id]
		undecided := before.since != now.since || before.fence != now.fence
		if there && (undecided || before.epoch != now.epoch || before.active != now.active) {
			refs = append(refs, changeRef{kind: ChangedConnection, person: personRef{connection: id}, undecided: undecided})
		}
	}
	for id := range was.connections {
		if _, there := is.connections[id]; !there {
			refs = append(refs, changeRef{kind: ChangedConnection, person: personRef{connection: id}})
		}
	}
	for id, before := range was.clients {
		if now := is.clients[id]; now != before {
			refs = append(refs, changeRef{kind: ChangedClient, client: id})
		}
	}
	return refs
}
