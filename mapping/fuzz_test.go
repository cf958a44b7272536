package mapping

import (
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// FuzzTarget: what parses as "grant @ path" is a known grant at a path no longer
// than the tree is deep, and parses the same when it is written again.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"standard @ pacific/ironbark/{fleet}", "associate@.", "elevated @ {service_provider}/{account}", "standard @ a//b", "x @ y @ z", "standard @ {fleet", "standard @ ..", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		one, unknown, err := parseTarget(text)
		if err != nil || unknown != nil {
			return
		}
		if !one.grant.Known() || len(one.path) > 3 {
			t.Fatalf("%q became %+v", text, one)
		}
		path := "."
		for _, s := range one.path {
			path = s.under(path)
		}
		two, unknown, err := parseTarget(string(one.grant) + " @ " + path)
		if err != nil || unknown != nil || len(two.path) != len(one.path) || two.grant != one.grant {
			t.Fatalf("%q is written %q: %v", text, path, err)
		}
	})
}

// FuzzPattern: a name made by filling a pattern fits it; no name and no pattern
// takes the matcher down.
func FuzzPattern(f *testing.F) {
	f.Add("GL {fleet} Managers", "adelaide", "GL Adelaide Managers")
	f.Add("{account}{fleet}", "a", "ab")
	f.Add("{fleet}", "x", "")
	f.Add("a}b", "", "a}b")
	f.Add("{fleet}a{account}a", "a", "aaaa")
	f.Fuzz(func(t *testing.T, text, captured, name string) {
		p, err := parsePattern(text)
		if err != nil {
			return
		}
		p.fits(schema.Fold(name))
		p.squashed().fits(squash(schema.Fold(name)))
		if captured = schema.Fold(captured); captured == "" {
			return
		}
		bound := map[access.Level]string{access.ServiceProvider: captured, access.Account: captured, access.Fleet: captured}
		var raw strings.Builder
		for _, x := range p {
			raw.WriteString(x.literal + bound[x.capture])
		}
		if filled := p.fill(bound); filled == raw.String() && !p.fits(filled) {
			t.Fatalf("%q does not fit %q", filled, text)
		}
	})
}

// FuzzEvaluate: no group name, however odd, makes a rule give more than one fleet.
func FuzzEvaluate(f *testing.F) {
	p := compile(f, RuleSource{ID: "m", From: "ironbark-entra", Group: "GL {fleet} Managers", Give: "standard @ pacific/ironbark/{fleet}"})
	for _, s := range []string{"GL Adelaide Managers", "GL  Managers", "GL Managers", "gl {fleet} managers", "GL adelaide/../perth Managers", "\xff", strings.Repeat("GL ", 1000)} {
		f.Add(s, "id")
	}
	f.Fuzz(func(t *testing.T, name, id string) {
		d := Evaluate(p, Facts{Connection: "ironbark-entra", Active: true, Memberships: []Membership{{Group: "g1", Name: name, ExternalID: id}}}, noon)
		if len(d.Want) > 1 || len(d.Reasons) != 1 {
			t.Fatalf("%+v", d)
		}
		if len(d.Want) == 1 && !p.LooksAt("ironbark-entra", name, id) {
			t.Fatalf("%q feeds a rule that does not look at it", name)
		}
	})
}
