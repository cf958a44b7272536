package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// sortPaths are sorted by: core, extension, sub-attributes, lists, rows and meta, of
// every type there is.
var sortPaths = []string{
	"userName", "id", "externalId", "title", "active", "displayName", "name.familyName", "name.givenName", "emails", "emails.value", "emails.type", "emails.primary",
	"phoneNumbers", "department", schema.EnterpriseURN + ":employeeNumber", "manager.value", "certificationExpires", schema.FleetURN + ":technicianCertification",
	"meta.created", "meta.lastModified", "meta.version", "meta.resourceType", "meta.location", "groups", "groups.display", "groups.type", "groups.$ref", "schemas", "nickName", "preferredLanguage",
}

// sortable people are few and full of ties, absences and near misses.
func sortable(t testing.TB, f *fixture) []schema.Object {
	t.Helper()
	type list = []any
	element := func(kind, value string, primary bool) schema.Object {
		return schema.Object{"type": kind, "value": value, "primary": primary}
	}
	docs := append(filterPeople(),
		schema.Object{"userName": "Örn", "title": "ÄRZTIN", "active": true, "emails": list{element("home", "z@home.example", false), element("work", "A@work.example", true)}},
		schema.Object{"userName": "gus", "title": "ärztin", "externalId": "x2", "emails": list{schema.Object{"type": "work", "primary": true}, element("home", "b@home.example", false)}},
		schema.Object{"userName": "ivy", "name": schema.Object{"givenName": "Ivy"}, "phoneNumbers": list{element("work", "+61 2", false), element("home", "+61 0", false)}},
		schema.Object{"userName": "jo", schema.FleetURN: schema.Object{"certificationExpires": "2026-11-21T09:00:00Z"}, schema.EnterpriseURN: schema.Object{"department": "Åre", "manager": schema.Object{"value": "per_2"}}},
	)
	long := strings.Repeat("Ö", filter.SortedText)
	for i, doc := range docs {
		doc["preferredLanguage"] = long[2*(i%2):] + string(rune('z'-i))
	}
	var people []store.Person
	for i, doc := range docs {
		p := store.Person{ID: access.PersonID(fmt.Sprint("per_", (i*7)%10)), UserName: doc.Text("userName"), ExternalID: doc.Text("externalId"), Epoch: 1, Version: int64(1 + i%2),
			Created: day.Add(-time.Duration(i%4) * time.Second), Updated: day.Add(time.Duration(i%3) * time.Second)}
		if _, says := doc.Bool("active"); !says {
			doc["active"] = false
		}
		p.Active, _ = doc.Bool("active")
		p.Doc = doc.Encode()
		f.write(north, func(d *store.DirectoryTx) error { return d.InsertPerson(&p) })
		people = append(people, p)
	}
	f.group(north, "grp_2", "Team 2", people[4], people[2], people[7])
	f.group(north, "grp_1", "team 1", people[0], people[7])
	groups := map[int][]any{4: {relation("grp_2", "Team 2")}, 2: {relation("grp_2", "Team 2")}, 7: {relation("grp_2", "Team 2"), relation("grp_1", "team 1")}, 0: {relation("grp_1", "team 1")}}
	for i := range docs {
		for _, g := range groups[i] {
			g := g.(schema.Object)
			g["type"], g["$ref"] = "direct", "https://bridge.example/Groups/"+g.Text("value")
		}
		docs[i] = whole(docs[i], people[i], groups[i])
		docs[i]["schemas"] = list{schema.UserURN}
		docs[i]["meta"].(schema.Object)["location"] = "https://bridge.example/Users/" + docs[i].Text("id")
		docs[i]["meta"].(schema.Object)["version"] = fmt.Sprintf(`W/"%d"`, people[i].Version)
	}
	return docs
}

// What a sort means in SQL is what filter.Sort says, with ties by age; and a walk
// meets the same people in the same order.
func testSorts(t *testing.T, f *fixture) {
	docs := sortable(t, f)
	for _, path := range sortPaths {
		for _, word := range []string{"ascending", "descending"} {
			by := sortBy(t, schema.Users(), path, word)
			want := sorted(docs, by)
			if got := f.numberedIDs(by, 5); !slices.Equal(got, want) {
				t.Errorf("%s %s, by number:\n got %v\nwant %v", path, word, got, want)
			}
			if got := f.walked(nil, by, 3, func() {}); !slices.Equal(got, want) {
				t.Errorf("%s %s, a walk:\n got %v\nwant %v", path, word, got, want)
			}
		}
	}
	f.read(north, func(d *store.Directory) error {
		for _, w := range []store.Walk{{}, {Count: store.MaxPage + 1}, {Count: 1, After: store.Place("no place")}} {
			if _, _, err := d.WalkPeople(w); !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", w, err)
			}
		}
		return nil
	})
	testGroupSorts(t, f)
}

// sorted orders ids as the sort means it, by nothing but the documents.
func sorted(docs []schema.Object, by *filter.Sort) []access.PersonID {
	at := make([]int, len(docs))
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(a, b int) int {
		age := cmp.Compare(a, b)
		if by.Descending {
			age = -age
		}
		return cmp.Or(by.Compare(docs[a], docs[b]), age)
	})
	var ids []access.PersonID
	for _, i := range at {
		ids = append(ids, access.PersonID(docs[i].Text("id")))
	}
	return ids
}

func (f *fixture) numberedIDs(by *filter.Sort, count int) (ids []access.PersonID) {
	f.t.Helper()
	for more := true; more; {
		f.read(north, func(d *store.Directory) error {
			found, total, err := d.People(store.Query{Sort: by, Start: len(ids) + 1, Count: count})
			for _, p := range found {
				ids = append(ids, p.ID)
			}
			more = len(found) > 0 && len(ids) < total
			return err
		})
	}
	return ids
}

// walked walks to the end; between does something between two pages.
func (f *fixture) walked(e filter.Expr, by *filter.Sort, count int, between func()) (ids []access.PersonID) {
	f.t.Helper()
	w := store.Walk{Filter: e, Sort: by, Count: count}
	for {
		f.read(north, func(d *store.Directory) error {
			found, next, err := d.WalkPeople(w)
			for _, p := range found {
				ids = append(ids, p.ID)
			}
			if next != nil && len(found) != count {
				f.t.Errorf("a page of %d has %d and another follows", count, len(found))
			}
			w.After = next
			return err
		})
		if w.After == nil {
			return ids
		}
		between()
	}
}

func sortBy(t testing.TB, rt *schema.ResourceType, path, word string) *filter.Sort {
	t.Helper()
	if path == "" {
		return nil
	}
	by, err := filter.ParseSort(rt, path, word)
	if err != nil {
		t.Fatal(err)
	}
	return by
}

func testGroupSorts(t *testing.T, f *fixture) {
	gone := f.group(north, "grp_0", "A team")
	f.write(north, func(d *store.DirectoryTx) error { return d.DissolveGroup(gone, day) })
	for path, want := range map[string][]access.GroupID{
		"displayName": {"grp_1", "grp_2"}, "id": {"grp_1", "grp_2"}, "meta.created": {"grp_2", "grp_1"}, "members": {"grp_1", "grp_2"}, "externalId": {"grp_2", "grp_1"},
	} {
		by := sortBy(t, schema.Groups(), path, "")
		f.read(north, func(d *store.Directory) error {
			all, total, err := d.Groups(store.Query{Sort: by, Start: 1, Count: 10})
			first, next, err2 := d.WalkGroups(store.Walk{Sort: by, Count: 1})
			second, end, err3 := d.WalkGroups(store.Walk{Sort: by, Count: 1, After: next})
			if err := cmp.Or(err, err2, err3); err != nil || total != 2 || end != nil {
				t.Errorf("%s: %v; total %d, end %s", path, err, total, end)
			}
			for _, got := range [][]store.Group{all, append(first, second...)} {
				if len(got) != 2 || got[0].ID != want[0] || got[1].ID != want[1] {
					t.Errorf("groups by %s: %v", path, got)
				}
			}
			return nil
		})
	}
}

// crowd are people of whom some stay as they are and others come, change and go.
type crowd struct {
	*fixture
	made   int
	moving []store.Person
}

var anyRank = rapid.IntRange(0, 20)

// doc is somebody whose names sort by rank; every third rank has no nickName.
func (c *crowd) doc(title string, rank int) schema.Object {
	c.made++
	letter := string(rune('a' + rank))
	doc := schema.Object{"userName": fmt.Sprintf("%s%03d", letter, c.made), "title": title, "nickName": letter, "active": true}
	if rank%3 == 0 {
		delete(doc, "nickName")
	}
	return doc
}

func (c *crowd) insert(title string, rank int) store.Person {
	doc := c.doc(title, rank)
	p := store.Person{ID: access.PersonID(fmt.Sprintf("per_%c%03d", 'z'-rank, c.made)), UserName: doc.Text("userName"), Active: true, Epoch: 1, Version: 1,
		Doc: doc.Encode(), Created: day, Updated: day}
	c.write(north, func(d *store.DirectoryTx) error { return d.InsertPerson(&p) })
	return p
}

// move lets somebody come, change or go.
func (c *crowd) move(r *rapid.T) {
	rank, at := anyRank.Draw(r, "rank"), rapid.IntRange(0, 2*max(len(c.moving), 1)).Draw(r, "whom")
	switch {
	case at >= len(c.moving) && len(c.moving) < 15:
		c.moving = append(c.moving, c.insert("moves", rank))
	case rapid.Bool().Draw(r, "goes"):
		at %= len(c.moving)
		p := c.moving[at]
		c.moving = slices.Delete(c.moving, at, at+1)
		c.write(north, func(d *store.DirectoryTx) error { return d.DeletePerson(p, day) })
	default:
		doc := c.doc("moves", rank)
		p := &c.moving[at%len(c.moving)]
		p.UserName, p.Doc = doc.Text("userName"), doc.Encode()
		c.write(north, func(d *store.DirectoryTx) error { return d.UpdatePerson(*p) })
	}
}

// Whatever comes, changes and goes between the pages of a walk: whoever stays as
// they are is met exactly once, in order, with any filter and in any order.
func testWalks(t *testing.T, f *fixture) {
	c := &crowd{fixture: f}
	staying, err := filter.Parse(schema.Users(), `title eq "stays"`)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		if rank := anyRank.Draw(r, "rank"); c.made < 40 {
			c.insert("stays", rank)
		}
		c.move(r)
		by := sortBy(t, schema.Users(), rapid.SampledFrom([]string{"", "userName", "id", "nickName", "meta.created"}).Draw(r, "path"),
			rapid.SampledFrom([]string{"ascending", "descending"}).Draw(r, "order"))
		want := f.walked(staying, by, store.MaxPage, func() {})
		e := rapid.SampledFrom([]filter.Expr{nil, staying, &filter.Not{Term: &filter.Not{Term: staying}}}).Draw(r, "filter")
		got := f.walked(e, by, rapid.IntRange(1, 20).Draw(r, "count"), func() {
			for range rapid.IntRange(0, 3).Draw(r, "changes") {
				c.move(r)
			}
		})
		got = slices.DeleteFunc(got, func(id access.PersonID) bool { return !slices.Contains(want, id) })
		if !slices.Equal(got, want) {
			r.Fatalf("met %v\nof %v", got, want)
		}
	})
}

// testLargePages: documents beyond 2 MiB of a page are left out, and nothing else is.
func testLargePages(t *testing.T, f *fixture) {
	const each = 900 << 10
	for i := range 6 {
		p := newPerson(fmt.Sprint("per_", i), fmt.Sprint("u", i))
		p.Doc = schema.Object{"userName": p.UserName, "title": strings.Repeat("x", each)}.Encode()
		f.write(north, func(d *store.DirectoryTx) error { return d.InsertPerson(&p) })
	}
	check := func(how string, found []store.Person) {
		for i, p := range found {
			if p.UserName != fmt.Sprint("u", i) || p.Version != 1 || (p.Doc != nil) != (i < 3) {
				t.Errorf("%s: person %d is %s with %d bytes", how, i, p.UserName, len(p.Doc))
			}
		}
		if len(found) != 6 {
			t.Errorf("%s: %d people", how, len(found))
		}
	}
	f.read(north, func(d *store.Directory) error {
		found, _, err := d.People(store.Query{Start: 1, Count: 10})
		check("by number", found)
		walked, _, err2 := d.WalkPeople(store.Walk{Count: 10})
		check("by walking", walked)
		one, err3 := d.Person("per_5")
		if len(one.Doc) < each {
			t.Errorf("read alone, a person has %d bytes", len(one.Doc))
		}
		return errors.Join(err, err2, err3)
	})
}
