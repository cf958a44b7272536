package storetest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// base is what addresses begin with in these tests.
const base = "https://bridge.example/scim/v2/north"

// Texts, instants and binaries are few and near misses of each other: what differs
// in case only, in composition only, in nothing but what SQL would treat as special.
var (
	randomTexts = []string{"a", "A", "ab", "AB", "b", "ß", "SS", "ss", "i", "I", "İ", "ı", "K", "\u212a", "k", "é", "e\u0301", "É", "Σ", "ς", "σ", "Ω", "\u2126", "z\u0301\u0323", "100%", "_", "'", `"`, `\`, "a b", " a",
		"true", "1", "1.0", "null", "𝒜", "\U0001F600", "\ufffd", "work", "home", "Work", "User", "direct", "grp_1", "per_1", "GRP_1", "PER_1"}
	randomInstants = []string{"2026-11-20T09:30:00.123Z", "2026-11-20T09:30:00.1230001Z", "2026-11-20T09:30:00.122999999Z", "2026-11-20T20:00:00.123+10:30", "2026-11-20T09:30:01Z", "2026-11-20T09:30:02", "0000-01-01T00:00:00Z",
		"1969-12-31T23:59:59.9999Z", "9999-12-31T23:59:59.999999999Z", "2026-11-20T23:59:59-14:00"}
	randomBinaries = []string{"YQ==", "YWI=", "_-8="}
)

// attributesOf is every attribute that can be asked for, also those that answers add
// to documents.
func attributesOf(rt *schema.ResourceType) []*schema.Attribute {
	all := slices.Concat(rt.Common, rt.Core.Attributes)
	for _, e := range rt.Extensions {
		all = append(all, e.Schema.Attributes...)
	}
	return all
}

// randomDoc is a document with about half of what its schemas have.
func randomDoc(d *rand.Rand, rt *schema.ResourceType) schema.Object {
	doc := schema.Object{}
	for _, a := range attributesOf(rt) {
		if a.Relation || a.URN == "" || a.Name == "userName" || a.Name == "active" || d.IntN(2) == 0 {
			continue
		}
		if v := randomValue(d, a); v != nil {
			doc.Put(a, v)
		}
	}
	return doc
}

func randomValue(d *rand.Rand, a *schema.Attribute) any {
	if !a.MultiValued {
		return randomElement(d, a)
	}
	var list []any
	for range 1 + d.IntN(3) {
		if v := randomElement(d, a); v != nil {
			list = append(list, v)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

func randomElement(d *rand.Rand, a *schema.Attribute) any {
	switch a.Type {
	case schema.Boolean:
		return d.IntN(2) == 0
	case schema.Integer:
		return int64(d.IntN(5) - 2)
	case schema.Decimal:
		return float64(d.IntN(5)-2) / 2
	case schema.DateTime:
		return randomInstants[d.IntN(len(randomInstants))]
	case schema.Binary:
		return randomBinaries[d.IntN(len(randomBinaries))]
	case schema.Complex:
		o := schema.Object{}
		for _, sub := range a.Sub {
			if d.IntN(2) == 0 {
				o[sub.Name] = randomValue(d, sub)
			}
		}
		if len(o) == 0 {
			return nil
		}
		return o
	}
	return randomTexts[d.IntN(len(randomTexts))]
}

// randomDirectory is n people and some groups, in the store and, as answers show
// them, in what is returned. The seed stays, so that what rapid finds can be found
// again.
func randomDirectory(f *fixture, n int) (docs, shownGroups []schema.Object) {
	f.t.Helper()
	d := rand.New(rand.NewPCG(20, 26)) //nolint:gosec // test data
	groups := []store.Group{f.group(north, "grp_1", "Team"), f.group(north, "grp_2", "TEAM ß"), f.group(north, "grp_3", "é"), f.group(north, "grp_4", "nobody")}
	members := make([][]any, len(groups))
	for i := range n {
		doc := randomDoc(d, schema.Users())
		doc["userName"], doc["active"] = fmt.Sprint(randomTexts[d.IntN(len(randomTexts))], i), d.IntN(2) == 0
		p := store.Person{ID: access.PersonID(fmt.Sprint("per_", (i*7)%n)), UserName: doc.Text("userName"), DisplayName: doc.Text("displayName"), Epoch: 1, Version: 1 + int64(d.IntN(3)),
			Created: day.Add(time.Duration(d.IntN(3)) * time.Second), Updated: day.Add(time.Duration(d.IntN(3)) * time.Millisecond)}
		if d.IntN(2) == 0 {
			p.ExternalID = randomTexts[d.IntN(len(randomTexts))]
			doc["externalId"] = p.ExternalID
		}
		p.Active, _ = doc.Bool("active")
		p.Doc, p.Email = doc.Encode(), doc.Email()
		var in []any
		f.write(north, func(dir *store.DirectoryTx) error {
			if err := f.insertChanged(dir, &p, randomDoc(d, schema.Users()), d.IntN(2) == 0); err != nil {
				return err
			}
			for j := range groups[:3] {
				if d.IntN(3) > 0 {
					continue
				}
				id := string(groups[j].ID)
				in = append(in, schema.Object{"value": id, "display": groups[j].DisplayName, "type": "direct", "$ref": base + "/Groups/" + id})
				member := schema.Object{"value": string(p.ID), "type": "User", "$ref": base + "/Users/" + string(p.ID)}
				if p.DisplayName != "" {
					member["display"] = p.DisplayName
				}
				members[j] = append(members[j], member)
				if _, err := dir.AddMembers(&groups[j], []store.PersonKey{p.Key}, day); err != nil {
					return err
				}
			}
			return nil
		})
		shown := whole(doc, p, in)
		meta, _ := shown["meta"].(schema.Object)
		meta["location"], meta["version"] = base+"/Users/"+string(p.ID), fmt.Sprintf(`W/"%d"`, p.Version)
		docs = append(docs, shown)
	}
	for j, g := range groups {
		id := string(g.ID)
		doc := schema.Object{"id": id, "displayName": g.DisplayName, "schemas": []any{schema.GroupURN}, "meta": schema.Object{"resourceType": "Group", "created": g.Created.Format(time.RFC3339Nano),
			"lastModified": day.Format(time.RFC3339Nano), "location": base + "/Groups/" + id, "version": fmt.Sprintf(`W/"%d"`, g.Version)}}
		if members[j] != nil {
			doc["members"] = members[j]
		}
		shownGroups = append(shownGroups, doc)
	}
	return docs, shownGroups
}

// insertChanged inserts a person, as they are or as somebody else whom a change makes
// into them: what an index knew of the other must be forgotten.
func (f *fixture) insertChanged(dir *store.DirectoryTx, p *store.Person, other schema.Object, changed bool) error {
	if !changed {
		return dir.InsertPerson(p)
	}
	was := *p
	was.UserName, was.ExternalID, was.Active, was.Doc, was.Email = p.UserName+" before", "", !p.Active, other.Encode(), other.Email()
	if err := dir.InsertPerson(&was); err != nil {
		return err
	}
	p.Key, p.Version = was.Key, was.Version+1
	return dir.UpdatePerson(*p)
}

// drawRandomFilter draws a filter over everything that rt has.
func drawRandomFilter(r *rapid.T, all []*schema.Attribute, depth int) string {
	kind := rapid.IntRange(0, 6).Draw(r, "kind")
	switch {
	case depth == 0 || kind < 2:
		a := rapid.SampledFrom(all).Draw(r, "attribute")
		if len(a.Sub) > 0 && rapid.IntRange(0, 3).Draw(r, "sub") > 0 {
			a = rapid.SampledFrom(a.Sub).Draw(r, "of")
		}
		return drawComparison(r, a, a.Path())
	case kind == 2:
		return "not (" + drawRandomFilter(r, all, depth-1) + ")"
	case kind == 3:
		lists := slices.DeleteFunc(slices.Clone(all), func(a *schema.Attribute) bool { return !a.MultiValued || a.Type != schema.Complex })
		list := rapid.SampledFrom(lists).Draw(r, "list")
		return list.Path() + "[" + drawInside(r, list, 2) + "]"
	}
	return "(" + drawRandomFilter(r, all, depth-1) + rapid.SampledFrom([]string{" and ", " or "}).Draw(r, "connective") + drawRandomFilter(r, all, depth-1) + ")"
}

func drawInside(r *rapid.T, list *schema.Attribute, depth int) string {
	kind := rapid.IntRange(0, 4).Draw(r, "kind inside")
	switch {
	case depth == 0 || kind < 2:
		sub := rapid.SampledFrom(list.Sub).Draw(r, "sub inside")
		return drawComparison(r, sub, sub.Name)
	case kind == 2:
		return "not (" + drawInside(r, list, depth-1) + ")"
	}
	return "(" + drawInside(r, list, depth-1) + rapid.SampledFrom([]string{" and ", " or "}).Draw(r, "connective") + drawInside(r, list, depth-1) + ")"
}

// comparable is what an attribute can be compared with: operators, and literals.
func comparable(a *schema.Attribute) (ops, literals []string) {
	ordered := []string{"eq", "ne", "gt", "ge", "lt", "le"}
	switch a.Type {
	case schema.Boolean:
		return ordered[:2], []string{"true", "false"}
	case schema.Integer, schema.Decimal:
		return ordered, []string{"-1", "0", "1", "1.0", "-1e0"}
	case schema.DateTime:
		return ordered, quoteAll(randomInstants)
	case schema.Binary:
		return ordered[:2], quoteAll(randomBinaries)
	}
	texts := append([]string{"", base + "/Users/per_1", base + "/Groups/grp_1", base, `W/"1"`, schema.EnterpriseURN, "per_", "team"}, randomTexts...)
	return append(ordered, "co", "sw", "ew"), quoteAll(texts)
}

func drawComparison(r *rapid.T, a *schema.Attribute, name string) string {
	if a.Type == schema.Complex {
		if a.SubAttribute("value") == nil {
			return name + " pr"
		}
		return drawComparison(r, a.SubAttribute("value"), name)
	}
	switch rapid.IntRange(0, 9).Draw(r, "unusual") {
	case 0:
		return name + " pr"
	case 1:
		return name + rapid.SampledFrom([]string{" eq null", " ne null"}).Draw(r, "null")
	}
	ops, literals := comparable(a)
	return name + " " + rapid.SampledFrom(ops).Draw(r, "op") + " " + rapid.SampledFrom(literals).Draw(r, "literal")
}

// comparisons are all that can be asked of an attribute, with some of the literals
// for each operator, and all where an attribute is an instant.
func comparisons(d *rand.Rand, a *schema.Attribute) []string {
	all := []string{a.Path() + " pr"}
	if a.Type == schema.Complex {
		return all
	}
	all = append(all, a.Path()+" eq null", a.Path()+" ne null")
	ops, literals := comparable(a)
	for _, op := range ops {
		for _, l := range literals {
			if len(literals) <= 10 || d.IntN(len(literals)/5) == 0 {
				all = append(all, a.Path()+" "+op+" "+l)
			}
		}
	}
	return all
}

func quoteAll(texts []string) []string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = quote(s)
	}
	return quoted
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always is one
	return string(b)
}

// For every comparison of everything that people and groups have, and for random
// filters, what a filter means in SQL is what filter.Matches says.
func testRandomFilters(t *testing.T, f *fixture) {
	people, groups := randomDirectory(f, 40)
	d := rand.New(rand.NewPCG(20, 27)) //nolint:gosec // test data
	for rt, docs := range map[*schema.ResourceType][]schema.Object{schema.Users(): people, schema.Groups(): groups} {
		for _, top := range attributesOf(rt) {
			for _, a := range append([]*schema.Attribute{top}, top.Sub...) {
				for _, text := range comparisons(d, a) {
					f.meansTheSame(t.Errorf, rt, docs, text)
				}
			}
		}
		if t.Failed() {
			return
		}
		rapid.Check(t, func(r *rapid.T) {
			f.meansTheSame(r.Fatalf, rt, docs, drawRandomFilter(r, attributesOf(rt), 3))
		})
	}
}

// For everything that people have, random people are in the order that filter.Sort
// says, page by page and in a walk.
func testRandomSorts(t *testing.T, f *fixture) {
	docs, _ := randomDirectory(f, 40)
	for _, top := range attributesOf(schema.Users()) {
		for _, a := range append([]*schema.Attribute{top}, top.Sub...) {
			for _, word := range []string{"ascending", "descending"} {
				by, err := filter.ParseSort(schema.Users(), a.Path(), word)
				if err != nil {
					continue // complex: there is nothing to sort by
				}
				want := sorted(docs, by)
				if got := f.numberedIDs(by, 50); !slices.Equal(got, want) {
					t.Errorf("%s %s, by number:\n got %v\nwant %v", a.Path(), word, got, want)
				}
				if got := f.walked(nil, by, 17, func() {}); !slices.Equal(got, want) {
					t.Errorf("%s %s, a walk:\n got %v\nwant %v", a.Path(), word, got, want)
				}
			}
		}
	}
}
