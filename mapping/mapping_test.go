package mapping

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// pacific is the organisation of these tests.
func pacific() []access.Scope {
	return []access.Scope{
		{ID: "host", Level: access.Host, Name: "Sentinel"},
		{ID: "pac", Slug: "pacific", Level: access.ServiceProvider, Name: "Pacific Telematics", Parent: "host"},
		{ID: "iron", Slug: "ironbark", Level: access.Account, Name: "Ironbark Haulage", Parent: "pac"},
		{ID: "adl", Slug: "adelaide", Level: access.Fleet, Name: "Adelaide Depot", Parent: "iron", TimeZone: "Australia/Adelaide"},
		{ID: "per", Slug: "perth", Level: access.Fleet, Name: "Pérth West", Parent: "iron", TimeZone: "Australia/Perth", Was: []string{"fremantle"}},
		{ID: "tw1", Slug: "twin-1", Level: access.Fleet, Name: "Twin", Parent: "iron"},
		{ID: "tw2", Slug: "twin-2", Level: access.Fleet, Name: "Twin", Parent: "iron"},
		{ID: "cor", Slug: "coral", Level: access.Account, Name: "Coral Coaches", Parent: "pac"},
		{ID: "cns", Slug: "cairns", Level: access.Fleet, Name: "Cairns", Parent: "cor"},
		{ID: "nor", Slug: "nordic", Level: access.ServiceProvider, Name: "Nordic", Parent: "host"},
	}
}

func connections() []access.Connection {
	return []access.Connection{
		{ID: "ironbark-entra", IdP: "entra", Root: "iron", Ceiling: access.Ceiling{Scope: "iron", Grants: access.Grants()}, Domains: []string{"ironbark.example"}},
		{ID: "pacific-entra", IdP: "entra", Root: "pac", Ceiling: access.Ceiling{Scope: "pac", Grants: access.Grants()}},
		{ID: "narrow-okta", IdP: "okta", Root: "iron", Ceiling: access.Ceiling{Scope: "adl", Grants: []access.Grant{access.Standard}}},
	}
}

func compile(t testing.TB, rules ...RuleSource) *Policy {
	t.Helper()
	p, err := Compile(PolicySource{Scopes: pacific(), Connections: connections(), Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNamesFoldAsPeopleReadThem(t *testing.T) {
	for _, same := range [][2]string{
		{"GL Adelaide Managers", "gl ADELAIDE managers"},
		{"Luleå", "Lule\u0061\u030a"}, // composed and decomposed
		{"ΣΊΣΥΦΟΣ", "σίσυφος"},
		{"K", "k"}, // the Kelvin sign
	} {
		if fold(same[0]) != fold(same[1]) {
			t.Errorf("%q and %q are one name", same[0], same[1])
		}
	}
	if fold("Field Installers") == fold("Field  Installers") {
		t.Error("spaces count")
	}
}

func TestEveryLookOnlyNeedsTheGroupsThatFeed(t *testing.T) {
	p := compile(t,
		RuleSource{ID: "a", From: "ironbark-entra", Group: "GL {fleet} Managers", Give: "standard @ pacific/ironbark/{fleet}"},
		RuleSource{ID: "b", From: "ironbark-entra", GroupID: "Obj-7", Give: "standard @ pacific/ironbark", Mode: Shadow},
	)
	for _, c := range []struct {
		conn     access.ConnectionID
		name, id string
		want     bool
	}{
		{"ironbark-entra", "gl adelaide MANAGERS", "", true},
		{"ironbark-entra", "GL Fremantle Managers", "", true},
		{"ironbark-entra", "GL Sydney Managers", "", false},
		{"ironbark-entra", "Everyone", "Obj-7", true},
		{"ironbark-entra", "Everyone", "obj-7", false},
		{"ironbark-entra", "", "", false},
		{"pacific-entra", "GL Adelaide Managers", "Obj-7", false},
		{"nobody", "GL Adelaide Managers", "Obj-7", false},
	} {
		if got := p.LooksAt(c.conn, c.name, c.id); got != c.want {
			t.Errorf("LooksAt(%s, %q, %q) = %v", c.conn, c.name, c.id, got)
		}
	}
}

func TestCeilingPairsAreAllThatRulesMayGive(t *testing.T) {
	p := compile(t)
	pairs := p.CeilingPairs("narrow-okta")
	if len(pairs) != 1 || pairs[0] != (Pair{access.Standard, "adl"}) {
		t.Errorf("got %v", pairs)
	}
	if n := len(p.CeilingPairs("ironbark-entra")); n != 5*5 {
		t.Errorf("five grants at an account and its four fleets, not %d pairs", n)
	}
	if p.CeilingPairs("nobody") != nil {
		t.Error("an unknown connection may give nothing")
	}
}

func TestDescribe(t *testing.T) {
	p := compile(t)
	if got := p.Describe(access.Standard, "iron"); got != "standard @ pacific/ironbark" {
		t.Error(got)
	}
	if got := p.Describe(access.Standard, "gone"); got != "standard @ (no scope gone)" {
		t.Error(got)
	}
}
