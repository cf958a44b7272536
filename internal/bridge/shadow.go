package bridge

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

const (
	shadowEvery = 15 * time.Minute // how old the count of shadow rules may become
	shadowLook  = 5 * time.Second  // how soon a new policy is noticed
	shadowChunk = 200              // people read at once
	shadowPage  = 1000             // groups read at once
)

// shadowCount is how many people each rule that only counts would give something.
type shadowCount struct {
	mu     sync.Mutex // guards what follows
	policy int64      // 0: nobody has counted yet
	at     time.Time
	people map[string]int64
}

// ShadowPeople tells, by rule, to how many people the rules of the active policy that
// only count would give something if they were enforced, whatever other rules give:
// as it was counted last. ok is false before the first count.
func (b *Bridge) ShadowPeople() (people map[string]int64, ok bool) {
	b.shadow.mu.Lock()
	defer b.shadow.mu.Unlock()
	return maps.Clone(b.shadow.people), b.shadow.policy > 0
}

// WatchShadow counts again when a policy is new and when the count has become old,
// until ctx ends.
func (b *Bridge) WatchShadow(ctx context.Context) {
	tick := time.NewTicker(shadowLook)
	defer tick.Stop()
	for {
		b.shadow.mu.Lock()
		due := b.shadow.policy != b.store.PolicyVersion() || b.now().Sub(b.shadow.at) >= shadowEvery
		b.shadow.mu.Unlock()
		if due {
			if err := b.CountShadow(ctx); ctx.Err() == nil {
				b.note("bridge.CountShadow", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// CountShadow counts now. It reads the members of the groups that shadow rules look
// at, some at a time, and nobody else.
func (b *Bridge) CountShadow(ctx context.Context) error {
	policy, err := b.policyNow(ctx)
	if fault.Is(err, fault.Unavailable) {
		return nil // no policy yet
	}
	if err != nil {
		return err
	}
	count := &shadowWalk{bridge: b, now: b.now(), people: map[string]int64{}}
	src := policy.Source()
	src.Tests = nil
	src.Rules = slices.DeleteFunc(slices.Clone(src.Rules), func(r mapping.RuleSource) bool { return r.Mode != mapping.Shadow })
	for i, r := range src.Rules {
		src.Rules[i].Mode = mapping.Enforce
		count.people[r.ID] = 0
	}
	if len(src.Rules) > 0 {
		if count.rules, err = mapping.Compile(src); err != nil {
			return fault.Wrap(fault.Internal, "bridge.CountShadow", err)
		}
		if err := count.everywhere(ctx); err != nil {
			return err
		}
	}
	b.shadow.mu.Lock()
	defer b.shadow.mu.Unlock()
	b.shadow.policy, b.shadow.at, b.shadow.people = policy.version, count.now, count.people
	return nil
}

// shadowWalk is one count on its way.
type shadowWalk struct {
	bridge *Bridge
	rules  *mapping.Policy // the shadow rules alone, enforced
	now    time.Time
	people map[string]int64
}

type shadowGroup struct {
	conn access.ConnectionID
	id   access.GroupID
}

func (w *shadowWalk) everywhere(ctx context.Context) error {
	groups, err := w.groups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		var after store.PersonKey
		for more := true; more; {
			err := w.bridge.store.View(ctx, func(v *store.View) (err error) {
				after, more, err = w.members(v, g, after)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// groups lists the groups that the rules look at.
func (w *shadowWalk) groups(ctx context.Context) (feeding []shadowGroup, err error) {
	var after store.GroupKey
	for more := true; more; {
		err := w.bridge.store.View(ctx, func(v *store.View) error {
			census, err := v.Census()
			if err != nil {
				return err
			}
			page, err := census.Groups(v, after, shadowPage)
			for _, g := range page {
				after = g.Key
				if !g.Dissolving && w.rules.LooksAt(g.Connection, g.Name, g.ExternalID) {
					feeding = append(feeding, shadowGroup{g.Connection, g.ID})
				}
			}
			more = len(page) == shadowPage
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return feeding, nil
}

// members counts some members of a group. Who is in several that the rules look at is
// counted in the first of them.
func (w *shadowWalk) members(v *store.View, g shadowGroup, after store.PersonKey) (next store.PersonKey, more bool, err error) {
	dir, err := v.In(g.conn)
	if fault.Is(err, fault.NotFound) {
		return 0, false, nil // the connection has ended
	}
	if err != nil {
		return 0, false, err
	}
	group, err := dir.Group(g.id)
	if fault.Is(err, fault.NotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	members, err := dir.Members(group, after, shadowChunk)
	if err != nil || len(members) == 0 {
		return 0, false, err
	}
	keys := make([]store.PersonKey, len(members))
	for i, m := range members {
		keys[i] = m.Key
	}
	people, err := dir.PeopleByKey(keys)
	if err != nil {
		return 0, false, err
	}
	bases, err := dir.Bases(people, w.rules.Attributes(g.conn))
	if err != nil {
		return 0, false, err
	}
	for _, base := range bases {
		if w.first(base.Facts) == g.id {
			w.count(base.Facts)
		}
	}
	return keys[len(keys)-1], len(members) == shadowChunk, nil
}

// first is the first of the person's groups that the rules look at.
func (w *shadowWalk) first(f mapping.Facts) access.GroupID {
	for _, m := range f.Memberships {
		if w.rules.LooksAt(f.Connection, m.Name, m.ExternalID) {
			return m.Group
		}
	}
	return ""
}

func (w *shadowWalk) count(f mapping.Facts) {
	gave := map[string]bool{}
	for _, want := range mapping.Decide(w.rules, f, w.now).Want {
		for _, s := range want.Sources {
			gave[s.ID] = true
		}
	}
	for rule := range gave {
		w.people[rule]++
	}
}
