package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// filterPeople is small and full of near misses: case, absence, several values.
func filterPeople() []schema.Object {
	type list = []any
	mail := func(kind, value string, primary bool) schema.Object {
		return schema.Object{"type": kind, "value": value, "primary": primary}
	}
	fleet := func(o schema.Object) schema.Object { return o }
	return []schema.Object{
		{"userName": "Ada@x.example", "externalId": "X1", "active": true, "title": "Boss", "name": schema.Object{"familyName": "Ångström", "givenName": "Ada"},
			"emails": list{mail("work", "Ada@X.example", true), mail("home", "ada@home.example", false)}},
		{"userName": "bob@x.example", "externalId": "x1", "active": false, "title": "boss",
			"emails": list{mail("work", "bob@home.example", false)}, "phoneNumbers": list{schema.Object{"value": "+61 1"}}},
		{"userName": "cleo@y.example", "active": true, "name": schema.Object{"familyName": "ångström"}, "displayName": "100%_'\"\\"},
		{"userName": "dan@y.example", "active": true, schema.EnterpriseURN: schema.Object{"department": "Fleet", "employeeNumber": "7"}},
		{"userName": "eve", "active": false, "title": "", schema.EnterpriseURN: schema.Object{"department": "fleet"},
			schema.FleetURN: fleet(schema.Object{"certificationExpires": "2026-11-21T10:00:00+01:00"})},
		{"userName": "fay", "active": true, schema.FleetURN: fleet(schema.Object{"certificationExpires": "2026-11-21T09:00:00.5Z", "technicianCertification": "Trainer"})},
	}
}

var filterLeaves = []string{
	`userName eq "ADA@x.example"`, `userName sw "B"`, `userName co "X.EXAMPLE"`, `userName ew "y.example"`, `userName gt "bob@x.example"`, `userName le "cleo@y.example"`, `userName ne "eve"`, `userName pr`,
	`externalId eq "x1"`, `externalId eq "X1"`, `externalId pr`, `externalId ne "x1"`, `externalId eq null`, `active eq true`, `active ne true`, `active eq "False"`, `active pr`,
	`title eq "BOSS"`, `title pr`, `title ne "boss"`, `title eq null`, `title co ""`, `name pr`, `name.familyName eq "ÅNGSTRÖM"`, `name.givenName pr`, `name.familyName gt "a"`,
	`displayName eq "100%_'\"\\"`, `displayName co "%_"`, `displayName sw "1"`, `displayName co "\""`,
	`emails pr`, `emails eq "ada@x.example"`, `emails.type eq "work"`, `emails.value co "home"`, `emails.value ne "bob@home.example"`, `emails[type eq "work" and value co "HOME"]`, `emails[not (type eq "work")]`,
	`emails[primary eq true]`, `emails[primary eq false]`, `phoneNumbers[primary eq false]`, `phoneNumbers.primary ne true`, `phoneNumbers.primary ne false`, `phoneNumbers[primary eq null]`, `emails.primary eq false`, `emails[primary ne true or value sw "b"]`, `emails[display eq null]`, `emails[type eq "work"].value eq "Ada@x.example"`, `emails.value eq "ADA@home.example"`, `emails[value eq "bob@HOME.example"]`, `emails[type eq "home" and value eq "ada@home.example"]`,
	`emails[type eq "work" and value eq "ada@home.example"]`, `not (emails.value eq "ada@home.example")`, `emails.value eq "ada"`, `emails.value eq ""`, `phoneNumbers.value pr`,
	`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "FLEET"`, `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber pr`, `manager.value pr`,
	`certificationExpires eq "2026-11-21T09:00:00Z"`, `certificationExpires gt "2026-11-21T09:00:00Z"`, `certificationExpires lt "2026-11-21T09:00:00.75Z"`, `certificationExpires ne "2026-11-21T09:00:00Z"`,
	`id eq "per_1"`, `id ne "per_1"`, `id pr`, `meta.created gt "2026-11-20T09:30:02Z"`, `meta.lastModified le "2026-11-20T09:30:03.123Z"`, `meta.lastModified gt "2026-11-20T09:30:03.1234Z"`, `meta.resourceType eq "User"`,
	`schemas pr`, `schemas eq "` + schema.Users().Core.ID + `"`, `schemas eq "` + schema.EnterpriseURN + `"`, `schemas ne "` + schema.FleetURN + `"`, `schemas co "fleet"`,
	`groups pr`, `groups.value eq "grp_1"`, `groups.display eq "TEAM 2"`, `groups[value eq "grp_2" and display sw "team"]`, `groups.value ne "grp_1"`, `groups.value eq "GRP_2"`, `not (groups.value eq "grp_2")`, `groups.value eq "per_1"`, `not (groups pr)`,
}

// What a filter means in SQL is what filter.Matches says (and no client's text can
// become SQL).
func testFilters(t *testing.T, f *fixture) {
	docs := filterPeople()
	var people []store.Person
	for i, doc := range docs {
		p := store.Person{ID: access.PersonID(fmt.Sprint("per_", i)), UserName: doc.Text("userName"), ExternalID: doc.Text("externalId"), Epoch: 1, Version: 1,
			Created: day.Add(time.Duration(i) * time.Second), Updated: day.Add(time.Duration(i) * time.Second), Doc: doc.Encode()}
		p.Active, _ = doc.Bool("active")
		f.write(north, func(d *store.DirectoryTx) error { return d.InsertPerson(&p) })
		people = append(people, p)
	}
	foreign := newPerson("per_1", "bob@x.example")
	f.write(south, func(d *store.DirectoryTx) error { return d.InsertPerson(&foreign) })
	f.group(north, "grp_1", "Team 1", people[0], people[1])
	f.group(north, "grp_2", "Team 2", people[1], people[2])
	groups := [][]any{{relation("grp_1", "Team 1")}, {relation("grp_1", "Team 1"), relation("grp_2", "Team 2")}, {relation("grp_2", "Team 2")}, nil, nil, nil}
	for i := range docs {
		docs[i] = whole(docs[i], people[i], groups[i])
	}
	check := func(fatal func(string, ...any), text string) { f.meansTheSame(fatal, schema.Users(), docs, text) }
	for _, leaf := range filterLeaves {
		check(t.Errorf, leaf)
		check(t.Errorf, "not ("+leaf+")")
	}
	testGroupFilters(t, f)
	rapid.Check(t, func(r *rapid.T) { check(r.Fatalf, drawFilter(r, 3)) })
}

// found is who a query finds in SQL, and how many it counts.
func (f *fixture) found(rt *schema.ResourceType, q store.Query) (ids []string, total int) {
	f.t.Helper()
	f.read(north, func(d *store.Directory) (err error) {
		if rt == schema.Groups() {
			var groups []store.Group
			groups, total, err = d.Groups(q)
			for _, g := range groups {
				ids = append(ids, string(g.ID))
			}
			return err
		}
		var people []store.Person
		people, total, err = d.People(q)
		for _, p := range people {
			ids = append(ids, string(p.ID))
		}
		return err
	})
	return ids, total
}

// meansTheSame compares what a filter means in SQL with what filter.Matches says.
func (f *fixture) meansTheSame(fatal func(string, ...any), rt *schema.ResourceType, docs []schema.Object, text string) {
	f.t.Helper()
	e, err := filter.Parse(rt, text)
	if err != nil {
		fatal("%s: %v", text, err)
		return
	}
	var want []string
	for _, doc := range docs {
		if filter.Matches(e, doc) {
			want = append(want, doc.Text("id"))
		}
	}
	q := store.Query{Filter: e, Start: 1, Count: 100, Base: base}
	if got, total := f.found(rt, q); !slices.Equal(got, want) || total != len(want) {
		fatal("%s\n got %v of %d\nwant %v", text, got, total, want)
	}
	q.Count = 0
	if _, total := f.found(rt, q); total != len(want) {
		fatal("%s: counted %d, want %d", text, total, len(want))
	}
}

// testGroupFilters finds groups by name and by whom they contain; one that dissolves
// is not found.
func testGroupFilters(t *testing.T, f *fixture) {
	gone := f.group(north, "grp_3", "Team 3")
	f.write(north, func(d *store.DirectoryTx) error { return d.DissolveGroup(gone, day) })
	f.group(south, "grp_9", "Team 1")
	for text, want := range map[string][]access.GroupID{
		`displayName eq "TEAM 1"`:                         {"grp_1"},
		`displayName sw "team"`:                           {"grp_1", "grp_2"},
		`displayName eq "Team 3"`:                         nil,
		`members.value eq "per_1"`:                        {"grp_1", "grp_2"},
		`members[value eq "per_0"]`:                       {"grp_1"},
		`id eq "grp_2" and members.value eq "per_2"`:      {"grp_2"},
		`not (members.value eq "per_0")`:                  {"grp_2"},
		`members pr and externalId eq null`:               {"grp_1", "grp_2"},
		`members.value eq "per_5"`:                        nil,
		`displayName eq "x') or 1=1 --" or id eq "grp_1"`: {"grp_1"},
	} {
		e, err := filter.Parse(schema.Groups(), text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		f.read(north, func(d *store.Directory) error {
			var got []access.GroupID
			found, total, err := d.Groups(store.Query{Filter: e, Start: 1, Count: 10})
			for _, g := range found {
				got = append(got, g.ID)
			}
			if err != nil || !slices.Equal(got, want) || total != len(want) {
				t.Errorf("%s: %v of %d (%v), want %v", text, got, total, err, want)
			}
			return nil
		})
	}
}

func relation(id, display string) schema.Object {
	return schema.Object{"value": id, "display": display}
}

// whole adds what the document leaves out.
func whole(doc schema.Object, p store.Person, groups []any) schema.Object {
	doc["id"] = string(p.ID)
	doc["meta"] = schema.Object{"resourceType": "User", "created": p.Created.Format(time.RFC3339Nano), "lastModified": p.Updated.Format(time.RFC3339Nano), "version": `W/"1"`}
	schemas := []any{schema.Users().Core.ID}
	for _, e := range schema.Users().Extensions {
		if _, has := doc[e.Schema.ID]; has {
			schemas = append(schemas, e.Schema.ID)
		}
	}
	doc["schemas"] = schemas
	if groups != nil {
		doc["groups"] = groups
	}
	return doc
}

func drawFilter(r *rapid.T, depth int) string {
	kind := rapid.IntRange(0, 3).Draw(r, "kind")
	if depth == 0 || kind == 0 {
		return rapid.SampledFrom(filterLeaves).Draw(r, "leaf")
	}
	if kind == 3 {
		return "not (" + drawFilter(r, depth-1) + ")"
	}
	return "(" + drawFilter(r, depth-1) + []string{"", " and ", " or "}[kind] + drawFilter(r, depth-1) + ")"
}
