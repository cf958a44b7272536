package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Past says what an explanation of the past rests on, and what it does not answer.
type Past struct {
	At          time.Time `json:"at" doc:"the instant; the record is complete up to it"`
	Here        bool      `json:"here" doc:"the person was here then"`
	First       time.Time `json:"first,omitzero" doc:"the first that is recorded of the person"`
	Deleted     time.Time `json:"deleted,omitzero" doc:"when the person was deleted, by then or later"`
	PolicySince time.Time `json:"policy_since,omitzero" doc:"when the policy of that time was applied"`
	Notes       []string  `json:"notes" doc:"what is not answered, and why"`
}

// The notes of every answer about the past.
const (
	notePastNames = "Names and paths are those of today: the record keeps ids."
	notePastFacts = "Why other rules gave nothing is not answered: attributes, certifications and group names of that time are personal or may be erased, and are not recorded."
)

// ExplainAt is Explain for an instant of the past, by the audit trail alone. Somebody
// who was deleted is found by id, or by externalId.
func (b *Bridge) ExplainAt(ctx context.Context, who string, conn access.ConnectionID, at time.Time) ([]Explanation, error) {
	const op = "bridge.ExplainAt"
	if err := b.isPast(op, at); err != nil {
		return nil, err
	}
	var out []Explanation
	err := b.store.View(ctx, func(v *store.View) error {
		out = nil
		asked, err := everNamed(v, who, conn)
		if err != nil {
			return err
		}
		if len(asked) == 0 {
			return fault.New(fault.NotFound, op, "nobody is or was called %q; give a userName or an e-mail address of today, a person id, or the externalId of somebody who was deleted", who)
		}
		pol, err := b.policyAt(v, at)
		if err != nil {
			return err
		}
		for _, p := range asked {
			e, known, err := pol.explain(v, p, at)
			if err != nil {
				return err
			}
			if known {
				out = append(out, e)
			}
		}
		if len(out) == 0 {
			return fault.New(fault.NotFound, op, "nothing is recorded of %q up to %s", who, stamp(at))
		}
		return nil
	})
	return out, err
}

func (b *Bridge) isPast(op string, at time.Time) error {
	if at.After(b.now()) {
		return fault.New(fault.Invalid, op, "%s is not past yet; drawbridge simulate says what would be", stamp(at))
	}
	return nil
}

// everNamed is who goes by a name now, and who went by it as far as that is kept.
func everNamed(v *store.View, who string, conn access.ConnectionID) ([]store.Person, error) {
	people, err := v.PeopleNamed(who)
	if err != nil {
		return nil, err
	}
	gone, err := v.DepartedNamed(who)
	if err != nil {
		return nil, err
	}
	for _, d := range gone {
		people = append(people, store.Person{ID: d.Person, Connection: d.Connection})
	}
	return slices.DeleteFunc(people, func(p store.Person) bool { return conn != "" && p.Connection != conn }), nil
}

// policyThen is the policy that was in force at an instant.
type policyThen struct {
	*activePolicy // of today: scopes lie and are called as they are now
	version       int64
	since         time.Time
	next          time.Time            // when another came into force; zero: it is in force
	rules         []mapping.RuleSource // as they stood in their file then; nil: that is not kept
}

func (b *Bridge) policyAt(v *store.View, at time.Time) (policyThen, error) {
	now, err := b.active(v)
	if err != nil {
		return policyThen{}, err
	}
	all, err := recorded(v, "", event.Subject{Kind: event.KindPolicy}, at)
	if err != nil {
		return policyThen{}, err
	}
	p := policyThen{activePolicy: now}
	for _, r := range all {
		if r.at.After(at) {
			p.next = r.at
			break
		}
		if p.version, err = strconv.ParseInt(r.Data["version"], 10, 64); err != nil {
			return p, fault.New(fault.Internal, "bridge.policyAt", "row %d of the audit trail names the policy %q", r.row, r.Data["version"])
		}
		p.since = r.at
	}
	p.rules, err = rulesOf(v, now, p.version)
	return p, err
}

// rulesOf are the rules of a version of the policy, by the history of applications; nil
// for one that was applied before there was any.
func rulesOf(v *store.View, now *activePolicy, version int64) ([]mapping.RuleSource, error) {
	if version == now.version {
		return now.Source().Rules, nil
	}
	body, _, err := v.ApplicationText(version)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var src struct {
		Rules []mapping.RuleSource `json:"rules"`
	}
	if err := json.Unmarshal(body, &src); err != nil {
		return nil, fault.New(fault.Internal, "bridge.rulesOf", "version %d of the policy cannot be read: %v", version, err)
	}
	return src.Rules, nil
}

func (p policyThen) explain(v *store.View, who store.Person, at time.Time) (Explanation, bool, error) {
	all, err := recorded(v, who.Connection, event.Subject{Kind: event.KindPerson, ID: string(who.ID)}, at)
	if err != nil {
		return Explanation{}, false, err
	}
	dir, err := v.In(who.Connection)
	if err != nil {
		return Explanation{}, false, err
	}
	was := replay(all, at)
	if !was.known {
		return Explanation{}, false, nil
	}
	e := Explanation{Person: who.ID, UserName: who.UserName, Name: who.DisplayName, Connection: who.Connection, Customer: dir.Row().Name, Active: was.active,
		Groups: []string{}, Memberships: []Belonging{}, Reasons: []mapping.Reason{}, Sessions: []SessionView{}, Policy: p.version,
		Past: &Past{At: at, Here: was.exists, First: all[0].at, PolicySince: p.since, Deleted: replay(all, time.Time{}).deleted, Notes: []string{notePastNames, notePastFacts}}}
	x := explainer{policy: p.activePolicy, rules: p.rules, at: at, groups: map[access.GroupID]Belonging{}, came: was}
	if err := x.groupsThen(v, dir, was, all); err != nil {
		return e, false, err
	}
	e.belong(x.groups)
	held := was.assignments(at)
	e.Holds = x.holdings(held, nil)
	for i := range e.Holds {
		p.judge(&e.Holds[i], x, all)
	}
	if err := x.peopleSaid(v, dir, who, nil, &e); err != nil {
		return e, false, err
	}
	if p.rules == nil {
		e.Past.Notes = append(e.Past.Notes, fmt.Sprintf("Version %d of the policy was in force; it was applied before versions were kept, so where its rules stood is not answered.", p.version))
	}
	counted := slices.DeleteFunc(slices.Clone(held), func(a access.Assignment) bool {
		return slices.ContainsFunc(e.Holds, func(h Holding) bool { return h.ID == a.ID && h.Stale != "" })
	})
	e.Sees, e.ByName = x.sights(counted)
	switch {
	case !was.exists:
		e.Refusal = "not_provisioned"
	case !was.active:
		e.Refusal = reasonDeactivated
	default:
		e.Refusal = fault.ReasonOf(session.Refusal(counted, at))
	}
	return e, true, nil
}

// groupsThen are the groups that somebody was in, under the names of today.
func (x *explainer) groupsThen(v *store.View, dir *store.Directory, was then, all []record) error {
	for id, j := range was.groups {
		g := Belonging{Group: id, Since: j.since, Request: j.request}
		switch now, err := dir.Group(id); {
		case err == nil:
			g.Name = now.DisplayName
		case !fault.Is(err, fault.NotFound):
			return err
		default:
			gone, err := goneUntold(v, dir.Row().ID, id, x.at, all)
			if err != nil {
				return err
			}
			if gone {
				continue
			}
		}
		x.groups[id] = g
	}
	return renamings(v, dir.Row().ID, x.groups, x.at)
}

// goneUntold reports whether a group had been deleted by then whose members are still
// being told so: until they are, their own records do not say it.
func goneUntold(v *store.View, conn access.ConnectionID, id access.GroupID, at time.Time, all []record) (bool, error) {
	told := slices.ContainsFunc(all, func(r record) bool {
		return r.at.After(at) && (r.Type == event.PersonDeleted || r.Type == event.MemberRemoved && r.Data["group"] == string(id))
	})
	if told {
		return false, nil
	}
	of, err := recorded(v, conn, event.Subject{Kind: event.KindGroup, ID: string(id)}, at)
	return slices.ContainsFunc(of, func(r record) bool { return r.Type == event.GroupDeleted && !r.at.After(at) }), err
}

// judge says where a recorded assignment counted for nothing at that instant: what
// gave it had ended, and it was dropped later.
func (p policyThen) judge(h *Holding, x explainer, all []record) {
	dropped := droppedAfter(all, h.ID, x.at)
	left := true
	for _, l := range h.Chain {
		if l.Group == nil {
			left = false
			continue
		}
		_, in := x.groups[l.Group.Group]
		left = left && !in
	}
	switch {
	case left && dropped.IsZero():
		h.Stale = "the group that it came by had been left or was gone; it has not been dropped yet"
	case dropped.IsZero():
	case left:
		h.Stale = "the group that it came by had been left or was gone; it was dropped at " + stamp(dropped)
	case p.since.After(h.Given) && (p.next.IsZero() || dropped.Before(p.next)) && droppedByRules(all, h.ID, x.at):
		h.Stale = fmt.Sprintf("version %d of the policy, applied at %s, gave it no more; it was dropped at %s", p.version, stamp(p.since), stamp(dropped))
	}
}

func dropOf(all []record, id access.AssignmentID, at time.Time) int {
	return slices.IndexFunc(all, func(r record) bool {
		return r.at.After(at) && r.Type == event.AssignmentDropped && r.Data["assignment"] == string(id)
	})
}

// droppedAfter is when an assignment was dropped that was held at that instant.
func droppedAfter(all []record, id access.AssignmentID, at time.Time) time.Time {
	i := dropOf(all, id, at)
	if i < 0 {
		return time.Time{}
	}
	return all[i].at
}

func droppedByRules(all []record, id access.AssignmentID, at time.Time) bool {
	i := dropOf(all, id, at)
	return i >= 0 && all[i].Actor == event.ByRules
}
