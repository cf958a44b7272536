package mapping

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// wide is an account of n fleets, with one rule that captures them.
func wide(n int) PolicySource {
	src := PolicySource{
		Scopes: []access.Scope{
			{ID: "host", Level: access.Host, Name: "H"},
			{ID: "sp", Slug: "sp", Level: access.ServiceProvider, Name: "SP", Parent: "host"},
			{ID: "acc", Slug: "acc", Level: access.Account, Name: "Acc", Parent: "sp"},
		},
		Connections: []access.Connection{{ID: "c", Root: "acc", Ceiling: access.Ceiling{Scope: "acc", Grants: access.Grants()}}},
		Rules:       []RuleSource{{ID: "r", From: "c", Group: "GL {fleet} Managers", Give: "standard @ sp/acc/{fleet}"}},
	}
	for i := range n {
		id := fmt.Sprintf("f%d", i)
		src.Scopes = append(src.Scopes, access.Scope{ID: access.ScopeID(id), Slug: id, Level: access.Fleet, Name: "Fleet " + id, Parent: "acc"})
	}
	return src
}

func BenchmarkCompile5000Fleets(b *testing.B) {
	src := wide(5000)
	for b.Loop() {
		if _, err := Compile(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile100000FleetsAnd200Rules(b *testing.B) {
	src := wide(100_000)
	for i := range 200 {
		src.Rules = append(src.Rules, RuleSource{ID: fmt.Sprintf("c%d", i), From: "c", Group: fmt.Sprintf("G%d {fleet}", i), Give: "standard @ sp/acc/{fleet}"})
	}
	for b.Loop() {
		if _, err := Compile(src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile10000Rules(b *testing.B) {
	src := wide(1000)
	src.Attributes = []AttributeSource{{Name: "department", From: "department"}}
	for i := range 9_999 {
		src.Rules = append(src.Rules, RuleSource{ID: fmt.Sprintf("c%d", i), From: "c", Group: fmt.Sprintf("G%d {fleet}", i), Give: "standard @ sp/acc/{fleet}",
			When: fmt.Sprintf(`attr.department == "D%d"`, i)})
	}
	for b.Loop() {
		if _, err := Compile(src); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecide200Rules is somebody in 20 groups, of which 3 feed one of 200 rules each.
func BenchmarkDecide200Rules(b *testing.B) { benchDecide(b, "") }
func BenchmarkDecide200RulesWithConditions(b *testing.B) {
	benchDecide(b, `attr.department == "Support"`)
}

func benchDecide(b *testing.B, when string) {
	b.Helper()
	src := wide(5000)
	src.Attributes = []AttributeSource{{Name: "department", From: "department"}}
	for i := range 100 {
		src.Rules = append(src.Rules, RuleSource{ID: fmt.Sprintf("r%d", i), From: "c", Group: fmt.Sprintf("Group %d", i), Give: "elevated @ sp/acc", When: when},
			RuleSource{ID: fmt.Sprintf("f%d", i), From: "c", Group: fmt.Sprintf("GL {fleet} Team %d", i), Give: "standard @ sp/acc/{fleet}", When: when})
	}
	p, err := Compile(src)
	if err != nil {
		b.Fatal(err)
	}
	f := Facts{Connection: "c", Active: true, Attributes: map[string]any{"department": "Support"}}
	for i := range 17 {
		f.Memberships = append(f.Memberships, Membership{Name: fmt.Sprintf("Everyone %d", i), Since: noon})
	}
	f.Memberships = append(f.Memberships, Membership{Name: "GL f77 Team 9", Since: noon}, Membership{Name: "Group 7", Since: noon}, Membership{Name: "GL Fleet f78 Managers", Since: noon})
	if d := Decide(p, f, noon); len(d.Want) != 3 {
		b.Fatal(d)
	}
	b.ReportAllocs()
	for b.Loop() {
		Decide(p, f, noon)
	}
}

func BenchmarkEvaluateAndDiff(b *testing.B) { benchDiff(b, Evaluate) }
func BenchmarkDecideAndDiff(b *testing.B)   { benchDiff(b, Decide) }

func benchDiff(b *testing.B, decide func(*Policy, Facts, time.Time) Decision) {
	b.Helper()
	src := wide(5000)
	for i := range 20 {
		src.Rules = append(src.Rules, RuleSource{ID: fmt.Sprintf("r%d", i), From: "c", Group: fmt.Sprintf("Group %d", i), Give: "elevated @ sp/acc"})
	}
	p, err := Compile(src)
	if err != nil {
		b.Fatal(err)
	}
	f := Facts{Connection: "c", Active: true, Memberships: []Membership{
		{Group: "g1", Name: "GL Fleet f77 Managers", Since: noon}, {Group: "g2", Name: "Group 7", Since: noon}, {Group: "g3", Name: "Everyone", Since: noon}}}
	b.ReportAllocs()
	for b.Loop() {
		p.Diff(nil, decide(p, f, noon).Want, access.Decided{}, noon)
	}
}

func BenchmarkLooksAt(b *testing.B) {
	p, err := Compile(wide(5000))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.LooksAt("c", "Everyone in the company", "4d0c")
	}
}
