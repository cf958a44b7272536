package store

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// windowEntries is how many people, and how many sessions, the window remembers:
// some 150 bytes each.
const windowEntries = 1 << 20

// The reasons, beside a session's own EndReason, for which a subject is not alive.
const (
	WhyConnectionEnded = session.EndConnection
	WhyClientDisabled  = "client_disabled"
	WhyDeactivated     = session.EndDeactivated
	WhyNotFound        = "not_found"
)

// window is this node's memory of epochs. Commits change it before they are
// acknowledged, so it is never older than the last acknowledged commit.
//
// What is wide (host, policy, connections, clients) is one value, of which each change
// puts another in its place. People and sessions are filled from the directory at first use; a commit
// that touches one drops it and raises its shard's turn, and a load that began in
// an earlier turn is used once but not kept.
type window struct {
	wide     atomic.Pointer[wide]
	wanted   wanted
	people   *shards[personRef, personState]
	sessions *shards[session.ID, sessionState]
	families families
	changes  *changes
	place    Position   // up to which the news of all nodes are applied
	follows  sync.Mutex // guards place: news are followed by one at a time
}

type personRef struct {
	connection access.ConnectionID
	person     access.PersonID
}

type personState struct {
	exists     bool
	active     bool
	fenced     bool
	epoch      int64
	policy     int64
	validUntil time.Time
	fences     int64
}

type sessionState struct {
	exists bool
	personRef
	state   session.State
	version int64
	reason  string
	expires time.Time
}

// touch is one thing a transaction changed: dropped from the window, or put in its
// new state, when it commits.
type touch struct {
	ref
	wide func(*wide) // puts what is wide in its new state, where no other process writes
}

func newWindow(entries int) *window {
	seed := maphash.MakeSeed()
	return &window{people: newShards[personRef, personState](seed, entries), sessions: newShards[session.ID, sessionState](seed, entries),
		families: families{ended: map[string]access.ClientID{}}, changes: newChanges()}
}

// apply runs in commit order, after the commit and before it is acknowledged, where no
// other process writes; elsewhere hear does.
func (w *window) apply(touched []touch) {
	if planted.Bug(planted.WindowNotTold) {
		touched = slices.DeleteFunc(touched, func(t touch) bool { return t.Kind == refPerson || t.Kind == refSession })
	}
	var changed *wide
	refs := make([]changeRef, 0, len(touched))
	var named []ref
	for _, t := range touched {
		if t.wide == nil {
			w.drop(t.ref)
			refs = append(refs, t.narrow()...)
			continue
		}
		if changed == nil {
			changed = w.wide.Load().clone()
		}
		t.wide(changed)
		named = append(named, t.ref)
	}
	if changed != nil {
		refs = append(refs, wideRefs(w.wide.Load(), changed, named)...)
		w.wide.Store(changed)
	}
	w.changes.add(refs)
}

// drop forgets what was remembered of one person or session, or remembers that a family ended.
func (w *window) drop(r ref) {
	switch r.Kind {
	case refPerson:
		w.people.drop(personRef{r.Connection, access.PersonID(r.ID)})
	case refSession:
		w.sessions.drop(session.ID(r.ID))
	case refFamily:
		w.families.put(EndedFamily{r.ID, r.Client})
	case refForget:
		w.families.forget(r.ID)
	}
}

// Current is the directory's say now about a subject: from memory where nothing has
// changed since it was last read, else from the directory. It is never older than
// the last commit acknowledged, on whichever node, before the call. Any error of the
// directory is an error here: nobody is alive on a guess.
func (s *Store) Current(ctx context.Context, sub credential.Subject) (credential.Current, error) {
	if !s.fresh() {
		return s.asked(ctx, sub)
	}
	c, err := s.remembered(ctx, sub)
	if err == nil && !s.fresh() { // the process was stopped meanwhile, as far as anybody knows
		return s.asked(ctx, sub)
	}
	return c, err
}

// asked is what the directory itself says.
func (s *Store) asked(ctx context.Context, sub credential.Subject) (c credential.Current, err error) {
	err = s.View(ctx, func(v *View) error { c, err = v.Current(sub); return err })
	if err != nil {
		return credential.Current{}, refused(err)
	}
	return c, nil
}

func (s *Store) remembered(ctx context.Context, sub credential.Subject) (credential.Current, error) {
	w := s.window.wide.Load() // before the rest: a fence laid later only makes us read again
	ref := personRef{sub.Connection, sub.Person}
	person, known := s.window.people.get(ref)
	if !known || person.fences != w.fencesOf(sub.Connection) {
		var err error
		if person, err = s.loadPerson(ctx, ref); err != nil {
			return credential.Current{}, err
		}
	}
	var live sessionState
	if sub.Session != "" {
		if live, known = s.window.sessions.get(sub.Session); !known {
			var err error
			if live, err = s.loadSession(ctx, sub.Session); err != nil {
				return credential.Current{}, err
			}
		}
	}
	return judge(sub, s.window.wide.Load().around(sub), person, live, s.window.families.has(sub.Family)), nil
}

func (s *Store) loadPerson(ctx context.Context, ref personRef) (personState, error) {
	turn := s.window.people.turn(ref)
	fences := s.window.wide.Load().fencesOf(ref.connection)
	var p personState
	err := s.View(ctx, func(v *View) (err error) { p, err = v.Ending().personState(ref); return err })
	if err != nil {
		return personState{}, refused(err)
	}
	p.fences = fences
	if p.exists {
		s.window.people.keep(ref, p, turn)
	}
	return p, nil
}

func (s *Store) loadSession(ctx context.Context, id session.ID) (sessionState, error) {
	turn := s.window.sessions.turn(id)
	var live sessionState
	err := s.View(ctx, func(v *View) (err error) { live, err = v.Ending().sessionState(id); return err })
	if err != nil {
		return sessionState{}, refused(err)
	}
	if live.exists {
		s.window.sessions.keep(id, live, turn)
	}
	return live, nil
}

// refused makes sure that an error on this path says "later", not "not found".
func refused(err error) error { return fault.Wrap(fault.Unavailable, "store.Current", err) }

// Current is the say of this transaction's snapshot: what a mint reads.
func (v *View) Current(sub credential.Subject) (credential.Current, error) {
	a, err := v.around(sub)
	if err != nil {
		return credential.Current{}, refused(err)
	}
	person, err := v.personState(personRef{sub.Connection, sub.Person})
	if err != nil {
		return credential.Current{}, refused(err)
	}
	var live sessionState
	if sub.Session != "" {
		if live, err = v.sessionState(sub.Session); err != nil {
			return credential.Current{}, refused(err)
		}
	}
	ended, err := v.familyEnded(sub.Family)
	if err != nil {
		return credential.Current{}, refused(err)
	}
	return judge(sub, a, person, live, ended), nil
}

// judge puts the parts together. The first reason from the outside in is the one told.
func judge(sub credential.Subject, a around, p personState, s sessionState, familyEnded bool) credential.Current {
	c := credential.Current{Subject: sub}
	c.Epochs = credential.Epochs{Host: a.host, Connection: a.connection.epoch, Client: a.client.epoch, Person: p.epoch, Session: s.version}
	c.ValidUntil, c.SessionExpires = p.validUntil, s.expires
	c.Decided = a.policy > 0 && p.exists && p.policy > 0 && p.policy >= a.connection.since.from && !p.fenced
	if c.Why = why(sub, a, p, s); c.Why == "" && familyEnded {
		c.Why = WhyFamilyEnded
	}
	c.Alive = c.Why == ""
	return c
}

func why(sub credential.Subject, a around, p personState, s sessionState) string {
	switch {
	case a.host < 1 || !a.known:
		return WhyNotFound
	case !a.connection.active:
		return WhyConnectionEnded
	case sub.Client != "" && !a.client.active:
		return WhyClientDisabled
	case !p.exists:
		return WhyNotFound
	case !p.active:
		return WhyDeactivated
	case sub.Session == "":
		return ""
	case !s.exists || s.connection != sub.Connection || s.person != sub.Person:
		return WhyNotFound
	case s.state == session.Ended && s.reason == "":
		return session.EndExpired
	case s.state == session.Ended:
		return s.reason
	}
	return ""
}

// HasConnection reports whether there is a connection of this id, from the window.
func (s *Store) HasConnection(id access.ConnectionID) bool {
	_, known := s.window.wide.Load().connections.get(id)
	return known
}

// shards is a bounded map under several locks. When it is full, a new entry pushes
// out an arbitrary one: what is missing is read again.
type shards[K comparable, V any] struct {
	seed maphash.Seed
	each int
	part [64]shard[K, V]
}

type shard[K comparable, V any] struct {
	mu      sync.RWMutex
	entries map[K]V
	turns   uint64 // rises with every drop
}

func newShards[K comparable, V any](seed maphash.Seed, entries int) *shards[K, V] {
	s := &shards[K, V]{seed: seed, each: max(1, entries/64)}
	for i := range s.part {
		s.part[i].entries = map[K]V{}
	}
	return s
}

func (s *shards[K, V]) of(k K) *shard[K, V] {
	return &s.part[maphash.Comparable(s.seed, k)%uint64(len(s.part))]
}

func (s *shards[K, V]) get(k K) (V, bool) {
	p := s.of(k)
	p.mu.RLock()
	defer p.mu.RUnlock()
	v, ok := p.entries[k]
	return v, ok
}

func (s *shards[K, V]) turn(k K) uint64 {
	p := s.of(k)
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.turns
}

func (s *shards[K, V]) keep(k K, v V, turn uint64) {
	p := s.of(k)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turns != turn {
		return // a commit came between: what was read may be older than it
	}
	if _, there := p.entries[k]; !there && len(p.entries) >= s.each {
		for other := range p.entries {
			delete(p.entries, other)
			break
		}
	}
	p.entries[k] = v
}

func (s *shards[K, V]) drop(k K) {
	p := s.of(k)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turns++
	delete(p.entries, k)
}

// clear drops everything.
func (s *shards[K, V]) clear() {
	for i := range s.part {
		p := &s.part[i]
		p.mu.Lock()
		p.turns++
		clear(p.entries)
		p.mu.Unlock()
	}
}
