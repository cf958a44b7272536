package request

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// drawn draws a setting with a catalogue that may open anything by anything, a person and
// a wish.
func drawn(t *rapid.T, tr *access.Tree) (Setting, Holder, Wish) {
	s := Setting{Tree: tr, Now: noon, Catalogue: access.Catalogue{Grants: map[access.Grant]access.Terms{}}}
	flow := rapid.SampledFrom(access.Workflows())
	for _, g := range access.Grants() {
		if g.MaySignIn() && rapid.Bool().Draw(t, "own table") {
			ws := rapid.SliceOfNDistinct(flow, 0, 9, rapid.ID[access.Workflow]).Draw(t, "opens")
			risk := access.Risk(rapid.IntRange(0, 2).Draw(t, "risk"))
			s.Catalogue.Grants[g] = access.Terms{Workflows: &ws, Risk: &risk}
		}
	}
	scope := rapid.SampledFrom(tr.Under("host"))
	h := Holder{Party: Party{Connection: "ironbark", Person: "sam"}, Root: scope.Draw(t, "root")}
	if rapid.Bool().Draw(t, "certified") {
		h.Certification = access.Certification{Level: access.CertificationLevels()[0]}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "held") {
		a := access.Assignment{Grant: rapid.SampledFrom(access.Grants()).Draw(t, "grant"), Scope: scope.Draw(t, "at"), Standing: access.Guest}
		if i == 0 && rapid.Bool().Draw(t, "primary") {
			a.Standing = access.Primary
		}
		h.Held = append(h.Held, a)
	}
	w := Wish{Workflows: rapid.SliceOfNDistinct(flow, 1, 3, rapid.ID[access.Workflow]).Draw(t, "asked"), Area: scope.Draw(t, "area"), Reason: "R", Case: "C",
		Until: noon.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "days")) * day)}
	return s, h, w
}

// What is proposed opens all that is asked for; nothing that opens it opens less besides;
// it lies within the area, and nobody who is not certified becomes a technician.
func TestTheProposalIsTheSmallest(t *testing.T) {
	tr := tree(t)
	rapid.Check(t, func(t *rapid.T) {
		s, h, w := drawn(t, tr)
		o := Propose(s, h, w)
		certified := h.Certification.CertifiedAt(noon)
		mixed := slices.ContainsFunc(w.Workflows, administers)
		for _, g := range access.Grants() {
			c := as(s, w, g, o.Asked.Scope, o.Standing)
			opens := s.Catalogue.Opens(g, c.Flags, o.Standing)
			will := g.MaySignIn() && (certified || !g.NeedsCertification()) && len(without(w.Workflows, opens)) == 0 && (mixed || !slices.ContainsFunc(opens, administers))
			switch {
			case o.Asked.Grant == "" && will && o.Asked.Scope != "":
				t.Fatalf("nothing is proposed, though %s opens %v", g, w.Workflows)
			case o.Asked.Grant != "" && will && len(without(opens, w.Workflows)) < len(o.Beyond):
				t.Fatalf("%s opens less beyond what is asked than %s", g, o.Asked.Grant)
			}
		}
		if o.Asked.Grant == "" {
			if len(o.Refused) == 0 {
				t.Fatal("nothing is proposed, and nobody is told why")
			}
			return
		}
		if missing := without(w.Workflows, o.Opens); len(missing) > 0 {
			t.Fatalf("%v is not opened", missing)
		}
		if !tr.Covers(w.Area, o.Asked.Scope) || o.Asked.Grant.NeedsCertification() && !certified || !o.Asked.Until.Equal(w.Until) {
			t.Fatalf("%+v for %+v", o.Asked, w)
		}
		if o.Several && o.Need < 2 {
			t.Fatal("several customers by one approver")
		}
	})
}

// Whoever decides is an administrator at a scope that covers what is asked for, another
// person than the two, and holds what they decide by.
func TestNobodyOutsideDecides(t *testing.T) {
	tr := tree(t)
	scope, grant := rapid.SampledFrom(tr.Under("host")), rapid.SampledFrom(append(access.Grants(), access.Administrator, access.Administrator, access.Administrator, access.Administrator))
	person, mostly := rapid.SampledFrom([]access.PersonID{"", "sam", "ida", "ann", "ann", "ann"}), rapid.SampledFrom([]bool{true, true, true, false})
	decides := func(t *rapid.T) {
		r := Request{State: Open, DecideBy: noon.Add(day), For: Party{Connection: "c", Person: "sam"}, By: Party{Connection: "c", Person: "ida"},
			Asked:     Terms{Grant: access.Standard, Scope: scope.Draw(t, "target")},
			Approvers: rapid.SampledFrom([]mapping.Approvers{mapping.ScopeAdministrators, mapping.ServiceOwners}).Draw(t, "approvers")}
		who := Right{Operator: !mostly.Draw(t, "person"), Connection: "c", Person: person.Draw(t, "who"), Grant: grant.Draw(t, "grant"),
			Scope: scope.Draw(t, "at"), Manages: mostly.Draw(t, "manages"), Elsewhere: []access.ScopeID{scope.Draw(t, "elsewhere")}}
		if r.Eligible(tr, who) != nil {
			return
		}
		at, _ := tr.Scope(who.Scope)
		if who.Operator || who.Person != "ann" || who.Grant != access.Administrator || !who.Manages || !tr.Covers(who.Scope, r.Asked.Scope) ||
			r.Approvers == mapping.ServiceOwners && at.Level != access.Host {
			t.Fatalf("%+v decides about %+v", who, r)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 30 {
			decides(t)
		}
	})
}

// However many approve, and whatever they try, the result never opens, covers, shows or
// lasts more than any of them left, or than was asked for.
func TestApprovalsOnlyNarrow(t *testing.T) {
	tr := tree(t)
	scope, grant := rapid.SampledFrom(tr.Under("host")), rapid.SampledFrom(access.Grants())
	rapid.Check(t, func(t *rapid.T) {
		s, h, w := drawn(t, tr)
		o := Propose(s, h, w)
		if o.Asked.Grant == "" {
			return
		}
		r := Request{State: Open, DecideBy: noon.Add(day), For: h.Party, Asked: o.Asked, Standing: o.Standing, Wish: w, Need: 9}
		for i := range 4 {
			flags := access.Flags{Events: rapid.SampledFrom([]access.EventFlag{"", "standard", "restricted"}).Draw(t, "events"), Video: rapid.Bool().Draw(t, "video")}
			less := r.Result().Lessen(grant.Draw(t, "less"), scope.Draw(t, "at"), &flags, noon.Add(time.Duration(rapid.IntRange(-1, 120).Draw(t, "until"))*day))
			before := r.Result()
			got, err := r.Approve(s, Party{Person: access.PersonID(rune('a' + i))}, less)
			if err != nil {
				continue
			}
			for _, most := range []Terms{before, o.Asked} {
				if !got.Within(s, most, o.Standing) || !tr.Covers(most.Scope, got.Scope) || got.Until.After(most.Until) || got.Until.IsZero() {
					t.Fatalf("%+v is more than %+v", got, most)
				}
				a, b := s.Catalogue.Opens(got.Grant, got.Flags, o.Standing), s.Catalogue.Opens(most.Grant, most.Flags, o.Standing)
				if len(without(a, b)) > 0 {
					t.Fatalf("%v opens %v beyond", got, without(a, b))
				}
			}
			r.Approvals = append(r.Approvals, Approval{By: Party{Person: access.PersonID(rune('a' + i))}, Terms: got})
		}
	})
}

func TestWhoIsLastMustBeFollowed(t *testing.T) {
	admin := Terms{Grant: access.Administrator, Scope: "pacific", Until: noon.Add(day)}
	for _, c := range []struct {
		terms  Terms
		others bool
		want   bool
	}{
		{admin, false, true}, {admin, true, false},
		{Terms{Grant: access.Administrator, Scope: "pacific"}, false, false},
		{Terms{Grant: access.Elevated, Scope: "pacific", Until: noon.Add(day)}, false, false},
	} {
		if got := EndsLast(c.terms, c.others); got != c.want || (LastHint(tree(t), c.terms, c.others) != "") != c.want {
			t.Errorf("%+v, others %v: %v", c.terms, c.others, got)
		}
	}
	p := access.Permit{Grant: access.Administrator, Until: noon}
	for at, want := range map[time.Duration]bool{-HoldBefore - 1: false, -HoldBefore: true, -1: true, 0: false} {
		if got := (Request{State: Granted}).HoldsOver(p, false, noon.Add(at)); got != want {
			t.Errorf("%v before: %v", at, got)
		}
	}
	for _, r := range []Request{{State: Granted, ConfirmedLast: true}, {State: Granted, Successor: Party{Person: "per_1"}}, {State: Unconfirmed, Wish: Wish{BreakGlass: true}}, {State: Granted, Wish: Wish{BreakGlass: true}}} {
		if r.HoldsOver(p, false, noon.Add(-day)) {
			t.Errorf("held over without need: %+v", r)
		}
	}
	if (Request{State: Granted}).HoldsOver(p, true, noon.Add(-day)) {
		t.Error("held over beside others")
	}
}

func TestBothSidesAreReminded(t *testing.T) {
	until := noon
	for _, c := range []struct{ after, want time.Duration }{{-100 * time.Hour, -72 * time.Hour}, {-72 * time.Hour, -24 * time.Hour}, {-25 * time.Hour, -24 * time.Hour}} {
		if got := Remind(mapping.Requests{}, until, noon.Add(c.after)); !got.Equal(noon.Add(c.want)) {
			t.Errorf("after %v: %v", c.after, got.Sub(noon))
		}
	}
	if got := Remind(mapping.Requests{}, until, noon.Add(-24*time.Hour)); !got.IsZero() {
		t.Errorf("told again at %v", got)
	}
	if got := Remind(mapping.Requests{Remind: []time.Duration{}}, until, noon.Add(-100*time.Hour)); !got.IsZero() {
		t.Error("nobody asked for it")
	}
}

func TestUnconfirmedEndsByItself(t *testing.T) {
	r := Request{ID: "req_1", DecideBy: noon.Add(time.Hour), Asked: Terms{Grant: access.Standard, Until: noon.Add(4 * time.Hour)}}
	if p := r.Unconfirmed("prm_1", noon); !p.Until.Equal(noon.Add(time.Hour)) {
		t.Errorf("it ends at %v", p.Until)
	}
	r.DecideBy = noon.Add(5 * time.Hour)
	if p := r.Unconfirmed("prm_1", noon); !p.Until.Equal(r.Asked.Until) {
		t.Errorf("it ends at %v", p.Until)
	}
}
