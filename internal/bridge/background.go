package bridge

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// chunk is how many people one background transaction decides: some 20 ms of the
// writer, so that nobody's request waits for a large change.
const chunk = 100

// Run writes down, until ctx ends, what this process has seen: uses of tokens and
// assignments, what happened with what people gave, what requests were like. A process that
// is killed loses some seconds of that.
func (b *Bridge) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			b.writeSeen(context.WithoutCancel(ctx), true)
			return
		case <-tick.C:
			b.writeSeen(ctx, false)
		}
	}
}

// writeSeen writes what has been seen since; all: since the end is near, also what has time.
func (b *Bridge) writeSeen(ctx context.Context, all bool) {
	b.note("bridge.writeTouches", b.writeTouches(ctx))
	b.note("bridge.writeHandovers", b.writeHandovers(ctx))
	b.note("bridge.writeSpeech", b.writeSpeech(ctx, all))
}

// Decide does the decisions that nobody waits for until ctx ends: people whose decision is
// due, fenced and dissolving groups, what has ended by itself. All of it can be killed at any
// instant and goes on where it stands; nothing that is refused waits for it.
func (b *Bridge) Decide(ctx context.Context) {
	b.swept, b.decidedUnder = swept{}, 0 // another node may have done this meanwhile
	b.everySecond(ctx, b.wake, func() {
		for more := true; more && ctx.Err() == nil; {
			done, err := b.Recompute(ctx)
			b.note("bridge.Recompute", err)
			more = err == nil && done > 0
		}
		for more := true; more && ctx.Err() == nil; {
			ended, err := b.TidyPermits(ctx)
			b.note("bridge.TidyPermits", err)
			more = err == nil && ended > 0
		}
		b.note("bridge.indexEmails", b.indexEmails(ctx))
		b.note("bridge.Sweep", b.Sweep(ctx))
	})
}

// RunWatch counts what identity providers do until ctx ends, and raises alarms.
func (b *Bridge) RunWatch(ctx context.Context) {
	b.everySecond(ctx, nil, func() { b.note("bridge.Watch", b.Watch(ctx)) })
}

// everySecond calls do at once, every second and when there is something in wake, until ctx ends.
func (b *Bridge) everySecond(ctx context.Context, wake <-chan struct{}, do func()) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		do()
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-wake:
		}
	}
}

// How often what is old is forgotten, and how long after it was begun first.
const (
	tidyEvery = time.Hour
	tidyFirst = 10 * time.Minute
)

// Tidy forgets what is old until ctx ends. It may be late.
func (b *Bridge) Tidy(ctx context.Context) {
	next := time.NewTimer(tidyFirst)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			next.Reset(tidyEvery)
		}
		b.note("bridge.trimOutbox", b.trimOutbox(ctx))
		b.note("bridge.trimPast", b.trimPast(ctx))
		b.note("bridge.TrimSessions", b.TrimSessions(ctx))
		b.note("bridge.trimSCIMResults", b.TrimSCIMResults(ctx))
		b.note("bridge.pauseFailing", b.PauseFailing(ctx))
	}
}

// outboxKept is how long an event stays in the outbox after the relay has read it. What
// it has not read stays for as long as that takes. The audit trail keeps all for good.
const outboxKept = 7 * 24 * time.Hour

func (b *Bridge) trimOutbox(ctx context.Context) error {
	before := b.now().Add(-outboxKept)
	for removed := int64(1); removed > 0; {
		err := b.store.Update(ctx, func(tx *store.Tx) (err error) {
			removed, err = tx.TrimOutbox(before)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Bridge) trimPast(ctx context.Context) error {
	now := b.now()
	err := b.store.Update(ctx, func(tx *store.Tx) error { _, err := tx.TrimAlarms(now.Add(-store.AlarmsKept)); return err })
	if err != nil {
		return err
	}
	before := now.Add(-store.FormerKept)
	for removed := int64(1); removed > 0; {
		err := b.store.Update(ctx, func(tx *store.Tx) (err error) {
			removed, err = tx.TrimFormer(before)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// indexEmails writes down the addresses of people whom a program wrote that had no
// index of them. Usually there are none.
func (b *Bridge) indexEmails(ctx context.Context) error {
	for ctx.Err() == nil {
		var waiting []store.DueKey
		err := b.store.View(ctx, func(v *store.View) (err error) { waiting, err = v.WithoutEmails(chunk); return err })
		if err != nil || len(waiting) == 0 {
			return err
		}
		of := byConnection(waiting, ofDue)
		if _, err := b.store.UpdateEach(ctx, slices.Collect(maps.Keys(of)), func(d *store.DirectoryTx) error { return d.IndexEmails(of[d.Row().ID]) }); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bridge) note(op string, err error) {
	if err != nil {
		b.observe(op, err)
	}
}

// Recompute does one chunk of background decisions and says how many people it
// touched; 0 when nothing is left to do now.
func (b *Bridge) Recompute(ctx context.Context) (int, error) {
	now := b.now()
	var waiting []store.DueKey
	version := b.store.PolicyVersion() // no later than what the snapshot shows
	err := b.store.View(ctx, func(v *store.View) error {
		due, err := v.Due(now, chunk)
		if err != nil {
			return err
		}
		undecided, err := b.undecided(v, version)
		waiting = append(due, undecided...)
		return err
	})
	if err != nil {
		return 0, err
	}
	for conn, people := range byConnection(waiting, ofDue) {
		if err := b.inTurn(ctx, conn, func() error { return b.settleChunk(ctx, conn, people) }); err != nil {
			return 0, err
		}
	}
	fenced, err := b.clearFences(ctx)
	if err != nil {
		return 0, err
	}
	moving, err := b.carryOnAll(ctx)
	return len(waiting) + fenced + moving, err
}

// byConnection sorts what of gives of each by its connection, in the order of all.
func byConnection[T, V any](all []T, of func(T) (access.ConnectionID, V)) map[access.ConnectionID][]V {
	sorted := map[access.ConnectionID][]V{}
	for _, one := range all {
		conn, value := of(one)
		sorted[conn] = append(sorted[conn], value)
	}
	return sorted
}

func ofDue(k store.DueKey) (access.ConnectionID, access.PersonID) { return k.Connection, k.Person }

// undecided are people whom the policy in force has not decided. That there are none is
// remembered until another is: to look costs as much as there are connections. version was in force
// before the snapshot was taken: one that came since has decided nobody that it shows.
func (b *Bridge) undecided(v *store.View, version int64) ([]store.DueKey, error) {
	if version == b.decidedUnder {
		return nil, nil
	}
	people, err := v.Undecided(chunk)
	if err == nil && len(people) == 0 {
		b.decidedUnder = version
	}
	return people, err
}

func (b *Bridge) settleChunk(ctx context.Context, conn access.ConnectionID, people []access.PersonID) error {
	return b.change(ctx, conn, event.ByRules, func(c *change) error {
		for _, id := range people {
			p, err := c.dir.Person(id)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if err := c.settlePerson(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// clearFences decides a chunk of the members of each fenced or dissolving group,
// and lifts the fence, or removes the group, after the last.
func (b *Bridge) clearFences(ctx context.Context) (int, error) {
	var fenced, dissolving []store.Group
	err := b.store.View(ctx, func(v *store.View) (err error) {
		if fenced, err = v.Fenced(chunk); err != nil {
			return err
		}
		dissolving, err = v.Dissolving(chunk)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, g := range fenced {
		if err := b.stepFence(ctx, g, (*change).takeFenced); err != nil {
			return 0, err
		}
	}
	for _, g := range dissolving {
		if err := b.stepFence(ctx, g, (*change).dropDissolving); err != nil {
			return 0, err
		}
	}
	return len(fenced) + len(dissolving), nil
}

// stepFence decides a chunk of a group's members.
func (b *Bridge) stepFence(ctx context.Context, g store.Group, step func(*change, store.Group) error) error {
	return b.inTurn(ctx, g.Connection, func() error {
		return b.change(ctx, g.Connection, event.ByRules, func(c *change) error { return step(c, g) })
	})
}

// over is a person with the number of fences over them.
type over struct {
	store.Person
	fences int64
}

// counted reads people with the fences over them, before a step lifts one.
func (c *change) counted(keys []store.PersonKey) ([]over, error) {
	people, err := c.dir.PeopleByKey(keys)
	if err != nil {
		return nil, err
	}
	all := make([]over, len(people))
	for i, p := range people {
		all[i].Person = p
		if all[i].fences, err = c.dir.Fences(p); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (c *change) settleCounted(people []over) error {
	for _, p := range people {
		if err := c.settleAfter(p.Person, p.fences); err != nil {
			return err
		}
	}
	return nil
}

// takeFenced decides the next members under a fence, and lifts it after the last.
func (c *change) takeFenced(g store.Group) error {
	keys, err := c.dir.NextFenced(g, chunk)
	if err != nil {
		return err
	}
	people, err := c.counted(keys)
	if err != nil {
		return err
	}
	if _, _, err := c.dir.TakeFenced(g, chunk); err != nil {
		return err
	}
	return c.settleCounted(people)
}

// dropDissolving drops the next members of a group that is gone, and its row after
// the last. Of those who stay in its successor there is nothing to tell.
func (c *change) dropDissolving(g store.Group) error {
	leaving, err := c.dir.NextLeaving(g, chunk)
	if err != nil {
		return err
	}
	var all []store.PersonKey
	var gone, again []store.Joined
	for _, l := range leaving {
		all = append(all, l.Key)
		switch {
		case l.Again:
			again = append(again, l.Joined)
		case !l.Staying:
			gone = append(gone, l.Joined)
		}
	}
	people, err := c.counted(all)
	if err != nil {
		return err
	}
	_, last, err := c.dir.DropMembers(g, chunk)
	if err != nil {
		return err
	}
	g.ID = g.Origin()
	if err := c.sayLeft(g.ID, gone, g.Updated); err != nil {
		return err
	}
	told := len(c.events)
	if err := c.sayLeft(g.ID, again, g.Updated); err != nil {
		return err
	}
	for _, e := range c.events[told:] {
		e.Data["returned"] = "true" // who came back was told of before
	}
	if last {
		if err := c.dir.DeleteGroup(g); err != nil {
			return err
		}
	}
	return c.settleCounted(people)
}
