package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// PlanOptions say what becomes of a plan. The zero value keeps the first changes only.
type PlanOptions struct {
	File    string // the name of the file that the policy came from
	Text    []byte // its text, secrets masked
	Author  string
	Reverts int64 // the version of the policy that src is; 0: it is none
	Most    int   // how many changes the plan itself lists; 0: DefaultPlanned
	// Each is told every change, people in the order in which they came. An error ends
	// the plan. Progress is told how many of how many people have been looked at. Both
	// are called one at a time.
	Each     func(PersonChange) error
	Progress func(done, total int64)
}

const (
	// DefaultPlanned is how many changes a plan lists, and MaxPlanned how many it can.
	DefaultPlanned = 1000
	MaxPlanned     = 10_000

	planPage      = 2000      // people in one short read
	planAhead     = 8         // pages that may wait for one before them
	planGroups    = 5000      // groups in one short read
	planHashBytes = 16        // of a plan's name: no two can be made alike
	planPart      = 512 << 10 // bytes of a stored plan in one transaction

	// PlansKept is how many plans are kept, each for PlanLife at most.
	PlansKept = 20
	PlanLife  = 24 * time.Hour
)

// PlanPolicy says what applying a policy now would do, and changes nothing but that the
// plan itself is kept, so that it can be applied by its hash. fault.Invalid if the
// policy does not hold. One plan is made at a time; the next waits.
func (b *Bridge) PlanPolicy(ctx context.Context, src mapping.PolicySource, o PlanOptions) (PolicyPlan, error) {
	if err := b.beginPlanning(ctx); err != nil {
		return PolicyPlan{}, err
	}
	defer b.endPlanning()
	r := &planRun{Bridge: b, o: o, now: b.now()}
	if err := r.begin(ctx, src); err != nil {
		return PolicyPlan{}, err
	}
	if err := r.everybody(ctx); err != nil {
		return PolicyPlan{}, err
	}
	return r.conclude(ctx)
}

// beginPlanning waits for the plan that is being made, if there is one.
func (b *Bridge) beginPlanning(ctx context.Context) error {
	select {
	case b.planning <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, "bridge.PlanPolicy", ctx.Err())
	}
}

func (b *Bridge) endPlanning() { <-b.planning }

// planRun is one plan while it is made.
type planRun struct {
	*Bridge
	o       PlanOptions
	now     time.Time
	src     mapping.PolicySource // as it is stored: scopes that are there already have their ids
	kept    mapping.PolicySource // as the plan keeps it: without a tree that is in the store
	base    store.Policy
	hash    string // of the policy
	audit   int64
	rows    []store.ConnectionRow
	total   int64
	planner *planner

	tally   planTally
	first   firsts[PersonChange]
	losing  firsts[PersonName]
	without firsts[PersonName]
	parts   map[access.ConnectionID]*planLosers // connections of which somebody loses something
	losses  []loss
	done    int64

	shown  *shownLosses         // by a plan that is made again; nil: this is the first
	beyond firsts[PersonChange] // who loses what it did not show
}

// planLosers is who of one connection's people loses something.
type planLosers struct {
	losing, without           int64
	whoLoses, whoEndsWithNone firsts[PersonName] // as many as are approved by name
}

// part is that of a connection.
func (r *planRun) part(id access.ConnectionID) *planLosers {
	if r.parts[id] == nil {
		some := firsts[PersonName]{most: approvedByName, compare: compareNames}
		r.parts[id] = &planLosers{whoLoses: some, whoEndsWithNone: some}
	}
	return r.parts[id]
}

// begin reads what is in force and compiles what is to be.
func (r *planRun) begin(ctx context.Context, src mapping.PolicySource) error {
	const op = "bridge.PlanPolicy"
	most := r.o.Most
	if most <= 0 {
		most = DefaultPlanned
	}
	r.tally, r.parts = newTally(), map[access.ConnectionID]*planLosers{}
	r.first = firsts[PersonChange]{most: min(most, MaxPlanned), compare: func(a, b PersonChange) int { return compareNames(a.name(), b.name()) }}
	r.beyond = firsts[PersonChange]{most: DefaultPlanned, compare: r.first.compare}
	r.losing = firsts[PersonName]{most: DefaultPlanned, compare: compareNames}
	r.without = firsts[PersonName]{most: DefaultPlanned, compare: compareNames}
	var was *activePolicy
	var tree *access.Tree
	var census *store.Census
	err := r.store.View(ctx, func(v *store.View) (err error) {
		if r.audit, err = v.AuditPosition(); err != nil {
			return err
		}
		if r.base, err = v.Policy(); err != nil {
			return err
		}
		if tree, err = r.treeOf(v, r.base); err != nil {
			return err
		}
		if r.base.Version > 0 {
			if was, err = r.active(v); err != nil {
				return err
			}
		}
		if r.rows, err = v.Connections(); err != nil {
			return err
		}
		census, err = v.Census()
		return err
	})
	if err != nil {
		return err
	}
	if r.src, err = adopt(src, tree, sameScopeID); err != nil {
		return err
	}
	if r.kept = r.src; src.TreeInStore {
		r.kept = src
	}
	next, err := mapping.Compile(r.src)
	if err != nil {
		return fault.New(fault.Invalid, op, "the policy does not hold: %v", err)
	}
	if r.hash, err = policyHash(r.src); err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	var before *mapping.Policy
	if was != nil {
		before = was.Policy
	}
	if r.planner, err = newPlanner(before, next, r.rows, census, r.now); err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	for _, row := range r.rows {
		if c := r.planner.conns[row.ID]; c.lives || c.stays {
			r.total += row.People
		}
	}
	return r.meetGroups(ctx)
}

func (r *planRun) meetGroups(ctx context.Context) error {
	for after, more := store.GroupKey(0), true; more; {
		err := r.store.View(ctx, func(v *store.View) error {
			groups, err := r.planner.census.Groups(v, after, planGroups)
			for _, g := range groups {
				r.planner.groups[g.Key] = r.planner.group(g)
				after = g.Key
			}
			more = len(groups) == planGroups
			return err
		})
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fault.Wrap(fault.Unavailable, "bridge.PlanPolicy", err)
		}
	}
	return nil
}

// take takes in what came of one page.
func (r *planRun) take(p planned) error {
	r.tally.add(p.tally)
	r.losses = append(r.losses, p.losses...)
	for _, c := range p.changes {
		r.first.add(c)
		if c.losing() {
			r.losing.add(c.name())
			p := r.part(c.Connection)
			p.losing++
			p.whoLoses.add(c.name())
		}
		if r.shown != nil && c.beyond(*r.shown) {
			r.beyond.add(c)
		}
		if c.WithoutAccess {
			r.without.add(c.name())
			p := r.part(c.Connection)
			p.without++
			p.whoEndsWithNone.add(c.name())
		}
		if r.o.Each != nil {
			if err := r.o.Each(c); err != nil {
				return err
			}
		}
	}
	r.done += p.looked
	if r.o.Progress != nil {
		r.o.Progress(r.done, max(r.total, r.done))
	}
	return nil
}

// conclude puts the plan together and keeps it.
func (r *planRun) conclude(ctx context.Context) (PolicyPlan, error) {
	plan := r.plan()
	return plan, r.keepPlan(ctx, plan)
}

func (r *planRun) plan() PolicyPlan {
	slices.Sort(r.losses)
	next := r.planner.next
	plan := PolicyPlan{Hash: hashOf(r.base.Version, r.hash, r.losses), Base: r.base.Version, Policy: r.hash, File: r.o.File, Reverts: r.o.Reverts, At: r.now,
		Summary: r.tally.summary, Connections: r.connectionChanges(), People: r.first.trim(), Findings: r.findings(),
		Shadow: []RuleCount{}, Tests: mapping.RunTests(next, next.Source().Tests, r.now), Guards: judge(r.guard(), r.guarded())}
	var before access.Catalogue
	if r.planner.was != nil {
		before = r.planner.was.Catalogue()
	}
	plan.Demands = demandChanges(before, next.Catalogue())
	if plan.People == nil {
		plan.People = []PersonChange{}
	}
	for _, rule := range next.Source().Rules {
		if rule.Mode == mapping.Shadow {
			plan.Shadow = append(plan.Shadow, RuleCount{Rule: rule.ID, Pos: rule.Pos, People: r.tally.shadow[rule.ID]})
		}
	}
	return plan
}

// guard is that of the policy in force, which judges what is to follow it; the first
// policy's own is in force with it.
func (r *planRun) guard() mapping.Guard {
	if r.planner.was == nil {
		return r.planner.next.Source().Guard
	}
	return r.planner.was.Source().Guard
}

// guarded is what guards look at.
func (r *planRun) guarded() guarded {
	g := guarded{holding: r.tally.summary.Holding, losing: r.tally.summary.Losing, without: r.tally.summary.WithoutAccess,
		names: map[string][]string{GuardLosing: approvable(r.losing.trim()), GuardWithoutAccess: approvable(r.without.trim())}}
	var all []PersonName
	for _, p := range r.parts {
		all = append(all, p.whoLoses.trim()...)
	}
	shared := sharedNames(all)
	for _, id := range slices.Sorted(maps.Keys(r.parts)) {
		p := r.parts[id]
		g.connections = append(g.connections, guardedPart{id: id, holding: r.tally.holding[id], losing: p.losing, without: p.without,
			names: map[string][]string{GuardLosing: approvableAmong(p.whoLoses.trim(), shared), GuardWithoutAccess: approvableAmong(p.whoEndsWithNone.trim(), shared)}})
	}
	for id, n := range r.tally.admins {
		if tree := r.planner.next.Tree(); tree.Live(id) {
			g.administrators = append(g.administrators, headcount{path: tree.Path(id), before: n.before, after: n.after})
		}
	}
	return g
}

// approvable are people as somebody approves of them: by userName, and where people of
// several connections have it, with the connection before it. So is one that has a slash:
// no connection's person is called as somebody of another is approved of.
func approvable(people []PersonName) []string { return approvableAmong(people, sharedNames(people)) }

// sharedNames are the userNames, folded, that several of these people have.
func sharedNames(people []PersonName) map[string]bool {
	having, shared := map[string]bool{}, map[string]bool{}
	for _, p := range people {
		name := schema.Fold(p.UserName)
		shared[name] = having[name]
		having[name] = true
	}
	return shared
}

func approvableAmong(people []PersonName, shared map[string]bool) []string {
	names := make([]string, len(people))
	for i, p := range people {
		if names[i] = p.UserName; shared[schema.Fold(p.UserName)] || strings.Contains(p.UserName, "/") {
			names[i] = string(p.Connection) + "/" + p.UserName
		}
	}
	return names
}

// connectionChanges are the connections that come, end or open again.
func (r *planRun) connectionChanges() []ConnectionChange {
	all := []ConnectionChange{}
	there := map[access.ConnectionID]bool{}
	for _, row := range r.rows {
		there[row.ID] = true
		switch c := r.planner.conns[row.ID]; {
		case c.lives && !c.stays:
			all = append(all, ConnectionChange{Connection: row.ID, Change: ConnectionEnds, People: row.People})
		case !c.lives && c.stays:
			all = append(all, ConnectionChange{Connection: row.ID, Change: ConnectionOpens, People: row.People})
		}
	}
	for _, c := range r.planner.next.Connections() {
		if !there[c.ID] {
			all = append(all, ConnectionChange{Connection: c.ID, Change: ConnectionComes})
		}
	}
	slices.SortFunc(all, func(a, b ConnectionChange) int { return cmp.Compare(a.Connection, b.Connection) })
	return all
}

// keepPlan stores a plan in parts, so that nobody waits for it, and forgets those that
// are kept no longer.
func (r *planRun) keepPlan(ctx context.Context, plan PolicyPlan) error {
	const op = "bridge.keepPlan"
	summary, err := json.Marshal(plan)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	source, err := json.Marshal(r.kept)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	row := store.PlanRow{Hash: plan.Hash, Base: plan.Base, Policy: plan.Policy, File: r.o.File, Author: r.o.Author, Audit: r.audit, Created: r.now, Summary: summary}
	if err := r.store.Update(ctx, func(tx *store.Tx) error { return tx.BeginPlan(&row) }); err != nil {
		return err
	}
	for _, part := range []struct {
		of   store.PlanPart
		body []byte
	}{{store.PlanSource, source}, {store.PlanText, r.o.Text}, {store.PlanLosses, lossBytes(r.losses)}} {
		seq := 0
		for some := range slices.Chunk(part.body, planPart) {
			if err := r.store.Update(ctx, func(tx *store.Tx) error { return tx.AddPlanPart(row.Key, part.of, seq, some) }); err != nil {
				return err
			}
			seq++
		}
	}
	if err := r.store.Update(ctx, func(tx *store.Tx) error { return tx.FinishPlan(row.Key) }); err != nil {
		return err
	}
	return r.forgetPlans(ctx)
}

// forgetPlans removes plans that are kept no longer.
func (b *Bridge) forgetPlans(ctx context.Context) error {
	var stale []int64
	err := b.store.View(ctx, func(v *store.View) (err error) {
		stale, err = v.StalePlans(b.now().Add(-PlanLife), PlansKept)
		return err
	})
	for _, key := range stale {
		for more := err == nil; more && err == nil; {
			err = b.store.Update(ctx, func(tx *store.Tx) (err error) { more, err = tx.DropPlan(key, 4); return err })
		}
	}
	return err
}
