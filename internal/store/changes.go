package store

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
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

// wake is for changes that are read from the news.
func (c *changes) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
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

// Changes are what commits have touched.
type Changes struct {
	List   []Change // each thing once, in its state now
	Cursor string   // up to which that is
	More   bool     // there is more already
	Whole  bool     // false: some of it is forgotten, or the cursor is of another run
}

// A cursor of a directory that several nodes share is one in the news, which all of them
// understand; another one is of this run.
const newsCursor = "news."

// LastChange is the cursor behind everything that has been touched.
func (s *Store) LastChange(ctx context.Context) (cursor string, err error) {
	if !s.shared {
		_, last, _ := s.window.changes.after(-1, 0)
		return s.cursorAt(last), nil
	}
	var p Position
	here := func(v *View) error { p, err = v.position(); return err }
	err = s.View(ctx, here)
	if err == nil && p.history == "" {
		if err = s.beginHistory(ctx); err == nil {
			err = s.View(ctx, here)
		}
	}
	if err != nil {
		return "", refused(err)
	}
	return newsCursor + p.String(), nil
}

func (s *Store) cursorAt(n int64) string { return s.run + "." + strconv.FormatInt(n, 10) }

// Changes gives what commits have touched after a cursor, some limit of things at a time.
func (s *Store) Changes(ctx context.Context, after string, limit int) (Changes, error) {
	if s.shared {
		return s.changesInNews(ctx, after, limit)
	}
	run, number, _ := strings.Cut(after, ".")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || run != s.run || n < 0 {
		return Changes{}, nil
	}
	refs, last, whole := s.window.changes.after(n, limit)
	c := Changes{Cursor: s.cursorAt(last), Whole: whole}
	if whole {
		c.List, err = s.changesOf(ctx, s.window.wide.Load(), refs)
		_, end, _ := s.window.changes.after(-1, 0)
		c.More = last < end
	}
	return c, err
}

// changesInNews reads the news, then, later, what has become of what they name.
func (s *Store) changesInNews(ctx context.Context, after string, limit int) (Changes, error) {
	text, ours := strings.CutPrefix(after, newsCursor)
	from, ok := ParsePosition(text)
	if !ours || !ok {
		return Changes{}, nil
	}
	var c Changes
	var refs []ref
	err := s.View(ctx, func(v *View) error {
		all, now, more, whole, err := v.newsSince(from)
		if err != nil {
			return err
		}
		if len(all) > 0 && whole {
			refs, now, more, err = some(all, limit, now, more)
		}
		c = Changes{Cursor: newsCursor + now.String(), More: more, Whole: whole}
		return err
	})
	if err != nil {
		return Changes{}, refused(err)
	}
	if slices.ContainsFunc(refs, func(r ref) bool { return r.Kind == refAll }) {
		return Changes{}, nil
	}
	var told []changeRef
	for _, r := range refs {
		told = append(told, r.told()...)
	}
	if len(told) == 0 {
		return c, nil
	}
	c.List, err = s.changesOf(ctx, nil, told) // what is remembered may not know of these news yet
	return c, err
}

// some takes whole transactions, in order, until they name a limit of things.
func some(all []News, limit int, now Position, more bool) (refs []ref, to Position, rest bool, err error) {
	for i, n := range all {
		if i > 0 && len(refs) >= limit && n.txid != all[i-1].txid {
			return refs, now.upTo(all[i-1].txid), true, nil
		}
		var named []ref
		if err := json.Unmarshal(n.Refs, &named); err != nil {
			return nil, now, false, fault.Wrap(fault.Internal, "store.Changes", err)
		}
		refs = append(refs, named...)
	}
	return refs, now, more, nil
}

// changesOf reads each thing once; what is wide as the directory has it, if w is nil.
func (s *Store) changesOf(ctx context.Context, w *wide, refs []changeRef) (list []Change, err error) {
	if len(refs) == 0 {
		return nil, nil
	}
	seen := make(map[changeRef]bool, len(refs))
	err = s.View(ctx, func(v *View) error { // begun after the commits it tells of
		list = list[:0]
		clear(seen)
		w := w
		if w == nil {
			w = &wide{}
			if err := v.readWide(w, rowsAbout(refs)); err != nil {
				return err
			}
		}
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
		return nil, refused(err)
	}
	return list, nil
}

func (v *View) changeOf(w *wide, ref changeRef) (Change, error) {
	c := Change{Kind: ref.kind, Connection: ref.person.connection, Client: ref.client, Person: ref.person.person, Session: ref.session, Family: ref.family, Undecided: ref.undecided}
	switch ref.kind {
	case ChangedHost:
		c.Epoch = w.host
	case ChangedConnection:
		conn, there := w.connections.get(c.Connection)
		c.Epoch, c.Ended = conn.epoch, !there || !conn.active
	case ChangedClient:
		client, there := w.clients.get(c.Client)
		c.Epoch, c.Ended = client.epoch, !there || !client.active
	case ChangedPerson:
		p, err := v.personState(ref.person)
		if err != nil {
			return c, err
		}
		c.Epoch, c.Ended, c.Until = p.epoch, !p.exists || !p.active, p.validUntil
		conn, _ := w.connections.get(c.Connection)
		c.Undecided = p.fenced || p.policy <= 0 || p.policy < conn.since.from
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

// rowsAbout are the rows of what is wide that tell in which state refs are.
func rowsAbout(refs []changeRef) (r wideRows) {
	for _, one := range refs {
		switch one.kind {
		case ChangedHost:
			r.host = true
		case ChangedConnection, ChangedPerson:
			r.connections = append(r.connections, one.person.connection)
		case ChangedClient:
			r.clients = append(r.clients, one.client)
		}
	}
	return r
}

// wideRefs is what changed of what concerns many people at once and was touched. A policy may
// open less, and a fence leaves people to be decided anew: neither raises an integer.
func wideRefs(was, is *wide, touched []ref) (refs []changeRef) {
	if was.host != is.host || was.policy != is.policy {
		refs = append(refs, changeRef{kind: ChangedHost, undecided: was.policy != is.policy})
	}
	seen := make(map[changeRef]bool, len(touched))
	for _, r := range touched {
		c := changeRef{kind: ChangedConnection, person: personRef{connection: r.Connection}, client: r.Client}
		changed := false
		switch r.Kind {
		case refConnection, refVoid, refFence:
			before, there := was.connections.get(r.Connection)
			now, _ := is.connections.get(r.Connection)
			c.undecided = before.since != now.since || before.fence != now.fence
			changed = there && (c.undecided || before.epoch != now.epoch || before.active != now.active)
		case refClient:
			c.kind = ChangedClient
			before, there := was.clients.get(r.Client)
			now, _ := is.clients.get(r.Client)
			changed = there && before != now
		}
		if changed && !seen[c] {
			seen[c] = true
			refs = append(refs, c)
		}
	}
	return refs
}
