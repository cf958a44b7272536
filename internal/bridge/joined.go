package bridge

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/patch"
)

// An identity provider pushes a group as many requests that name a member each, and all of them
// wait for one row. Those that wait at the same time are carried out in one transaction, in which
// what decides is read once for all of them. Each is told what it did by itself, with a version of
// the group and events of its own, as if they had come one after the other. What is out of the
// ordinary is carried out by itself.

// joins reports whether a request may be carried out together with others: it says of some
// people that they are members, or not, whatever the group is like.
func (m *memberChange) joins() bool {
	if planted.Bug(planted.GroupReadModifyWrite) {
		return false
	}
	return m.only && len(m.people()) > 0 && !m.large(store.Group{}) &&
		!slices.ContainsFunc(m.edits, func(e patch.MemberEdit) bool { return e.Kind != patch.AddMembers && e.Kind != patch.RemoveMembers })
}

// joined is a changer for a request that changes a group's members. Where it is carried out
// together with others, what has become of it is put into now and did.
func (g groups) joined(id access.GroupID, members *memberChange, now *store.Group, did **change) changer {
	at := line{g.conn, id}
	return func(ctx context.Context, conn access.ConnectionID, by event.Actor, fn func(*change) error) error {
		a := newAsking(members, RequestID(ctx))
		if g.shared || !members.joins() || !g.b.lines.join(at, a) {
			return g.change(ctx, conn, by, fn)
		}
		select {
		case <-a.turn:
			g.b.lead(ctx, at, a, fn)
		case <-a.done:
		case <-ctx.Done():
			if g.b.lines.leave(at, a) {
				return fault.Wrap(fault.Unavailable, "bridge.joined", ctx.Err())
			}
			select { // it was too late for that
			case <-a.turn:
				g.b.lead(ctx, at, a, fn)
			case <-a.done:
			}
		}
		switch {
		case a.alone:
			return g.change(ctx, conn, by, fn)
		case a.err != nil:
			return a.err
		case !a.ran:
			*now, *did = a.now, a.did
		}
		return g.b.done(ctx, a.did)
	}
}

// lead carries out those who wait, in the turn of one of them. If nobody waits behind it, fn is what
// it does.
func (b *Bridge) lead(ctx context.Context, at line, a *asking, fn func(*change) error) {
	defer b.lines.next(at)
	ctx = context.WithoutCancel(ctx) // others are with it, who have not hung up
	var all []*asking
	var now time.Time
	err := errUntold
	defer func() { b.answer(at, a, all, err) }()
	err = b.store.UpdateFor(ctx, at.conn, func(tx *store.Tx) (err error) {
		if all == nil { // fn may run again
			now, all = b.now(), append([]*asking{a}, b.lines.take(at, a)...)
		}
		if a.ran = len(all) == 1; a.ran {
			a.did, err = b.within(ctx, tx, at.conn, event.ByScim, now, fn)
			return err
		}
		return b.carryOutJoined(ctx, tx, at, all, now)
	})
}

// errUntold is what came of requests whose leader panicked.
var errUntold error = fault.New(fault.Internal, "bridge.lead", "nothing was said of what came of it")

// answer says to all who were carried out what has come of it, whatever has.
func (b *Bridge) answer(at line, a *asking, all []*asking, err error) {
	if all == nil { // the database has let nobody in
		all = append([]*asking{a}, b.lines.takeAll(at)...)
	}
	for _, one := range all {
		if err != nil {
			one.err, one.alone = err, len(all) > 1 && !fault.Is(err, fault.Unavailable)
		}
		close(one.done)
	}
}

// carryOutJoined carries out several requests of one group, or says that they are to be
// carried out alone.
func (b *Bridge) carryOutJoined(ctx context.Context, tx *store.Tx, at line, all []*asking, now time.Time) error {
	first, err := b.begin(ctx, tx, at.conn, event.ByScim, now)
	if err != nil {
		return err
	}
	g, err := first.dir.Group(at.group)
	if err != nil {
		return err // each is told so
	}
	plain, moves, err := first.plain(g, all)
	if err != nil || len(plain) == 0 {
		return err
	}
	done, err := first.dir.MoveMembers(&g, moves, now)
	if err != nil {
		return err
	}
	bases, err := first.basesOf(g, done)
	if err != nil {
		return err
	}
	for i, a := range plain {
		c := *first
		c.request, a.now, a.did = a.request, done[i].Group, &c
		if err := c.tellMoved(g.ID, done[i], now); err != nil {
			return err
		}
		for _, d := range bases[i] {
			if err := c.decideBy(d.Person, d.Basis); err != nil {
				return err
			}
		}
		if err := b.end(ctx, &c); err != nil {
			return err
		}
	}
	return nil
}

// plain are those of several requests of which none is out of the ordinary, with what they come to:
// they name people who are here, and nobody whom another names, and whose decisions count. The
// others are to be carried out alone.
func (c *change) plain(g store.Group, all []*asking) (plain []*asking, moves []store.Move, err error) {
	var named []access.PersonID
	for _, a := range all {
		named = append(named, a.members.people()...)
	}
	known, err := c.dir.Keys(named)
	if err != nil {
		return nil, nil, err
	}
	keys := slices.Sorted(maps.Values(known))
	undecided, err := c.dir.Unsettled(keys, c.now)
	if err != nil {
		return nil, nil, err
	}
	out := map[store.PersonKey]bool{}
	for _, p := range undecided {
		out[p.Key] = true
	}
	for _, a := range all {
		m, err := movesAfter(&c.dir.Directory, g, a.members.edits, known)
		if err != nil {
			return nil, nil, err
		}
		touched := slices.Concat(m.add, m.remove)
		a.alone = !g.Changing.IsZero() || m.unknown.any() || slices.ContainsFunc(touched, func(k store.PersonKey) bool { return out[k] })
		if a.alone {
			continue
		}
		for _, k := range touched {
			out[k] = true
		}
		plain, moves = append(plain, a), append(moves, store.Move{Add: m.add, Remove: m.remove})
	}
	return plain, moves, nil
}

// decidable is a person with what decides about them.
type decidable struct {
	store.Person
	store.Basis
}

// basesOf reads what decides about those who were moved, in the order of the moves.
func (c *change) basesOf(g store.Group, moved []store.Moved) ([][]decidable, error) {
	all := make([][]decidable, len(moved))
	if !c.looksAt(g) {
		return all, nil
	}
	of := map[store.PersonKey]int{}
	for i, m := range moved {
		for _, key := range m.Keys() {
			of[key] = i
		}
	}
	people, err := c.dir.PeopleByKey(slices.Sorted(maps.Keys(of)))
	if err != nil {
		return nil, err
	}
	bases, err := c.dir.Bases(people, c.policy.Attributes(c.conn))
	if err != nil {
		return nil, err
	}
	for i, p := range people {
		at := of[p.Key]
		all[at] = append(all[at], decidable{p, bases[i]})
	}
	return all, nil
}
