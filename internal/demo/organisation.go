package demo

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// member is a person of the sample organisation and the groups they are in.
type member struct {
	given, family string
	groups        []string
	certification string
	certified     time.Duration // from now until the certificate ends; negative: it lapsed
	try           string        // what signing in as this person shows
	refused       bool          // has an account, but nothing opens the bridge
}

const (
	year      = 365 * 24 * time.Hour
	installer = "Installation Certified Technician G2"
)

// sample lists the people of the connections of examples/drawbridge.yaml; the
// first of each is the one whom the demo proposes.
func sample() map[string][]member {
	return map[string][]member{
		"banksia-entra": {
			{given: "Ada", family: "Marsh", groups: []string{"GL Account Admins"}, try: "administrator of the whole account"},
			{given: "Sam", family: "Ryder", groups: []string{"GL Geelong Managers"}, try: "sees Geelong and nothing beside it"},
			{given: "Joe", family: "Lindqvist", groups: []string{"GL Geelong Managers", "GL Hobart Managers"}, try: "has a guest grant: switches between Geelong and Hobart"},
			{given: "Finn", family: "Adler", groups: []string{"GL Hobart Admins"}, try: "administrator of one depot: decides who gets into it"},
			{given: "Noor", family: "Haddad", groups: []string{"GL FIP Contacts"}, try: "a contact: reads why contacts do not sign in", refused: true},
			{given: "Pia", family: "Okonjo", try: "in no group: reads that none of her groups opens anything", refused: true},
		},
		"southern-entra": {
			{given: "Kim", family: "Oakes", groups: []string{"Field Installers"}, certification: installer, certified: year, try: "certified installer with a guest place in Cairns: switch, and switch back"},
			{given: "Lee", family: "Tran", groups: []string{"Field Installers"}, certification: installer, certified: -30 * 24 * time.Hour, try: "certificate lapsed: reads why there is no access", refused: true},
			{given: "Max", family: "Ferrar", groups: []string{"Service Desk"}, try: "elevated over a whole service provider"},
			{given: "Petra", family: "Nolan", groups: []string{"Provider Admins"}, try: "administrator of a service provider: decides for all its customers"},
		},
		"lantern-entra": {
			{given: "Uma", family: "Castell", groups: []string{"Service Owners"}, try: "service owner at the vendor: decides what concerns several customers"},
			{given: "Ruben", family: "Voss", groups: []string{"Service Owners"}, try: "another one: where two must agree"},
		},
		"tundra-okta": {
			{given: "Liv", family: "Solberg", groups: []string{"gl-tromso-ops", "gl-safety"}, try: "one primary and one guest, never both at once"},
			{given: "Nils", family: "Aronsen", groups: []string{"gl-lulea-ops"}, try: "sees Luleå and nothing beside it"},
			{given: "Ola", family: "Berge", groups: []string{"gl-office"}, try: "her group's rule is in shadow mode: no access yet", refused: true},
		},
	}
}

// Spec is one connection, as the bridge's configuration has it.
type Spec struct {
	ID      string
	IdP     string // "entra" or "okta": the dialect; anything else speaks as Entra
	Name    string
	Domains []string
	Groups  []string // names that its rules ask for, captures replaced; for connections outside the sample

	// What the configuration of bridges that run elsewhere says of the provider; the zero
	// values in a demo that runs its own, which takes what is free.
	Issuer       string
	Tenant       string // Entra's
	ClientID     string
	ClientSecret secret.String
}

// SampleSpecs are the connections of the sample organisation: three customers, and the vendor.
func SampleSpecs() []Spec {
	return []Spec{
		{ID: "banksia-entra", IdP: "entra", Name: "Banksia Freight", Domains: []string{"banksia.example"}},
		{ID: "southern-entra", IdP: "entra", Name: "Southern Telematics", Domains: []string{"southern.example"}},
		{ID: "tundra-okta", IdP: "okta", Name: "Tundra Transport", Domains: []string{"tundra.example"}},
		{ID: "lantern-entra", IdP: "entra", Name: "Lantern Fleet Safety", Domains: []string{"lantern.example"}},
	}
}

func (s Spec) domain() string {
	if len(s.Domains) > 0 {
		return s.Domains[0]
	}
	return s.ID + ".example"
}

// members are the sample's, or for another connection one person for each group
// and one in none.
func (s Spec) members() []member {
	if m, ok := sample()[s.ID]; ok {
		return m
	}
	given := []string{"Ash", "Bo", "Cleo", "Dani", "Emre", "Fay", "Gus", "Hana"}
	var out []member
	for n, g := range s.Groups {
		name := given[n%len(given)]
		if n >= len(given) {
			name = fmt.Sprintf("%s%d", name, n/len(given)+1)
		}
		out = append(out, member{given: name, family: "Demo", groups: []string{g}, certification: installer, certified: year, try: "in " + g})
	}
	return append(out, member{given: "Zoe", family: "Demo", try: "in no group", refused: true})
}

func (m member) email(domain string) string { return strings.ToLower(m.given) + "@" + domain }

// directory makes the identity provider's own people and groups. Object ids follow
// from the names, so that they are the same at each start.
func (s Spec) directory(now time.Time) *oidctest.Directory {
	var people []oidctest.Person
	in := map[string][]string{}
	var names []string
	for _, m := range s.members() {
		p := m.person(s, now)
		people = append(people, p)
		for _, g := range m.groups {
			if _, seen := in[g]; !seen {
				names = append(names, g)
			}
			in[g] = append(in[g], p.ObjectID)
		}
	}
	var groups []oidctest.Group
	for _, g := range names {
		groups = append(groups, oidctest.Group{ObjectID: s.objectID("00g", g), Name: g, Members: in[g]})
	}
	return oidctest.NewDirectory(people, groups)
}

func (m member) person(s Spec, now time.Time) oidctest.Person {
	email := m.email(s.domain())
	p := oidctest.Person{
		ObjectID: s.objectID("00u", email), UserName: email, Email: email, GivenName: m.given, FamilyName: m.family,
		DisplayName: m.given + " " + m.family, Active: true, Certification: m.certification,
	}
	if m.certification != "" {
		p.CertificationExpires = now.Add(m.certified).UTC().Truncate(24 * time.Hour)
	}
	return p
}

// objectID has the vendor's form: a GUID, or 00u… and 00g….
func (s Spec) objectID(prefix, name string) string {
	h := sha256.Sum256([]byte(s.ID + "\x00" + prefix + "\x00" + name))
	if s.IdP == "okta" {
		return fmt.Sprintf("%s%x", prefix, h[:8])
	}
	return guid(h)
}

func (s Spec) tenantID() string {
	if s.Tenant != "" {
		return s.Tenant
	}
	return guid(sha256.Sum256([]byte(s.ID + "\x00tenant")))
}

func (s Spec) clientID() string {
	if s.ClientID != "" {
		return s.ClientID
	}
	return "drawbridge-" + s.ID
}

func guid(h [sha256.Size]byte) string {
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80 // the form of a random UUID, RFC 9562 section 5.4
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
