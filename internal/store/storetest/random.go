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

// randomPeople are in the store and, as answers show them, in what is returned. The
// seed stays, so that what rapid finds can be found again.
func randomPeople(f *fixture, n int) []schema.Object {
	f.t.Helper()
	d := rand.New(rand.NewPCG(20, 26)) //nolint:gosec // test data
	var docs []schema.Object
	groups := []store.Group{f.group(north, "grp_1", "Team"), f.group(north, "grp_2", "TEAM ß"), f.group(north, "grp_3", "é")}
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
		p.Doc = doc.Encode()
		var in []any
		f.write(north, func(dir *store.DirectoryTx) error {
			if err := dir.InsertPerson(&p); err != nil {
				return err
			}
			for j := range groups {
				if d.IntN(3) > 0 {
					continue
				}
				id := string(groups[j].ID)
				in = append(in, schema.Object{"value": id, "display": groups[j].DisplayName, "type": "direct", "$ref": base + "/Groups/" + id})
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
	return docs
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

func drawComparison(r *rapid.T, a *schema.Attribute, name string) string {
	ops := []string{"eq", "ne", "eq", "ne", "gt", "ge", "lt", "le", "co", "sw", "ew"}
	var literal string
	switch a.Type {
	case schema.Complex:
		if a.SubAttribute("value") == nil {
			return name + " pr"
		}
		return drawComparison(r, a.SubAttribute("value"), name)
	case schema.Boolean:
		ops, literal = ops[:2], rapid.SampledFrom([]string{"true", "false"}).Draw(r, "boolean")
	case schema.Integer, schema.Decimal:
		ops, literal = ops[:8], rapid.SampledFrom([]string{"-1", "0", "1", "1.0", "-1e0"}).Draw(r, "number")
	case schema.DateTime:
		ops, literal = ops[:8], quote(rapid.SampledFrom(randomInstants).Draw(r, "instant"))
	case schema.Binary:
		ops, literal = ops[:2], quote(rapid.SampledFrom(randomBinaries).Draw(r, "binary"))
	default:
		texts := append([]string{"", base + "/Users/per_1", base + "/Groups/grp_1", base, `W/"1"`, schema.EnterpriseURN, "per_", "team"}, randomTexts...)
		literal = quote(rapid.SampledFrom(texts).Draw(r, "text"))
	}
	switch rapid.IntRange(0, 9).Draw(r, "unusual") {
	case 0:
		return name + " pr"
	case 1:
		ops, literal = ops[:2], "null"
	}
	return name + " " + rapid.SampledFrom(ops).Draw(r, "op") + " " + literal
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always is one
	return string(b)
}

// For random filters over everything that people have, of random people, what a
// filter means in SQL is what filter.Matches says.
func testRandomFilters(t *testing.T, f *fixture) {
	docs := randomPeople(f, 40)
	all := attributesOf(schema.Users())
	rapid.Check(t, func(r *rapid.T) {
		text := drawRandomFilter(r, all, 3)
		e, err := filter.Parse(schema.Users(), text)
		if err != nil {
			r.Fatalf("%s: %v", text, err)
		}
		var want []access.PersonID
		for _, doc := range docs {
			if filter.Matches(e, doc) {
				want = append(want, access.PersonID(doc.Text("id")))
			}
		}
		f.read(north, func(d *store.Directory) error {
			var got []access.PersonID
			found, total, err := d.People(store.Query{Filter: e, Start: 1, Count: 100, Base: base})
			for _, p := range found {
				got = append(got, p.ID)
			}
			if err != nil || !slices.Equal(got, want) || total != len(want) {
				r.Fatalf("%s\n got %v of %d (%v)\nwant %v", text, got, total, err, want)
			}
			return nil
		})
	})
}

// For everything that people have, random people are in the order that filter.Sort
// says, page by page and in a walk.
func testRandomSorts(t *testing.T, f *fixture) {
	docs := randomPeople(f, 40)
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
