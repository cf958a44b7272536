package bridge

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// What everybody holds is what rules and people give, because every change is decided in its
// own transaction. Reconciliation does not rely on that: it works everybody's decision out
// anew, from the rows, and compares it with what is stored. There is never a difference,
// unless somebody wrote into the database by hand, a backup was put together of parts, or the
// bridge has a fault. Then somebody is told, and it is put right.

// How everybody is compared: some at a time, for so long of every second, and a round begins
// so long after the last one began, however few there are.
const (
	reconcileEvery = time.Minute
	reconcilePage  = 100
	reconcileTime  = 20 * time.Millisecond
	reconcileKept  = time.Minute // how often it is written down how far a round has come
)

// becauseReconciled is why something is given, changed or dropped that had not been decided so.
const becauseReconciled = "reconciled"

// RunReconciliation compares everybody, round after round, until ctx ends.
func (b *Bridge) RunReconciliation(ctx context.Context) {
	r := &reconciliation{bridge: b}
	b.everySecond(ctx, nil, func() { b.note("bridge.Reconcile", r.tick(ctx)) })
	if r.read {
		b.note("bridge.Reconcile", r.keep(context.WithoutCancel(ctx)))
	}
}

// Reconcile compares everybody now, and says how many people that were and how many of them
// were not as they should be. It leaves the round that is under way alone.
func (b *Bridge) Reconcile(ctx context.Context) (people, differed int64, err error) {
	r := &reconciliation{bridge: b}
	for more := true; more && err == nil && ctx.Err() == nil; {
		more, err = r.step(ctx)
	}
	return r.at.People, r.at.Differences, err
}

// Reconciled says how far everybody has been compared.
func (b *Bridge) Reconciled(ctx context.Context) (r store.Reconciled, err error) {
	err = b.store.View(ctx, func(v *store.View) (err error) { r, err = v.Reconciled(); return err })
	return r, err
}

// reconciliation is rounds on their way.
type reconciliation struct {
	bridge *Bridge
	read   bool             // where it stands
	at     store.Reconciled // how far it has come
	kept   store.Reconciled // as it is stored
	last   time.Time        // when the last round began here, or it was written down how far this one has come
}

// tick goes on for some time of this second.
func (r *reconciliation) tick(ctx context.Context) error {
	now := r.bridge.now()
	if !r.read {
		at, err := r.bridge.Reconciled(ctx)
		if err != nil {
			return err
		}
		r.at, r.kept, r.read = at, at, true
	}
	if r.at.Began.IsZero() {
		if !r.bridge.HasPolicy() || now.Sub(r.last) < reconcileEvery {
			return nil
		}
		r.at.Began, r.at.Person, r.at.People, r.last = now, 0, 0, now
	}
	for begun := time.Now(); ctx.Err() == nil && time.Since(begun) < reconcileTime; {
		more, err := r.step(ctx)
		if err != nil {
			return err
		}
		if !more {
			r.at = store.Reconciled{Ended: r.bridge.now(), LastPeople: r.at.People, Differences: r.at.Differences}
			return r.keep(ctx)
		}
	}
	if now.Sub(r.last) < reconcileKept {
		return nil
	}
	r.last = now
	return r.keep(ctx)
}

// keep writes down how far it has come. Where another node has gone on from, it is read anew.
func (r *reconciliation) keep(ctx context.Context) error {
	if r.at == r.kept {
		return nil
	}
	err := r.bridge.store.Update(ctx, func(tx *store.Tx) error { return tx.MoveReconciled(r.kept, r.at) })
	if err != nil {
		r.read = false
		return err
	}
	r.kept = r.at
	return nil
}

// step compares the next people; more says that there may be others behind them.
func (r *reconciliation) step(ctx context.Context) (more bool, err error) {
	var places []store.PersonPlace
	var differ []differently
	err = r.bridge.store.View(ctx, func(v *store.View) (err error) {
		if places, err = v.PeopleBehind(r.at.Person, reconcilePage); err != nil {
			return err
		}
		differ, err = r.bridge.differing(v, places)
		return err
	})
	if err != nil || len(places) == 0 {
		return false, err
	}
	for _, of := range differ {
		n, err := r.bridge.putRight(ctx, of)
		if err != nil {
			return false, err
		}
		r.at.Differences += n
	}
	r.at.Person, r.at.People = places[len(places)-1].Key, r.at.People+int64(len(places))
	return len(places) == reconcilePage, nil
}

// differently are people of one connection who hold something else than they should.
type differently struct {
	conn   access.ConnectionID
	keys   []store.PersonKey
	looked int // at how many, these among them
}

// differing are those of the people who do not hold what they should.
func (b *Bridge) differing(v *store.View, places []store.PersonPlace) (differ []differently, err error) {
	policy, err := b.active(v)
	if err != nil {
		return nil, err
	}
	keys := map[access.ConnectionID][]store.PersonKey{}
	var order []access.ConnectionID
	for _, p := range places {
		if keys[p.Connection] == nil {
			order = append(order, p.Connection)
		}
		keys[p.Connection] = append(keys[p.Connection], p.Key)
	}
	for _, conn := range order {
		dir, err := v.In(conn)
		if err != nil {
			return nil, err
		}
		if dir.Row().State != store.ConnectionActive {
			continue // nothing of theirs counts
		}
		people, err := dir.PeopleByKey(keys[conn])
		if err != nil {
			return nil, err
		}
		found, err := (comparison{dir, policy, b.now()}).among(people)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			differ = append(differ, differently{conn, found, len(people)})
		}
	}
	return differ, nil
}

// comparison compares people of one connection by one policy at one instant.
type comparison struct {
	dir    *store.Directory
	policy *activePolicy
	now    time.Time
}

// among are those who differ. Whoever is due to be decided anew is left to that.
func (c comparison) among(people []store.Person) (differ []store.PersonKey, err error) {
	scratch := slices.Clone(people)
	for i := range scratch {
		scratch[i].Decided = 1 // what people decided is read whatever the row counts
	}
	bases, err := c.dir.Bases(scratch, c.policy.Attributes(c.dir.Row().ID))
	if err != nil {
		return nil, err
	}
	for i, p := range people {
		if c.dir.Rules(p) > 0 || !p.ValidUntil.IsZero() && !c.now.Before(p.ValidUntil) || c.standsAbout(p, bases[i]) {
			continue
		}
		fences, err := c.dir.Fences(p)
		if err != nil {
			return nil, err
		}
		if fences == 0 {
			differ = append(differ, p.Key)
		}
	}
	return differ, nil
}

// clocks is how far the clocks of nodes may be apart: what stands by one of them stands.
const clocks = 5 * time.Second

func (c comparison) standsAbout(p store.Person, b store.Basis) bool {
	return slices.ContainsFunc([]time.Duration{0, clocks, -clocks}, func(apart time.Duration) bool {
		return comparison{c.dir, c.policy, c.now.Add(apart)}.stands(p, b)
	})
}

// stands reports whether a person's row and assignments are what follows from the rest.
func (c comparison) stands(p store.Person, b store.Basis) bool {
	if int64(len(b.Decided.Permits)+len(b.Decided.Limits)) > p.Decided {
		return false
	}
	want := mapping.Decide(c.policy.Policy, b.Facts, c.now)
	plan := c.policy.Diff(b.Held, want.Want, b.Decided, c.now)
	if !p.Active {
		plan = mapping.DropAll(b.Held)
	}
	return plan.Empty() && p.ValidUntil.Equal(earliest(want.ValidUntil, mapping.NextChange(plan.After(), c.now)))
}

// putRight decides people anew who differ, if they still do, and tells: how many those were.
func (b *Bridge) putRight(ctx context.Context, of differently) (n int64, err error) {
	err = b.inTurn(ctx, of.conn, func() error {
		return b.change(ctx, of.conn, event.ByBridge, func(c *change) (err error) {
			n, err = c.putRight(of)
			return err
		})
	})
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) {
		return 0, nil // the connection has ended meanwhile
	}
	return n, err
}

func (c *change) putRight(of differently) (n int64, err error) {
	people, err := c.dir.PeopleByKey(of.keys)
	if err != nil {
		return 0, err
	}
	keys, err := comparison{&c.dir.Directory, c.policy, c.now}.among(people)
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	c.because = becauseReconciled
	for _, p := range people {
		if !slices.Contains(keys, p.Key) {
			continue
		}
		if err := c.reconcile(p); err != nil {
			return 0, err
		}
	}
	n = int64(len(keys))
	lately, err := c.tx.Alarms(c.conn, c.now.Add(-time.Hour), watchPage)
	if err != nil || slices.ContainsFunc(lately, func(a store.Alarm) bool { return a.Kind == KindReconciled }) {
		return n, err // it has been told: each person's record says more
	}
	return n, c.alarm(store.Alarm{Kind: KindReconciled, Count: n, Base: int64(of.looked)})
}

// reconcile makes a person's row and assignments what follows from the rest.
func (c *change) reconcile(p store.Person) error {
	before := len(c.events)
	c.say(event.PersonReconciled, p.ID, nil)
	if err := c.dir.RecountDecided(p); err != nil {
		return err
	}
	p, err := c.dir.Person(p.ID)
	if err != nil {
		return err
	}
	if err := c.decide(p); err != nil {
		return err
	}
	var wrong int
	for _, e := range c.events[before+1:] {
		if e.Type == event.AssignmentGiven || e.Type == event.AssignmentChanged || e.Type == event.AssignmentDropped {
			wrong++
		}
	}
	c.events[before].Data = map[string]string{"assignments": strconv.Itoa(wrong)}
	return nil
}
