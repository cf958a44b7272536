package bridge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// evaluate says what everybody whom the plan touches would hold.
func (r *restoring) evaluate(ctx context.Context) error {
	keys := slices.Sorted(mapKeys(r.touched))
	for part := range slices.Chunk(keys, restoreChunkOf) {
		err := r.b.store.View(ctx, func(v *store.View) error {
			dir, err := v.In(r.plan.Connection)
			if err != nil {
				return err
			}
			policy, err := r.b.active(v)
			if err != nil {
				return err
			}
			if policy.version != r.plan.policy {
				return fault.New(fault.Conflict, "bridge.PlanRestore", "another policy was applied meanwhile; try again")
			}
			people, err := dir.PeopleByKey(part)
			if err != nil {
				return err
			}
			for _, p := range people {
				if err := r.person(dir, policy, p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// person says what one of them would hold. Who is not active holds nothing, before and
// after.
func (r *restoring) person(dir *store.Directory, policy *activePolicy, p store.Person) error {
	s := &r.plan.Summary
	s.People++
	if !p.Active {
		return nil
	}
	facts, err := dir.Facts(p, policy.Attributes(p.Connection))
	if err != nil {
		return err
	}
	held, err := dir.Assignments(p)
	if err != nil {
		return err
	}
	facts.Memberships = r.memberships(p.Key, facts.Memberships)
	by, err := dir.Decided(p)
	if err != nil {
		return err
	}
	plan := policy.Diff(held, mapping.Decide(policy.Policy, facts, r.now).Want, by, r.now)
	if plan.Empty() {
		return nil
	}
	after := plan.After()
	r.administrators(p.ID, held, after)
	change := changeOf(PersonName{p.Connection, p.ID, p.UserName}, policy.Policy, policy.Policy, plan, held, after, r.now)
	rows, err := dir.Sessions(p)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if next, _ := session.Reconcile(row.Session, held, after, r.now); row.LiveAt(r.now) && next.State != row.State {
			change.Sessions++
		}
	}
	if change.visible() {
		r.take(change)
	}
	return nil
}

func (r *restoring) take(c PersonChange) {
	r.plan.Summary.add(c, r.now)
	r.changes.add(c)
	if c.losing() {
		r.losing.add(c.name())
	}
	if c.WithoutAccess {
		r.without.add(c.name())
	}
}

// administrators counts who would be one no longer, or newly.
func (r *restoring) administrators(who access.PersonID, before, after []access.Assignment) {
	count := func(all []access.Assignment, n administrators) {
		for _, a := range all {
			if a.Grant == access.Administrator && a.MaySignIn(r.now) {
				r.admins[a.Scope] = administrators{r.admins[a.Scope].before + n.before, r.admins[a.Scope].after + n.after}
				r.counted[who] = true
			}
		}
	}
	count(before, administrators{before: 1})
	count(after, administrators{after: 1})
}

// memberships are a person's as they would be.
func (r *restoring) memberships(p store.PersonKey, now []mapping.Membership) []mapping.Membership {
	then := slices.Clone(now)
	for _, t := range r.touched[p] {
		w := r.plan.work[t.work]
		at := slices.IndexFunc(then, func(m mapping.Membership) bool { return m.Group == w.id })
		if t.leave {
			if at >= 0 {
				then = slices.Delete(then, at, at+1)
			}
			continue
		}
		m := mapping.Membership{Group: w.id, Name: w.now.DisplayName, ExternalID: w.now.ExternalID}
		if at >= 0 {
			m = then[at]
		}
		if w.returns || w.rename {
			m.Name, m.ExternalID = w.then.DisplayName, w.then.ExternalID
			m.Shared = false // a name or externalId that another has is not taken back
		}
		if !t.since.IsZero() {
			m.Since = t.since
		}
		if at >= 0 {
			then[at] = m
		} else {
			then = append(then, m)
		}
	}
	return then
}

// seal adds the guards, and the hash that names all of it.
func (r *restoring) seal(ctx context.Context) error {
	p := r.plan
	p.People = append(p.People, r.changes.trim()...)
	policy, err := r.b.policyNow(ctx)
	if err != nil {
		return err
	}
	g := guarded{losing: p.Summary.Losing, without: p.Summary.WithoutAccess,
		names: map[string][]string{GuardLosing: approvable(r.losing.trim()), GuardWithoutAccess: approvable(r.without.trim())}}
	err = r.b.store.View(ctx, func(v *store.View) error {
		dir, err := v.In(p.Connection)
		if err != nil {
			return err
		}
		if g.holding, err = dir.CountHolding(r.now); err != nil {
			return err
		}
		p.Summary.Holding = g.holding
		g.administrators, err = r.headcounts(v, policy)
		return err
	})
	if err != nil {
		return err
	}
	p.Guards = judge(policy.Source().Guard, g)
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %d %d\n", p.Connection, p.At.UnixMilli(), p.policy)
	for _, w := range p.work {
		fmt.Fprintf(sum, "%s %t %t %d %q %q\n", w.id, w.returns, w.rename, w.now.Version, w.then.DisplayName, w.then.ExternalID)
		for _, j := range w.set {
			fmt.Fprintf(sum, "+%d %d\n", j.Key, j.Since.UnixMilli())
		}
		for _, key := range w.remove {
			fmt.Fprintf(sum, "-%d\n", key)
		}
	}
	fmt.Fprintf(sum, "%d %d %d\n", p.Summary.Gaining, p.Summary.Losing, p.Summary.WithoutAccess)
	p.Hash = hex.EncodeToString(sum.Sum(nil)[:6])
	return nil
}

// headcounts are the administrators of the scopes of which somebody would be one no
// longer: those whom the plan touches, and the others.
func (r *restoring) headcounts(v *store.View, policy *activePolicy) (all []headcount, err error) {
	for _, scope := range slices.Sorted(mapKeys(r.admins)) {
		n := r.admins[scope]
		if n.after >= n.before || !policy.Tree().Live(scope) {
			continue
		}
		others, err := r.otherAdministrators(v, scope)
		if err != nil {
			return nil, err
		}
		all = append(all, headcount{path: policy.Tree().Path(scope), before: others + n.before, after: others + n.after})
	}
	return all, nil
}

func (r *restoring) otherAdministrators(v *store.View, scope access.ScopeID) (n int64, err error) {
	seats, err := v.SeatsAt(scope, []access.Grant{access.Administrator})
	if err != nil {
		return 0, err
	}
	for _, seat := range seats {
		for after, more := int64(0), true; more; {
			rows, last, err := v.Holders(seat, store.Held{Now: r.now, Begun: true}, after, trailPage)
			if err != nil {
				return 0, err
			}
			for _, h := range rows {
				if h.Counts && (h.Connection != r.plan.Connection || !r.counted[h.Person]) {
					n++
				}
			}
			after, more = last, len(rows) == trailPage
		}
	}
	return n, nil
}
