package steward

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/exception"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// lookedAtOnce is how many people are looked at between two writes.
const lookedAtOnce = 200

// foundUnder is the policy under which all exceptions were found, as far as this node knows.
type foundUnder struct {
	mu      sync.Mutex // guards the rest
	version int64
	policy  *mapping.Policy
}

// concerned reports whether another policy may find other exceptions than that version.
func (f *foundUnder) concerned(version int64, next *mapping.Policy) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.policy == nil || f.version != version || exception.Concerns(f.policy, next)
}

func (f *foundUnder) remember(version int64, p *mapping.Policy) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version, f.policy = version, p
}

// lookedAt is a part of everybody, and who of them has other exceptions than are listed.
type lookedAt struct {
	at, next store.ExceptionsPass
	version  int64
	policy   *mapping.Policy
	conn     access.ConnectionID
	differ   []access.PersonID
	people   int
}

// TickExceptions looks at everybody anew after a policy that may find other exceptions in
// what they hold: one call at a bounded number of people. It says whether there is more to
// do now. What anybody is given or loses is found in the transaction that does it, without
// this.
func (s *Steward) TickExceptions(ctx context.Context) (more bool, err error) {
	l, err := s.lookForExceptions(ctx)
	if err != nil || l.at.Found == l.version {
		return false, err
	}
	begun := l.at.Working == l.version
	switch {
	case !begun && !s.found.concerned(l.at.Found, l.policy):
		l.next = store.ExceptionsPass{Found: l.version, Working: l.version}
	case !begun:
		l.next = store.ExceptionsPass{Found: l.at.Found, Working: l.version}
	case l.people == 0:
		l.next = store.ExceptionsPass{Found: l.version, Working: l.version, Looked: l.next.Looked}
	}
	err = s.bridge.Deciding(ctx, event.ByBridge, func(d *bridge.Deciding) error {
		for _, id := range l.differ {
			if _, err := d.FindExceptions(l.conn, id); err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Unauthenticated) {
				return err // whoever is gone has none, and nobody asks for those of an ended connection
			}
		}
		return d.Tx().MoveExceptionsPass(l.at, l.next)
	})
	if fault.Is(err, fault.Stale) {
		return false, nil // another node does it
	}
	if err == nil && l.next.Found == l.version {
		s.found.remember(l.version, l.policy)
	}
	return err == nil && l.next.Found != l.version, err
}

func (s *Steward) lookForExceptions(ctx context.Context) (l lookedAt, err error) {
	err = s.bridge.Reading(ctx, func(v *store.View, p *mapping.Policy, now time.Time) error {
		l = lookedAt{policy: p}
		var err error
		if l.version, err = v.PolicyVersion(); err != nil {
			return err
		}
		if l.at, err = v.ExceptionsPass(); err != nil || l.at.Found == l.version || l.at.Working != l.version {
			return err
		}
		var keys []store.PersonKey
		if l.conn, keys, l.next, err = v.NextHolding(l.at, lookedAtOnce); err != nil || len(keys) == 0 {
			return err
		}
		l.people = len(keys)
		l.differ, err = differing(v, p, l.conn, keys, now)
		return err
	})
	return l, err
}

// differing are those whose exceptions are not what is listed.
func differing(v *store.View, p *mapping.Policy, conn access.ConnectionID, keys []store.PersonKey, now time.Time) (ids []access.PersonID, err error) {
	dir, err := v.In(conn)
	if err != nil {
		return nil, err
	}
	people, err := dir.PeopleByKey(keys)
	if err != nil {
		return nil, err
	}
	for _, who := range people {
		found, err := bridge.ExceptionsIn(v, dir, p, who, now)
		if err != nil {
			return nil, err
		}
		had, err := dir.ExceptionsOf(who)
		if err != nil {
			return nil, err
		}
		if !slices.EqualFunc(had, found, sameFound) {
			ids = append(ids, who.ID)
		}
	}
	return ids, nil
}

// sameFound compares but for since when it is known.
func sameFound(row store.ExceptionRow, found exception.Exception) bool {
	found.Since = row.Since
	return row.Same(found)
}
