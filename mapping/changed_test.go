package mapping

import (
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Whom a change of the policy may concern: as few as can be told.
func TestWhomAChangeReaches(t *testing.T) {
	before := func() PolicySource {
		src := asking(
			RuleSource{ID: "a", From: "ironbark-entra", Group: "A", Give: "standard @ pacific/ironbark"},
			RuleSource{ID: "b", From: "ironbark-entra", Any: []GroupRef{{Group: "B"}, {GroupID: "oid-b"}}, None: []GroupRef{{Group: "X"}}, Give: "elevated @ pacific/ironbark", When: "in_support"},
			RuleSource{ID: "fleets", From: "ironbark-entra", Group: "GL {fleet} Managers", Give: "standard @ pacific/ironbark/{fleet}"},
			RuleSource{ID: "c", From: "ironbark-entra", Group: "C", Give: "technician @ pacific/ironbark"},
			RuleSource{ID: "else", From: "pacific-entra", Group: "A", Give: "standard @ pacific"},
			RuleSource{ID: "only", From: "ironbark-entra", Group: "S", Give: "standard @ pacific/ironbark", Mode: Shadow},
		)
		src.Scopes = slices.Clone(src.Scopes)
		return src
	}
	fleet := access.Scope{ID: "syd", Slug: "sydney", Level: access.Fleet, Name: "Sydney Yard", Parent: "iron"}
	for name, c := range map[string]struct {
		change func(*PolicySource)
		groups []string // those that are touched, of all below
		nobody bool
	}{
		"nothing":            {func(*PolicySource) {}, nil, true},
		"a note":             {func(s *PolicySource) { s.Rules[0].Note, s.Rules[1].Owner, s.Rules[2].Pos = "x", "y", Pos{Line: 9} }, nil, true},
		"another connection": {func(s *PolicySource) { s.Rules[4].Give = "elevated @ pacific" }, nil, true},
		"a shadow":           {func(s *PolicySource) { s.Rules[5].Give = "elevated @ pacific/ironbark" }, nil, true},
		"a shadow enforced":  {func(s *PolicySource) { s.Rules[5].Mode = Enforce }, []string{"S"}, false},
		"a flag":             {func(s *PolicySource) { s.Rules[0].Flags.Video = true }, []string{"A"}, false},
		"a rule less":        {func(s *PolicySource) { s.Rules = slices.Delete(s.Rules, 1, 2) }, []string{"B", "oid-b"}, false},
		"a rule more": {func(s *PolicySource) {
			s.Rules = append(s.Rules, RuleSource{ID: "n", From: "ironbark-entra", Group: "N", Give: "standard @ pacific/ironbark"})
		}, []string{"N"}, false},
		"whom a rule excludes":    {func(s *PolicySource) { s.Rules[1].None[0].Group = "Y" }, []string{"B", "oid-b"}, false},
		"a condition":             {func(s *PolicySource) { s.Conditions[0].CEL = "true" }, []string{"B", "oid-b"}, false},
		"what a condition is of":  {func(s *PolicySource) { s.Attributes[0].From = "title" }, []string{"B", "oid-b"}, false},
		"a condition nobody uses": {func(s *PolicySource) { s.Conditions[1].CEL = "true" }, nil, true},
		"the first rule last":     {func(s *PolicySource) { s.Rules = append(s.Rules[1:], s.Rules[0]) }, []string{"A"}, false},
		"trust":                   {func(s *PolicySource) { s.Connections[0].TrustsCertification = true }, []string{"C"}, false},
		"a contact":               {func(s *PolicySource) { s.Connections[0].Contact = "it@ironbark.example" }, nil, true},
		"a fleet more":            {func(s *PolicySource) { s.Scopes = append(s.Scopes, fleet) }, []string{"GL Sydney Managers", "GL sydney yard managers"}, false},
		"a fleet renamed":         {func(s *PolicySource) { s.Scopes[3].Name = "Adelaide North" }, []string{"GL Adelaide Depot Managers"}, false},
		"a fleet elsewhere":       {func(s *PolicySource) { s.Scopes[8].Name = "Adelaide North" }, nil, false},
	} {
		src := before()
		c.change(&src)
		p, err := Compile(before())
		if err != nil {
			t.Fatal(err)
		}
		q, err := Compile(src)
		if err != nil {
			t.Fatal(name, err)
		}
		reach := Changed(p, q, "ironbark-entra")
		var touched []string
		for _, g := range []string{"A", "B", "C", "S", "N", "X", "Y", "GL Adelaide Managers", "GL Adelaide Depot Managers", "GL Sydney Managers", "GL sydney yard managers", "GL Nowhere Managers"} {
			if reach.Touches(g, "") {
				touched = append(touched, g)
			}
		}
		if reach.Touches("", "oid-b") {
			touched = append(touched, "oid-b")
		}
		if !slices.Equal(touched, c.groups) || reach.Nobody() != c.nobody || reach.Everybody {
			t.Errorf("%s touches %q (nobody: %v, everybody: %v), want %q", name, touched, reach.Nobody(), reach.Everybody, c.groups)
		}
	}
	p, _ := Compile(before())
	if !Changed(nil, p, "ironbark-entra").Everybody || Changed(p, p, "nobody").Everybody {
		t.Error("a first policy is new to everybody, and to nobody whom it does not know")
	}
	less := before()
	less.Connections, less.Rules = less.Connections[1:], less.Rules[4:5]
	less.Attributes, less.Conditions = nil, nil
	q, err := Compile(less)
	if err != nil || !Changed(p, q, "ironbark-entra").Everybody {
		t.Errorf("a connection less: %v", err)
	}
}

// A group that only a condition looks at counts as well.
func TestConditionsLookAtGroups(t *testing.T) {
	for _, c := range []struct {
		when, group string
		want        bool
	}{
		{`"Contractors" in user.groups`, "contractors", true},
		{`!("Contractors" in user.groups) && in_support`, "Staff", false},
		{`fold("Contractors") in user.folded_groups`, "Contractors", true},
		{`user.groups.exists(g, g.startsWith("GL"))`, "Anything", true},
		{`in_support`, "Contractors", false},
	} {
		p, err := Compile(asking(when(c.when)))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.LooksAt("ironbark-entra", c.group, ""); got != c.want {
			t.Errorf("%s looks at %s: %v", c.when, c.group, got)
		}
	}
}
