package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// ApplyOptions say who applies a plan, and what of it is approved by name.
type ApplyOptions struct {
	Author    string
	Approvals Approvals
	Reason    string // why; required where something is approved
	// Source is what the plan is expected to be of; nil: that is not looked at.
	Source *mapping.PolicySource
}

// ApplyPlan applies exactly the plan of that hash. What it says is worked out again, on
// the directory as it is now: fault.Stale if the policy has moved, or somebody would
// lose what the plan did not show (a Refusal says who); fault.Denied with ReasonGuard if
// a guard of the policy in force refuses what is not approved; fault.Invalid if the
// policy's own tests fail. A plan that has been applied and is in force is done.
func (b *Bridge) ApplyPlan(ctx context.Context, hash string, o ApplyOptions) (Applied, error) {
	const op = "bridge.ApplyPlan"
	if err := o.Approvals.explained(op, o.Reason); err != nil {
		return Applied{}, err
	}
	if done, err := b.appliedAlready(ctx, hash); err != nil || done.Version > 0 {
		return done, err
	}
	kept, err := b.keptPlan(ctx, hash)
	if err != nil {
		return Applied{}, err
	}
	if err := b.planOf(ctx, kept, o.Source); err != nil {
		return Applied{}, err
	}
	return b.applyKept(ctx, kept, o, event.ByAdministrator, "")
}

// planOf refuses a plan that is of another policy than it is expected to be of.
func (b *Bridge) planOf(ctx context.Context, kept keptPlan, src *mapping.PolicySource) error {
	const op = "bridge.ApplyPlan"
	if src == nil {
		return nil
	}
	var tree *access.Tree
	err := b.store.View(ctx, func(v *store.View) error {
		base, err := v.Policy()
		if err == nil {
			tree, err = b.treeOf(v, base)
		}
		return err
	})
	if err != nil {
		return err
	}
	expected, err := adopt(*src, tree, sameScopeID)
	if err != nil {
		return err
	}
	hash, err := policyHash(expected)
	if err == nil && hash != kept.row.Policy {
		return fault.New(fault.Stale, op, "plan %s is of another policy than this file's: the file or the policy in force has changed since, or the plan is another file's", kept.row.Hash).Because(ReasonMoved)
	}
	return fault.Wrap(fault.Internal, op, err)
}

// applyKept applies a plan that is kept. input is what serve's file said, if it came
// from there.
func (b *Bridge) applyKept(ctx context.Context, kept keptPlan, o ApplyOptions, actor event.Actor, input string) (Applied, error) {
	how := application{actor: actor, author: o.Author, file: kept.row.File, text: kept.text, plan: kept.row.Hash, reverts: kept.plan.Reverts,
		summary: kept.plan.Summary, approvals: o.Approvals, reason: o.Reason, input: input}
	for range maxTries {
		done, err := b.applyReviewed(ctx, kept, how)
		if !errors.Is(err, errRestless) {
			return done, err
		}
	}
	return Applied{}, fault.New(fault.Stale, "bridge.ApplyPlan", "the directory changes faster than plan %s can be compared with it: try again", kept.row.Hash)
}

// appliedAlready is the version that a plan led to, if that is the one in force.
func (b *Bridge) appliedAlready(ctx context.Context, plan string) (done Applied, err error) {
	return done, b.store.View(ctx, func(v *store.View) error {
		a, found, err := v.ApplicationOf(plan)
		if err != nil || !found {
			return err
		}
		now, err := v.Policy()
		if err != nil || now.Version != a.Version {
			return err
		}
		done = Applied{Version: now.Version, Hash: now.Hash}
		return nil
	})
}

// keptPlan is a plan as it was kept: what was shown of it.
type keptPlan struct {
	row   store.PlanRow
	plan  PolicyPlan
	src   mapping.PolicySource
	text  []byte
	shown shownLosses
}

func (b *Bridge) keptPlan(ctx context.Context, hash string) (k keptPlan, err error) {
	return k, b.store.View(ctx, func(v *store.View) error {
		if k.row, err = v.Plan(hash); err != nil {
			return err
		}
		if err := k.row.Read(&k.plan); err != nil {
			return err
		}
		source, err := v.PlanPart(k.row.Key, store.PlanSource)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(source, &k.src); err != nil {
			return fault.Wrap(fault.Internal, "bridge.keptPlan", err)
		}
		if k.text, err = v.PlanPart(k.row.Key, store.PlanText); err != nil {
			return err
		}
		k.shown, err = v.PlanPart(k.row.Key, store.PlanLosses)
		return err
	})
}

// errRestless says that more has happened since the snapshot than one transaction can
// look at again.
var errRestless = errors.New("too much has happened since the plan's snapshot")

// applyReviewed plans anew on a snapshot, holds it against what was shown, and applies
// it in a transaction that looks again at those alone who have changed since.
func (b *Bridge) applyReviewed(ctx context.Context, kept keptPlan, how application) (Applied, error) {
	const op = "bridge.ApplyPlan"
	r, plan, err := b.replan(ctx, kept)
	if err != nil {
		return Applied{}, err
	}
	if r.base.Version != kept.row.Base {
		return Applied{}, overtaken(op, kept.row.Base, r.base.Version)
	}
	if err := admissible(op, r, plan, how.approvals); err != nil {
		return Applied{}, err
	}
	var p prepared
	err = b.store.View(ctx, func(v *store.View) (err error) { p, err = b.prepare(v, kept.src); return err })
	if err != nil {
		return Applied{}, err
	}
	if p.base.Version != kept.row.Base { // another was applied while this one was held against the directory
		return Applied{}, overtaken(op, kept.row.Base, p.base.Version)
	}
	return b.putIn(ctx, p, how, func(tx *store.Tx) error { return r.since(tx, kept.shown) })
}

// admissible says what stands in the way of a plan made anew: what was not shown, the
// policy's own tests, the guards.
func admissible(op string, r *planRun, plan PolicyPlan, approvals Approvals) error {
	if beyond := r.beyond.trim(); len(beyond) > 0 {
		return unreviewed(op, beyond)
	}
	if wrong := mapping.FailedTests(plan.Tests); len(wrong) > 0 {
		return &Refusal{Tests: wrong, err: fault.New(fault.Invalid, op, "%d of the %d tests of the policy fail, so it is not applied", len(wrong), len(plan.Tests)).Because(ReasonTestsFail)}
	}
	if left := approvals.refused(plan.Guards); len(left) > 0 {
		return refusedByGuards(op, left)
	}
	return nil
}

func unreviewed(op string, beyond []PersonChange) error {
	return &Refusal{People: beyond, err: fault.New(fault.Stale, op, "%s would lose what the plan did not show: plan again", people(int64(len(beyond)))).Because(ReasonUnreviewed)}
}

// replan makes a kept plan anew on the directory as it is, and keeps nothing.
func (b *Bridge) replan(ctx context.Context, kept keptPlan) (*planRun, PolicyPlan, error) {
	if err := b.beginPlanning(ctx); err != nil {
		return nil, PolicyPlan{}, err
	}
	defer b.endPlanning()
	r := &planRun{Bridge: b, o: PlanOptions{File: kept.row.File, Most: 1}, now: b.now(), shown: &kept.shown}
	if err := r.begin(ctx, kept.src); err != nil {
		return nil, PolicyPlan{}, err
	}
	if err := r.everybody(ctx); err != nil {
		return nil, PolicyPlan{}, err
	}
	return r, r.plan(), nil
}

// maxAgain is how many people one transaction looks at again, and maxAgainEvents how
// many events it reads to find them.
const (
	maxAgain       = inlinePeople
	maxAgainEvents = 2000
)

// since looks again at those to whom something has happened since the snapshot.
func (r *planRun) since(tx *store.Tx, shown shownLosses) error {
	again, err := r.touched(&tx.View)
	if err != nil {
		return err
	}
	var beyond []PersonChange
	for _, conn := range slices.Sorted(maps.Keys(again)) {
		out, err := r.planner.planPeople(&tx.View, conn, slices.Sorted(maps.Keys(again[conn])))
		if err != nil {
			return err
		}
		for _, c := range out.changes {
			if c.beyond(shown) {
				beyond = append(beyond, c)
			}
		}
	}
	if len(beyond) > 0 {
		return unreviewed("bridge.ApplyPlan", beyond)
	}
	return nil
}

// beyond reports whether somebody loses something that was not shown.
func (c PersonChange) beyond(shown shownLosses) bool {
	return slices.ContainsFunc(c.losses, func(l loss) bool { return !shown.has(l) })
}

// touched are those to whom something has happened that decisions look at, since the
// plan's reading began. errRestless if they are too many, or cannot be told.
func (r *planRun) touched(v *store.View) (map[access.ConnectionID]map[access.PersonID]bool, error) {
	again := map[access.ConnectionID]map[access.PersonID]bool{}
	n := 0
	add := func(conn access.ConnectionID, who access.PersonID) {
		if again[conn] == nil {
			again[conn] = map[access.PersonID]bool{}
		}
		if !again[conn][who] {
			again[conn][who] = true
			n++
		}
	}
	rows, err := v.AuditAfter(r.audit, maxAgainEvents)
	if err != nil {
		return nil, err
	}
	if len(rows) == maxAgainEvents {
		return nil, errRestless
	}
	for _, row := range rows {
		var e event.Event
		if err := json.Unmarshal(row.Body, &e); err != nil {
			return nil, fault.Wrap(fault.Internal, "bridge.touched", err)
		}
		family, _, _ := strings.Cut(string(e.Type), ".")
		switch {
		case family == "person" || family == "assignment" || family == "group" && e.Person != "":
			add(row.Connection, e.Person)
		case family == "group" && e.Type != event.GroupDeleted:
			if err := membersOf(v, row.Connection, access.GroupID(e.Data["group"]), add); err != nil {
				return nil, err
			}
		case !slices.Contains(harmless, family):
			return nil, errRestless // it cannot be told whom it concerns: look at everybody again
		}
		if n > maxAgain {
			return nil, errRestless
		}
	}
	return again, nil
}

// harmless are the families of events that no decision looks at. A policy that came
// between is seen by its version.
var harmless = []string{"session", "sign_in", "code", "refresh", "scim_token", "scim_client", "client_secret", "signing_key", "policy", "alarm"}

func membersOf(v *store.View, conn access.ConnectionID, id access.GroupID, add func(access.ConnectionID, access.PersonID)) error {
	dir, err := v.In(conn)
	if err != nil {
		return err
	}
	g, err := dir.Group(id)
	if fault.Is(err, fault.NotFound) {
		return nil // its deletion is told behind it
	}
	if err != nil {
		return err
	}
	if g.MemberCount > maxAgain {
		return errRestless
	}
	keys, err := dir.MemberKeys(g)
	if err != nil {
		return err
	}
	ids, err := dir.IDs(keys)
	for _, who := range ids {
		add(conn, who)
	}
	return err
}
