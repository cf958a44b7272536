package steward

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/exception"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// given gives somebody something by a request that was approved by an operator's friend.
func (w *world) given(c access.ConnectionID, person access.PersonID, g access.Grant, path string, until time.Time) access.PermitID {
	w.t.Helper()
	now := w.clock.Now()
	t := access.Permit{ID: access.PermitID(credential.NewIDAt("prm", now)), Grant: g, Scope: w.scope(path), Flags: g.Floor(), Standing: access.Guest, Until: until,
		Kind: access.SourceRequest, Request: access.RequestID(credential.NewIDAt("req", now)), Case: "CASE-7", Given: now}
	q := request.Request{ID: t.Request, State: request.Granted, By: request.Party{Operator: "asha"}, For: request.Party{Connection: c, Person: person},
		Wish: request.Wish{Reason: "an incident", Case: "CASE-7"}, Asked: request.Terms{Grant: g, Scope: t.Scope, Until: until}, Need: 1,
		Approvals: []request.Approval{{By: request.Party{Operator: "lee"}, At: now, Terms: request.Terms{Grant: g, Scope: t.Scope, Until: until}}}, Created: now, DecideBy: now.Add(time.Hour), Permit: t.ID}
	err := w.bridge.Deciding(w.ctx, event.ByAdministrator, func(d *bridge.Deciding) error {
		dir, p, err := settledPerson(d, request.Right{Operator: true}, PersonRef{c, person})
		if err != nil {
			return err
		}
		if err := dir.PutPermit(p, t); err != nil {
			return err
		}
		if err := d.Tx().PutRequest(q); err != nil {
			return err
		}
		if err := d.Tx().AddApproval(q.ID, 0, q.Approvals[0]); err != nil {
			return err
		}
		return decideAnew(d, dir, p)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return t.ID
}

func (w *world) tickExceptions() {
	w.t.Helper()
	for more := true; more; {
		var err error
		if more, err = w.steward.TickExceptions(w.ctx); err != nil {
			w.t.Fatal(err)
		}
	}
}

// exceptions are all that somebody sees, read in small pages, as lines.
func (w *world) exceptions(a Actor, q ExceptionQuery) (all []ExceptionView, complete bool) {
	w.t.Helper()
	for q.Count = 2; ; {
		page, err := w.steward.Exceptions(w.ctx, a, q)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, page.Exceptions...)
		if q.After = page.Next; page.Next == "" {
			return all, page.Complete
		}
	}
}

func lines(all []ExceptionView) (said []string) {
	for _, x := range all {
		said = append(said, fmt.Sprintf("%s %s %s @ %s", x.Kind, x.For.DisplayName, x.Grant, x.Area.Path))
	}
	slices.Sort(said)
	return said
}

// Exceptions stand in the list from the transaction that makes them to the one that ends
// them; whoever looks sees those of their own scope.
func TestExceptionsAreListedWhereOneDecides(t *testing.T) {
	w := newWorld(t)
	boss := w.person(banksia, "boss", accountAdmins)
	kim := w.person(banksia, "kim", geelongManagers)
	w.tickExceptions()
	if all, complete := w.exceptions(operator, ExceptionQuery{}); len(all) != 0 || !complete {
		t.Fatalf("%v, complete: %t", lines(all), complete)
	}
	until := w.clock.Now().Add(48 * time.Hour)
	w.given(banksia, kim, access.Elevated, "boreal/tundra/lulea", until)
	all, _ := w.exceptions(operator, ExceptionQuery{})
	want := []string{"above_ceiling kim elevated @ boreal/tundra/lulea", "several_customers kim elevated @ boreal/tundra/lulea", "several_customers kim standard @ southern/banksia/geelong",
		"two_high_risk kim elevated @ boreal/tundra/lulea", "two_high_risk kim standard @ southern/banksia/geelong"}
	if got := lines(all); !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	for _, x := range all {
		if people := x.Area.Path == "boreal/tundra/lulea"; people != (x.By == "people") || people && (!slices.Equal(x.Owners, []string{"lee"}) || x.Reason != "an incident" || x.Case != "CASE-7" || !x.Until.Equal(until)) ||
			!people && !slices.Equal(x.Rules, []string{"banksia-managers"}) || x.Since.IsZero() || x.What == "" {
			t.Errorf("%+v", x)
		}
	}
	for _, x := range all { // the rule names no owner: who administers the area answers for it
		if x.By == "rules" && !slices.Equal(x.Owners, []string{"boss"}) {
			t.Errorf("%v answer for %s", x.Owners, x.What)
		}
	}
	own, _ := w.exceptions(w.acts(banksia, boss, access.Administrator), ExceptionQuery{})
	if got := lines(own); !slices.Equal(got, []string{"several_customers kim standard @ southern/banksia/geelong", "two_high_risk kim standard @ southern/banksia/geelong"}) {
		t.Errorf("the customer's administrator sees %q", got)
	}
	for _, x := range own {
		if text := fmt.Sprintf("%+v", x); !x.Beyond || strings.Contains(text, "tundra") || strings.Contains(text, "banksia-managers") || strings.Contains(text, "boreal") {
			t.Errorf("it shows what lies elsewhere: %s", text)
		}
	}
	if one, _ := w.exceptions(operator, ExceptionQuery{Kind: exception.AboveCeiling, Area: "boreal"}); len(one) != 1 {
		t.Errorf("%q", lines(one))
	}
	w.clock.Add(48 * time.Hour) // nothing works in the background
	if all, _ := w.exceptions(operator, ExceptionQuery{}); slices.ContainsFunc(all, func(x ExceptionView) bool { return x.By == "people" }) {
		t.Errorf("what is over is listed: %q", lines(all))
	}
	if _, err := w.bridge.Recompute(w.ctx); err != nil {
		t.Fatal(err)
	}
	if all, _ := w.exceptions(operator, ExceptionQuery{}); len(all) != 0 {
		t.Errorf("%q", lines(all))
	}
}

func TestWhoDecidesNowhereIsToldSo(t *testing.T) {
	w := newWorld(t)
	kim := w.person(banksia, "kim", geelongManagers)
	if _, err := w.steward.Exceptions(w.ctx, w.acts(banksia, kim, access.Standard), ExceptionQuery{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("an empty list by accident: %v", err)
	}
	for _, q := range []ExceptionQuery{{Kind: "nice"}, {After: "!"}, {After: "eA"}} {
		if _, err := w.steward.Exceptions(w.ctx, operator, q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if _, err := w.steward.Exceptions(w.ctx, operator, ExceptionQuery{Area: "nowhere"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// While everybody is being looked at anew, the list says so.
func TestTheListSaysThatItIsNotComplete(t *testing.T) {
	w := newWorld(t)
	kim := w.person(banksia, "kim", geelongManagers)
	w.join(banksia, string(kim), "GL Hobart Managers")
	w.tickExceptions()
	if got, _ := w.exceptions(operator, ExceptionQuery{}); len(got) != 2 {
		t.Fatalf("%q", lines(got)) // two with video
	}
	p := worldPolicy(t)
	low := access.RiskLow
	p.Catalogue.Video = &low
	w.apply(p)
	page, err := w.steward.Exceptions(w.ctx, operator, ExceptionQuery{})
	if err != nil || page.Complete || page.People == 0 || page.Looked != 0 {
		t.Errorf("%+v, %v", page, err)
	}
	w.tickExceptions()
	if page, err = w.steward.Exceptions(w.ctx, operator, ExceptionQuery{}); err != nil || !page.Complete || len(page.Exceptions) != 0 {
		t.Errorf("%+v, %v", page, err)
	}
	// A policy that finds nothing else takes no walk.
	p.Rules = slices.DeleteFunc(p.Rules, func(r mapping.RuleSource) bool { return r.ID == "tundra-office" })
	w.apply(p)
	if more, err := w.steward.TickExceptions(w.ctx); more || err != nil {
		t.Errorf("everybody is looked at: %v", err)
	}
	if page, err = w.steward.Exceptions(w.ctx, operator, ExceptionQuery{}); err != nil || !page.Complete {
		t.Errorf("%+v, %v", page, err)
	}
}

// Whatever happened before, what is listed is what is found in everybody at once.
func TestListedIsWhatIsFound(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { listedIsFound(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func listedIsFound(t *testing.T, r *rand.Rand) {
	w := newWorld(t)
	type who struct {
		c access.ConnectionID
		p access.PersonID
	}
	groups := map[access.ConnectionID][]string{banksia: {accountAdmins, hobartAdmins, geelongManagers, "GL Hobart Managers", contacts}, southern: {providerAdmins, "Service Desk", installers}, tundra: {"gl-lulea-ops", "gl-tromso-ops", "gl-safety"}}
	var all []who
	for i := range 4 {
		for c := range groups {
			all = append(all, who{c, w.person(c, fmt.Sprintf("p%d", i))})
		}
	}
	slices.SortFunc(all, func(a, b who) int { return strings.Compare(string(a.p), string(b.p)) })
	paths := []string{"southern", "southern/banksia", "southern/banksia/hobart", "southern/reefline/cairns", "boreal/tundra/lulea", "boreal/tundra"}
	grants := []access.Grant{access.Associate, access.Standard, access.Elevated, access.Administrator}
	p := worldPolicy(t)
	for range 40 {
		x := all[r.IntN(len(all))]
		switch r.IntN(9) {
		case 0, 1, 2:
			w.join(x.c, string(x.p), groups[x.c][r.IntN(len(groups[x.c]))])
		case 3, 4:
			var until time.Time
			if r.IntN(3) > 0 {
				until = w.clock.Now().Add(time.Duration(1+r.IntN(40)) * time.Hour)
			}
			if w.active(x.c, x.p) {
				w.given(x.c, x.p, grants[r.IntN(len(grants))], paths[r.IntN(len(paths))], until)
			}
		case 5:
			w.activate(x.c, x.p, r.IntN(2) == 0)
		case 6:
			w.clock.Add(time.Duration(r.IntN(20)) * time.Hour)
		case 7:
			risk := access.Risk(r.IntN(3))
			p.Catalogue.Video = &risk
			p.Connections[r.IntN(len(p.Connections))].Ceiling.Grants = access.Grants()
			w.apply(p)
		case 8:
			if _, err := w.steward.TickExceptions(w.ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for done := 1; done > 0; {
		var err error
		if done, err = w.bridge.Recompute(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.tickExceptions()
	found := 0
	for _, x := range all {
		found += w.sameExceptions(x.c, x.p)
	}
	listed, complete := w.exceptions(operator, ExceptionQuery{})
	if len(listed) != found || !complete {
		t.Errorf("%d listed, %d found, complete: %t", len(listed), found, complete)
	}
	t.Logf("%d exceptions", found)
}

func (w *world) active(c access.ConnectionID, id access.PersonID) (active bool) {
	w.t.Helper()
	err := w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(c)
		if err != nil {
			return err
		}
		p, err := dir.Person(id)
		active = p.Active
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return active
}

// sameExceptions compares what is listed of somebody with what is found, and counts it.
func (w *world) sameExceptions(c access.ConnectionID, id access.PersonID) (n int) {
	w.t.Helper()
	err := w.bridge.Reading(w.ctx, func(v *store.View, p *mapping.Policy, now time.Time) error {
		dir, err := v.In(c)
		if err != nil {
			return err
		}
		who, err := dir.Person(id)
		if err != nil {
			return err
		}
		had, err := dir.ExceptionsOf(who)
		if err != nil {
			return err
		}
		found, err := bridge.ExceptionsIn(v, dir, p, who, now)
		if !slices.EqualFunc(had, found, sameFound) {
			w.t.Errorf("of %s are listed\n%+v\nand found\n%+v", id, had, found)
		}
		n = len(found)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}
