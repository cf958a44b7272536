package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

func byRule(id access.AssignmentID, g access.Grant, s access.ScopeID) access.Assignment {
	return access.Assignment{ID: id, Grant: g, Scope: s, Standing: access.Primary,
		Sources: []access.Source{{Kind: access.SourceRule, ID: "rule", Group: "grp_1", Standing: access.Primary}}}
}

func byPeople(id access.AssignmentID, g access.Grant, s access.ScopeID) access.Assignment {
	return access.Assignment{ID: id, Grant: g, Scope: s, Standing: access.Guest, Flags: access.Flags{Events: access.EventsRestricted, Video: true},
		NotBefore: day, Until: day.Add(time.Hour),
		Sources: []access.Source{{Kind: access.SourceRequest, ID: "req", Standing: access.Guest, Until: day.Add(time.Hour)}}}
}

// permitted is byPeople, with what people decided.
func (f *fixture) permitted(p store.Person, id access.AssignmentID, g access.Grant, s access.ScopeID) access.Assignment {
	f.t.Helper()
	f.write(p.Connection, func(d *store.DirectoryTx) error {
		t := permit("prm_"+string(id), string(s))
		t.Grant, t.Request = g, "req"
		return d.PutPermit(p, t)
	})
	return byPeople(id, g, s)
}

func (f *fixture) apply(p store.Person, plan mapping.Plan) error {
	return f.try(p.Connection, func(d *store.DirectoryTx) error { return d.ApplyPlan(p, plan) })
}

func (f *fixture) held(p store.Person) (all []access.Assignment) {
	f.t.Helper()
	f.read(p.Connection, func(d *store.Directory) (err error) { all, err = d.Assignments(p); return err })
	return all
}

// A plan applied is what is held, sources and milliseconds included; primary and
// guest may change places within one plan.
func testPlans(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	a, b := byRule("asg_1", access.Standard, "scp_fleet"), f.permitted(p, "asg_2", access.Elevated, "scp_far")
	a.Person, b.Person = p.ID, p.ID
	if err := f.apply(p, mapping.Plan{Give: []access.Assignment{a, b}}); err != nil {
		t.Fatal(err)
	}
	if got := f.held(p); fmt.Sprint(got) != fmt.Sprint([]access.Assignment{a, b}) {
		t.Errorf("held %v", got)
	}
	use := func(c access.ConnectionID, used map[access.AssignmentID]time.Time) {
		f.write(c, func(d *store.DirectoryTx) error { return d.TouchAssignments(used) })
	}
	use(north, map[access.AssignmentID]time.Time{"asg_1": day, "asg_9": day})
	use(north, map[access.AssignmentID]time.Time{"asg_1": day.Add(-time.Hour)})
	use(south, map[access.AssignmentID]time.Time{"asg_2": day})
	a.LastUsed = day
	a2, b2 := a, b
	a2.Standing, b2.Standing, b2.Until = access.Guest, access.Primary, time.Time{}
	swap := mapping.Plan{Change: []mapping.Change{{From: b, To: b2}, {From: a, To: a2}}}
	if err := f.apply(p, swap); err != nil {
		t.Fatal(err)
	}
	if got := f.held(p); fmt.Sprint(got) != fmt.Sprint([]access.Assignment{b2, a2}) {
		t.Errorf("after the swap %v", got)
	}
	second := f.permitted(p, "asg_3", access.Standard, "scp_near")
	second.Standing = access.Primary
	if err := f.apply(p, mapping.Plan{Give: []access.Assignment{second}}); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second primary: %v", err)
	}
	drop := mapping.Plan{Drop: []access.Assignment{a2}}
	if err := f.apply(p, drop); err != nil {
		t.Fatal(err)
	}
	if err := f.apply(p, drop); !fault.Is(err, fault.Stale) {
		t.Errorf("dropped twice: %v", err)
	}
}

// I-5: whatever the rules say, the database refuses what lies above the ceiling;
// what people decided is not bound by it.
func testCeiling(t *testing.T, f *fixture) {
	p := f.person(north, "per_1", "one@north.example")
	above := func(err error) bool {
		return fault.Is(err, fault.Denied) && fault.ReasonOf(err) == store.ReasonAboveCeiling
	}
	for _, a := range []access.Assignment{
		byRule("asg_1", access.Administrator, "scp_fleet"), byRule("asg_1", access.Standard, "scp_host"), byRule("asg_1", access.Standard, ""),
		byRule("asg_1", access.Standard, "scp_far"), byRule("asg_1", access.Standard, "scp_unknown"),
	} {
		if err := f.apply(p, mapping.Plan{Give: []access.Assignment{a}}); !above(err) {
			t.Errorf("%s at %q: %v", a.Grant, a.Scope, err)
		}
	}
	mixed := byPeople("asg_1", access.Administrator, "scp_host")
	mixed.Sources = append(mixed.Sources, access.Source{Kind: access.SourceRule, ID: "rule"})
	if err := f.apply(p, mapping.Plan{Give: []access.Assignment{mixed}}); !above(err) {
		t.Errorf("a rule beside a request: %v", err)
	}
	requested := f.permitted(p, "asg_1", access.Administrator, "scp_host")
	if err := f.apply(p, mapping.Plan{Give: []access.Assignment{requested}}); err != nil {
		t.Errorf("people may: %v", err)
	}
	mixed.ID = "asg_1"
	if err := f.apply(p, mapping.Plan{Change: []mapping.Change{{From: requested, To: mixed}}}); !above(err) {
		t.Errorf("a rule joins a request: %v", err)
	}
	testLoweredCeiling(t, f, p)
}

// A pair that leaves the ceiling is refused at once to everything new, and goes
// when the last assignment that a rule gave under it has gone.
func testLoweredCeiling(t *testing.T, f *fixture, p store.Person) {
	held := byRule("asg_5", access.Standard, "scp_fleet")
	if err := f.apply(p, mapping.Plan{Give: []access.Assignment{held}}); err != nil {
		t.Fatal(err)
	}
	f.update(func(tx *store.Tx) error {
		return tx.PutCeiling(north, ceiling(access.Elevated))
	})
	q := f.person(north, "per_2", "two@north.example")
	fresh := byRule("asg_6", access.Standard, "scp_fleet")
	if err := f.apply(q, mapping.Plan{Give: []access.Assignment{fresh}}); !fault.Is(err, fault.Denied) {
		t.Errorf("given under a retired pair: %v", err)
	}
	if err := f.apply(p, mapping.Plan{Drop: []access.Assignment{held}}); err != nil {
		t.Fatal(err)
	}
	f.update(func(tx *store.Tx) error { return tx.PruneCeiling(north) })
	f.update(func(tx *store.Tx) error {
		return tx.PutCeiling(north, ceiling(access.Standard))
	})
	if err := f.apply(q, mapping.Plan{Give: []access.Assignment{fresh}}); err != nil {
		t.Errorf("given after the ceiling rose again: %v", err)
	}
}

func planOf(give ...access.Assignment) mapping.Plan { return mapping.Plan{Give: give} }

func dropOf(drop ...access.Assignment) mapping.Plan { return mapping.Plan{Drop: drop} }
