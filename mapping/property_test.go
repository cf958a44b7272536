package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// draw makes rules, facts and holdings over the scopes of pacific().
type draw struct{ *rapid.T }

func (d draw) rules() []RuleSource {
	groups := []string{"A", "B", "C", "GL {fleet} Managers", "All {account}"}
	paths := []string{"pacific", "pacific/ironbark", "pacific/ironbark/adelaide", "pacific/coral/cairns", "nordic", ".",
		"pacific/ironbark/{fleet}", "pacific/{account}", "pacific/{account}/{fleet}"}
	target := rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SampledFrom(access.Grants()).Draw(t, "grant")) + " @ " + rapid.SampledFrom(paths).Draw(t, "path")
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) RuleSource {
		r := RuleSource{
			ID:    rapid.StringMatching(`[a-z]{6}`).Draw(t, "id"),
			From:  rapid.SampledFrom(connections()).Draw(t, "from").ID,
			Give:  target.Draw(t, "give"),
			Guest: rapid.SliceOfN(target, 0, 2).Draw(t, "guest"),
			Flags: access.Flags{Events: rapid.SampledFrom([]access.EventFlag{"", "standard", "restricted"}).Draw(t, "events"), Video: rapid.Bool().Draw(t, "video")},
			For:   rapid.SampledFrom([]time.Duration{0, time.Hour, 240 * time.Hour}).Draw(t, "for"),
			Mode:  rapid.SampledFrom([]Mode{"", Enforce, Shadow}).Draw(t, "mode"),
			When:  rapid.SampledFrom(drawnConditions).Draw(t, "when"),
		}
		refs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) GroupRef {
			if rapid.IntRange(0, 4).Draw(t, "by id") == 0 {
				return GroupRef{GroupID: "oid-7"}
			}
			return GroupRef{Group: rapid.SampledFrom(groups).Draw(t, "of")}
		}), 1, 3)
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0:
			r.All = refs.Draw(t, "all")
		case 1:
			r.Any = refs.Draw(t, "any")
		default:
			r.Group = rapid.SampledFrom(groups).Draw(t, "group")
		}
		if rapid.IntRange(0, 2).Draw(t, "excludes") == 0 {
			r.None = refs.Draw(t, "none")
		}
		for _, at := range []*time.Time{&r.NotBefore, &r.Until, &r.Expires} {
			if rapid.IntRange(0, 3).Draw(t, "timed") == 0 {
				*at = draw{t}.instant("at")
			}
		}
		return r
	}), 0, 8).Draw(d.T, "rules")
}

var drawnConditions = []string{"", "", "", "in_support", "!in_support", "lasting", "attr.issued <= now && in_support", `has(attr.department) || now > attr.issued`,
	`"B" in user.groups`, `!(fold("c") in user.folded_groups)`, `size(user.groups) > 2`, `"standard" in attr.roles`, `attr.number / (attr.number - 7) > 0`}

// policies are drawn once: compiling is what takes time.
var policies = sync.OnceValue(func() []*Policy {
	all := make([]*Policy, 150)
	for i := range all {
		all[i] = rapid.Custom(func(t *rapid.T) *Policy { return draw{t}.compiled() }).Example(i)
	}
	return all
})

func (d draw) policy() *Policy { return rapid.SampledFrom(policies()).Draw(d.T, "policy") }

// compiled keeps the rules that compile.
func (d draw) compiled() *Policy {
	good := []RuleSource{
		{ID: "base-1", From: "ironbark-entra", Group: "GL {fleet} Managers", Give: "standard @ pacific/ironbark/{fleet}"},
		{ID: "base-2", From: "pacific-entra", Group: "All {account}", Give: "technician @ pacific/{account}", For: 100 * time.Hour},
		{ID: "base-3", From: "ironbark-entra", GroupID: "oid-7", Give: "associate @ pacific/ironbark"},
	}
	rules := append(good, d.rules()...)
	for {
		p, err := Compile(asking(rules...))
		if err == nil {
			return p
		}
		wrong := map[string]bool{}
		for _, f := range err.(Faults) {
			wrong[f.Rule] = true
		}
		if wrong[""] {
			d.Fatal(err)
		}
		rules = slices.DeleteFunc(rules, func(r RuleSource) bool { return wrong[r.ID] })
	}
}

func (d draw) instant(name string) time.Time {
	return noon.Add(time.Duration(rapid.IntRange(-30*24, 30*24).Draw(d.T, name)) * time.Hour)
}

func (d draw) facts() Facts {
	names := []string{"GL Adelaide Managers", "GL Fremantle Managers", "GL twin-1 managers", "All Coral", "A", "b", "C", "GL perth managers", "GL Twin Managers", "GL nowhere Managers", "All Ironbark"}
	f := Facts{
		Connection: rapid.SampledFrom(connections()).Draw(d.T, "connection").ID, Person: "per_1",
		Active: rapid.IntRange(0, 9).Draw(d.T, "active") > 0,
	}
	f.Certification.Level = rapid.SampledFrom([]string{"", "Trainer", "Apprentice"}).Draw(d.T, "level")
	if rapid.Bool().Draw(d.T, "dated") {
		f.Certification.Until = d.instant("certified until")
	}
	f.Attributes = map[string]any{}
	for name, values := range map[string][]any{"department": {"Support", "Sales"}, "roles": {[]any{"standard"}, []any{"x", "y"}}, "number": {int64(7), int64(8)}} {
		if rapid.Bool().Draw(d.T, "has") {
			f.Attributes[name] = rapid.SampledFrom(values).Draw(d.T, name)
		}
	}
	if rapid.Bool().Draw(d.T, "has issued") {
		f.Attributes["issued"] = d.instant("issued")
	}
	for i, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 6, rapid.ID[string]).Draw(d.T, "groups") {
		f.Memberships = append(f.Memberships, Membership{Group: access.GroupID(fmt.Sprintf("g%d", i)), Name: n, Since: d.instant("since"),
			ExternalID: rapid.SampledFrom([]string{"", "oid-7", "OID-7"}).Draw(d.T, "externalId"), Shared: rapid.Bool().Draw(d.T, "shared")})
	}
	return f
}

// held is what a person may hold: given by people, or by a rule that is gone.
func (d draw) held() []access.Assignment {
	scopes := []access.ScopeID{"pac", "iron", "adl", "per", "cns"}
	source := rapid.Custom(func(t *rapid.T) access.Source {
		s := access.Source{
			Kind:     rapid.SampledFrom([]access.SourceKind{access.SourceRule, access.SourceRequest, access.SourceAdministrator}).Draw(t, "kind"),
			ID:       rapid.StringMatching(`[a-z]{2}`).Draw(t, "id"),
			Standing: rapid.SampledFrom([]access.Standing{access.Primary, access.Guest}).Draw(t, "standing"),
			Flags:    access.Flags{Video: rapid.Bool().Draw(t, "video")},
		}
		if rapid.Bool().Draw(t, "ends") {
			s.Until = draw{t}.instant("until")
		}
		if rapid.Bool().Draw(t, "begins") {
			s.NotBefore = draw{t}.instant("from")
		}
		return s
	})
	var held []access.Assignment
	taken := map[Pair]bool{}
	for i := range rapid.IntRange(0, 5).Draw(d.T, "held") {
		at := Pair{rapid.SampledFrom(access.Grants()).Draw(d.T, "grant"), rapid.SampledFrom(scopes).Draw(d.T, "scope")}
		if taken[at] {
			continue
		}
		taken[at] = true
		var sources []access.Source
		for _, s := range rapid.SliceOfN(source, 1, 3).Draw(d.T, "sources") {
			sources = addSource(sources, s)
		}
		a := unite(at, sources, noon)
		a.ID, a.Person, a.Standing = access.AssignmentID(fmt.Sprintf("asg_%d", i)), "per_1", access.Guest
		if i == 0 {
			a.Standing = access.Primary
		}
		held = append(held, a)
	}
	return held
}

// TestI5NothingGivenIsAboveTheCeiling holds for every rule that compiles, every
// person and every instant.
func TestI5NothingGivenIsAboveTheCeiling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f := d.policy(), d.facts()
		c, _ := p.Connection(f.Connection)
		for _, w := range Evaluate(p, f, d.instant("now")).Want {
			if !c.Ceiling.Allows(p.Tree(), w.Grant, w.Scope) {
				t.Fatalf("%s is above the ceiling of %s", p.Describe(w.Grant, w.Scope), c.ID)
			}
		}
	})
}

// TestDecideWantsWhatEvaluateWants: leaving the reasons out changes nothing else.
func TestDecideWantsWhatEvaluateWants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now := d.policy(), d.facts(), d.instant("now")
		want := Evaluate(p, f, now)
		want.Reasons = nil
		if got := Decide(p, f, now); !reflect.DeepEqual(got, want) {
			t.Fatalf("Decide says %+v, Evaluate %+v", got, want)
		}
	})
}

// TestI5CompileRefusesWhatCouldRiseAboveTheCeiling proves that the second check in
// Evaluate is never the one that decides.
func TestI5CompileRefusesWhatCouldRiseAboveTheCeiling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f := d.policy(), d.facts()
		for _, r := range Evaluate(p, f, d.instant("now")).Reasons {
			if r.Code == AboveCeiling {
				t.Fatalf("compiled, and yet above the ceiling: %+v", r)
			}
		}
	})
}

// TestI5EvaluateChecksTheCeilingAgain: a policy that got round Compile gives
// nothing above the ceiling, and says so.
func TestI5EvaluateChecksTheCeilingAgain(t *testing.T) {
	p := compile(t, RuleSource{ID: "wide", From: "ironbark-entra", Group: "A", Give: "standard @ pacific/ironbark"})
	c := p.connections["ironbark-entra"]
	c.Ceiling.Scope = "adl"
	p.connections[c.ID] = c
	d := Evaluate(p, Facts{Connection: c.ID, Active: true, Memberships: []Membership{{Group: "g1", Name: "A"}}}, noon)
	if len(d.Want) != 0 || len(d.Reasons) != 1 || d.Reasons[0].Code != AboveCeiling || !d.Reasons[0].Near {
		t.Errorf("want nothing, above the ceiling: %+v", d)
	}
}

func TestTheOrderOfMembershipsDoesNotCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now := d.policy(), d.facts(), d.instant("now")
		one := Evaluate(p, f, now)
		f.Memberships = rapid.Permutation(f.Memberships).Draw(t, "order")
		if two := Evaluate(p, f, now); !reflect.DeepEqual(one, two) {
			t.Fatalf("%+v\n%+v", one, two)
		}
	})
}

func TestAtMostOnePrimary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now := d.policy(), d.facts(), d.instant("now")
		after := p.Diff(d.held(), Evaluate(p, f, now).Want, d.decided(), now).After()
		var primary []access.Assignment
		for _, a := range after {
			if a.Standing == access.Primary {
				primary = append(primary, a)
			}
		}
		if len(primary) > 1 {
			t.Fatalf("%d primaries: %+v", len(primary), primary)
		}
		if len(primary) == 1 && !primary[0].ValidAt(now) {
			t.Fatalf("the primary place is taken by what is not valid: %+v", primary[0])
		}
	})
}

func TestDiffAfterDiffIsEmpty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now := d.policy(), d.facts(), d.instant("now")
		want := Evaluate(p, f, now).Want
		by := d.decided()
		plan := p.Diff(d.held(), want, by, now)
		if again := p.Diff(plan.After(), want, by, now); !again.Empty() {
			t.Fatalf("first %+v\nthen %+v", plan, again)
		}
	})
}

// TestWhatWasOverIsNotHeldOn: who was decided at one instant, and then at another, holds
// by its id only what something gave at every instant between.
func TestWhatWasOverIsNotHeldOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, one, two, by := d.policy(), d.instant("one"), d.instant("two"), d.decided()
		if two.Before(one) {
			one, two = two, one
		}
		held := p.Diff(nil, nil, by, one).After()
		for i := range held {
			held[i].ID = access.AssignmentID(fmt.Sprintf("asg_%d", i))
		}
		for _, a := range p.Diff(held, nil, by, two).After() {
			for at := one; a.ID != "" && at.Before(two); at = at.Add(30 * time.Minute) {
				valid := func(s access.Source) bool { return s.ValidAt(at) }
				was := held[slices.IndexFunc(held, func(h access.Assignment) bool { return h.ID == a.ID })]
				if was.ValidAt(one) && !slices.ContainsFunc(was.Sources, valid) {
					t.Fatalf("%+v was not held at %v", a, at)
				}
			}
		}
	})
}

// TestADecisionHoldsUntilItsEnd: between now and ValidUntil nothing else is wanted,
// and at ValidUntil something is.
func TestADecisionHoldsUntilItsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now := d.policy(), d.facts(), d.instant("now")
		one := Evaluate(p, f, now)
		then := one.ValidUntil.Add(-time.Nanosecond)
		if one.ValidUntil.IsZero() {
			then = now.AddDate(50, 0, 0)
		} else if !one.ValidUntil.After(now) {
			t.Fatalf("the decision is over when it is made: %v, %v", one.ValidUntil, now)
		}
		if two := Evaluate(p, f, then); !reflect.DeepEqual(one.Want, two.Want) {
			t.Fatalf("at %v:\n%+v\nat %v:\n%+v", now, one.Want, then, two.Want)
		}
		timed := slices.ContainsFunc(p.Rules(), func(r RuleInfo) bool { return r.When != "" || !r.NotBefore.IsZero() })
		if at := one.ValidUntil; !at.IsZero() && !timed && reflect.DeepEqual(one.Want, Evaluate(p, f, at).Want) {
			t.Fatalf("nothing ends at %v", at)
		}
	})
}

// TestWhatDoesNotFeedCannotMatch: LooksAt may say yes too often, never no.
func TestWhatDoesNotFeedCannotMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now := d.policy(), d.facts(), d.instant("now")
		for _, r := range Evaluate(p, f, now).Reasons {
			fed := slices.Contains([]Code{Matched, ShadowOnly, TimeOver, NotCertified, CertificateLapsed}, r.Code)
			external := ""
			for _, m := range f.Memberships {
				if m.Group == r.GroupID {
					external = m.ExternalID
				}
			}
			if fed && !p.LooksAt(f.Connection, r.Group, external) {
				t.Fatalf("%+v, but nobody looks at that group", r)
			}
		}
	})
}

// TestGroupsThatNobodyLooksAtDoNotCount: a change of members of a group that LooksAt
// waves through changes no decision.
func TestGroupsThatNobodyLooksAtDoNotCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now := d.policy(), d.facts(), d.instant("now")
		less := f
		less.Memberships = slices.DeleteFunc(slices.Clone(f.Memberships), func(m Membership) bool { return !p.LooksAt(f.Connection, m.Name, m.ExternalID) })
		if one, two := Decide(p, f, now), Decide(p, less, now); !reflect.DeepEqual(one, two) {
			t.Fatalf("%+v\n%+v", one, two)
		}
	})
}

// TestWhomAChangeDoesNotReachIsDecidedAsBefore: whatever changes in rules, their order,
// conditions and the tree.
func TestWhomAChangeDoesNotReachIsDecidedAsBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now := d.policy(), d.facts(), d.instant("now")
		src := p.Source()
		src.Rules = rapid.Permutation(src.Rules).Draw(t, "order")
		src.Rules = src.Rules[:len(src.Rules)-rapid.IntRange(0, 2).Draw(t, "fewer")]
		if rapid.Bool().Draw(t, "a fleet") {
			src.Scopes = append(slices.Clone(src.Scopes), access.Scope{ID: "syd", Slug: "sydney", Level: access.Fleet, Name: "Nowhere", Parent: "iron"})
		}
		if rapid.Bool().Draw(t, "another condition") {
			src.Conditions = slices.Clone(src.Conditions)
			src.Conditions[0].CEL = `attr.department == "Sales"`
		}
		q, err := Compile(src)
		if err != nil {
			t.Skip(err)
		}
		reach := Changed(p, q, f.Connection)
		if slices.ContainsFunc(f.Memberships, func(m Membership) bool { return reach.Touches(m.Name, m.ExternalID) }) {
			return
		}
		if one, two := Decide(p, f, now), Decide(q, f, now); !reflect.DeepEqual(one.Want, two.Want) {
			t.Fatalf("not reached, and yet\n%+v\n%+v", one, two)
		}
	})
}

// TestTheSameIsSaidInTheSameBytes: whatever the order of maps and memberships.
func TestTheSameIsSaidInTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		p, f, now := d.policy(), d.facts(), d.instant("now")
		again, err := Compile(p.Source())
		if err != nil {
			t.Fatal(err)
		}
		one, _ := json.Marshal(Evaluate(p, f, now))
		f.Memberships = rapid.Permutation(f.Memberships).Draw(t, "order")
		f.Attributes = maps.Clone(f.Attributes)
		if two, _ := json.Marshal(Evaluate(again, f, now)); !bytes.Equal(one, two) {
			t.Fatalf("%s\n%s", one, two)
		}
	})
}

func TestNextChangeIsTheNextInstantAtWhichSomethingBeginsOrEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := draw{t}
		held, now := d.held(), d.instant("now")
		next := NextChange(held, now)
		if !next.IsZero() && !next.After(now) {
			t.Fatalf("%v is not after %v", next, now)
		}
		then := next.Add(-time.Nanosecond)
		if next.IsZero() {
			then = now.AddDate(1, 0, 0)
		}
		for _, a := range held {
			for _, s := range a.Sources {
				if s.ValidAt(now) != s.ValidAt(then) {
					t.Fatalf("%+v changes before %v", s, next)
				}
			}
		}
	})
}

// TestDiffComparesEveryField fails when a field is added to what Diff compares:
// teach same and sameSource about it, then this list.
func TestDiffComparesEveryField(t *testing.T) {
	for _, c := range []struct {
		of     any
		fields []string
	}{
		{access.Assignment{}, []string{"ID", "Person", "Grant", "Scope", "Flags", "Standing", "NotBefore", "Until", "Sources", "LastUsed"}}, // LastUsed: kept, not compared
		{access.Source{}, []string{"Kind", "ID", "Group", "Standing", "Flags", "NotBefore", "Until"}},
		{Wanted{}, []string{"Grant", "Scope", "Flags", "Standing", "Until", "Sources"}},
	} {
		typ := reflect.TypeOf(c.of)
		var has []string
		for i := range typ.NumField() {
			has = append(has, typ.Field(i).Name)
		}
		if !slices.Equal(has, c.fields) {
			t.Errorf("%s has %v, compared are %v", typ, has, c.fields)
		}
	}
}

func TestSourcesThatDifferInAnyFieldAreWrittenAnew(t *testing.T) {
	base := access.Source{Kind: access.SourceRequest, ID: "r1", Group: "g1", Standing: access.Guest, NotBefore: noon, Until: noon.Add(time.Hour)}
	for name, change := range map[string]func(*access.Source){
		"Kind":      func(s *access.Source) { s.Kind = access.SourceRule },
		"ID":        func(s *access.Source) { s.ID = "r2" },
		"Group":     func(s *access.Source) { s.Group = "g2" },
		"Standing":  func(s *access.Source) { s.Standing = access.Primary },
		"Flags":     func(s *access.Source) { s.Flags.Video = true },
		"NotBefore": func(s *access.Source) { s.NotBefore = noon.Add(time.Second) },
		"Until":     func(s *access.Source) { s.Until = time.Time{} },
	} {
		other := base
		change(&other)
		if sameSource(base, other) {
			t.Errorf("%s is not compared", name)
		}
	}
	abroad := base
	abroad.Until = base.Until.In(time.FixedZone("AEDT", 11*3600))
	if !sameSource(base, abroad) {
		t.Error("the same instant in another zone is the same")
	}
}

func TestLeavingDropsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		held := draw{t}.held()
		p := DropAll(held)
		if len(p.Drop) != len(held) || len(p.After()) != 0 {
			t.Fatalf("%+v", p)
		}
	})
}
