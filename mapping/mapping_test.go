package mapping

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
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
		{"K", "k"},                 // the Kelvin sign
		{"\u0391\u0342", "\u1fb6"}, // composed only after folding
	} {
		if schema.Fold(same[0]) != schema.Fold(same[1]) {
			t.Errorf("%q and %q are one name", same[0], same[1])
		}
	}
	if schema.Fold("Field Installers") == schema.Fold("Field  Installers") {
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

func TestDescribe(t *testing.T) {
	p := compile(t)
	if got := p.Describe(access.Standard, "iron"); got != "standard @ pacific/ironbark" {
		t.Error(got)
	}
	if got := p.Describe(access.Standard, "gone"); got != "standard @ (no scope gone)" {
		t.Error(got)
	}
}

// twins is a tree in which names can be read in two ways.
func twins() []access.Scope {
	return []access.Scope{
		{ID: "host", Level: access.Host, Name: "H"},
		{ID: "sp", Slug: "sp", Level: access.ServiceProvider, Name: "SP", Parent: "host"},
		{ID: "a", Slug: "a", Level: access.Account, Name: "Twin", Parent: "sp"},
		{ID: "ab", Slug: "a-b", Level: access.Account, Name: "Twin", Parent: "sp"},
		{ID: "a-bc", Slug: "b-c", Level: access.Fleet, Name: "North", Parent: "a"},
		{ID: "ab-c", Slug: "c", Level: access.Fleet, Name: "South", Parent: "ab"},
		{ID: "ab-n", Slug: "n", Level: access.Fleet, Name: "C", Parent: "ab"},
	}
}

func wantedBy(t *testing.T, groups ...string) []string {
	t.Helper()
	p, err := Compile(PolicySource{
		Scopes:      twins(),
		Connections: []access.Connection{{ID: "c", Root: "sp", Ceiling: access.Ceiling{Scope: "sp", Grants: access.Grants()}}},
		Rules:       []RuleSource{{ID: "r", From: "c", Group: "{account}-{fleet}", Give: "standard @ sp/{account}/{fleet}"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Connection: "c", Active: true}
	for i, g := range groups {
		f.Memberships = append(f.Memberships, Membership{Group: access.GroupID(rune('a' + i)), Name: g})
	}
	var got []string
	d := Evaluate(p, f, noon)
	for _, w := range d.Want {
		got = append(got, string(w.Scope))
	}
	if len(got) == 0 && (len(d.Reasons) != 1 || d.Reasons[0].Code != ScopeUnknown) {
		t.Errorf("%q: %+v", groups, d.Reasons)
	}
	return got
}

func TestANameThatCanBeReadInTwoWaysNamesNothing(t *testing.T) {
	if got := wantedBy(t, "a-b-c"); got != nil {
		t.Errorf("a/b-c or a-b/c? got %v", got)
	}
}

func TestTwoAccountsOfOneNameNameNothingEvenIfOneAloneHasTheFleet(t *testing.T) {
	if got := wantedBy(t, "Twin-South"); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestASlugComesBeforeANameThatSpellsTheSame(t *testing.T) {
	if got := wantedBy(t, "a-b-C"); got != nil {
		t.Errorf("got %v", got)
	}
	if got := wantedBy(t, "A-B-South"); len(got) != 1 || got[0] != "ab-c" {
		t.Errorf("got %v", got)
	}
	p, err := Compile(PolicySource{
		Scopes:      twins(),
		Connections: []access.Connection{{ID: "c", Root: "sp", Ceiling: access.Ceiling{Scope: "sp", Grants: access.Grants()}}},
		Rules:       []RuleSource{{ID: "r", From: "c", Group: "fleet {fleet}", Give: "standard @ sp/a-b/{fleet}"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := Evaluate(p, Facts{Connection: "c", Active: true, Memberships: []Membership{{Group: "g", Name: "Fleet C"}}}, noon)
	if len(d.Want) != 1 || d.Want[0].Scope != "ab-c" {
		t.Errorf("the fleet with the slug c, not the one with the name C: %+v", d)
	}
}

func TestOneRuleThatGivesAPairTwiceGivesTheWiderOfTheTwo(t *testing.T) {
	p := compile(t, RuleSource{ID: "r", From: "pacific-entra", Group: "All {account}", Give: "standard @ pacific/{account}", Guest: []string{"standard @ pacific/coral"}})
	d := Evaluate(p, Facts{Connection: "pacific-entra", Active: true, Memberships: []Membership{{Group: "g", Name: "All Coral"}}}, noon)
	if len(d.Want) != 1 || len(d.Want[0].Sources) != 1 || d.Want[0].Standing != access.Primary || d.Want[0].Sources[0].Standing != access.Primary {
		t.Errorf("one assignment, primary, one source: %+v", d.Want)
	}
	sources := addSource(nil, access.Source{ID: "a", Standing: access.Guest, NotBefore: noon, Until: noon.Add(time.Hour)})
	sources = addSource(sources, access.Source{ID: "a", Standing: access.Primary, Flags: access.Flags{Video: true}, NotBefore: noon.Add(-time.Hour), Until: noon.Add(2 * time.Hour)})
	want := access.Source{ID: "a", Standing: access.Primary, Flags: access.Flags{Video: true}, NotBefore: noon.Add(-time.Hour), Until: noon.Add(2 * time.Hour)}
	if len(sources) != 1 || sources[0] != want {
		t.Errorf("%+v", sources)
	}
}

// However many ways there are to fill captures, none is tried before a name is met.
func TestCapturesThatCouldMeanVeryMuchCostNothing(t *testing.T) {
	scopes := []access.Scope{{ID: "host", Level: access.Host, Name: "H"}}
	for i := range 600 {
		sp := access.ScopeID(fmt.Sprintf("sp%d", i))
		scopes = append(scopes, access.Scope{ID: sp, Slug: string(sp), Level: access.ServiceProvider, Name: "N" + string(sp), Parent: "host"})
		if i == 0 {
			for j := range 600 {
				id := fmt.Sprintf("a%d", j)
				scopes = append(scopes, access.Scope{ID: access.ScopeID(id), Slug: id, Level: access.Account, Name: "N" + id, Parent: sp})
			}
		}
	}
	p, err := Compile(PolicySource{
		Scopes:      scopes,
		Connections: []access.Connection{{ID: "c", Root: "host", Ceiling: access.Ceiling{Scope: "host", Grants: access.Grants()}}},
		Rules:       []RuleSource{{ID: "r", From: "c", Group: "{account} {service_provider}", Give: "standard @ sp0/{account}", Guest: []string{"standard @ {service_provider}"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := Decide(p, Facts{Connection: "c", Active: true, Memberships: []Membership{{Name: "A599 sp598"}}}, noon)
	if len(d.Want) != 2 || d.Want[0].Scope != "a599" || d.Want[1].Scope != "sp598" {
		t.Errorf("got %+v", d.Want)
	}
}

func TestConnectionsAreChecked(t *testing.T) {
	conns := append(connections(),
		access.Connection{ID: "narrow-okta", Root: "gone", Ceiling: access.Ceiling{Scope: "gone", Grants: []access.Grant{"viewer"}}})
	_, err := Compile(PolicySource{Scopes: pacific(), Connections: conns})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 4 {
		t.Errorf("an id, a root, a ceiling and a grant: %v", err)
	}
}

func TestABrokenTreeIsReportedWhole(t *testing.T) {
	_, err := Compile(PolicySource{Scopes: []access.Scope{{ID: "x", Slug: "x", Level: access.Account, Parent: "gone"}}})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 2 {
		t.Errorf("got %v", err)
	}
}
