package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

const ownURN = "urn:example:scim:own.2"

// ownSchema has an attribute of every type, alone, in a list, and as a part.
const ownSchema = `{"id":"` + ownURN + `","attributes":[
 {"name":"text"},{"name":"Exact","caseExact":true},{"name":"flag","type":"boolean"},{"name":"whole","type":"integer"},{"name":"real","type":"decimal"},
 {"name":"at","type":"dateTime"},{"name":"bytes","type":"binary"},{"name":"link","type":"reference","referenceTypes":["external"]},
 {"name":"texts","multiValued":true},{"name":"wholes","type":"integer","multiValued":true},
 {"name":"one","type":"complex","subAttributes":[{"name":"value"},{"name":"n","type":"integer"},{"name":"tags","multiValued":true},{"name":"$ref","type":"reference","referenceTypes":["User"]}]},
 {"name":"many","type":"complex","multiValued":true,"subAttributes":[{"name":"value"},{"name":"type"},{"name":"primary","type":"boolean"},{"name":"n","type":"decimal"}]},
 {"name":"secret","returned":"never"},{"name":"title"}]}`

func ownPeople() []schema.Object {
	type list = []any
	type o = schema.Object
	return []o{
		{"userName": "a", ownURN: o{"text": "Ångström", "Exact": "X", "flag": true, "whole": int64(9007199254740993), "real": 1.5, "at": "2026-11-20T09:00:00Z", "bytes": "QQ==", "link": "https://x.example/A", "secret": "s"}},
		{"userName": "b", "title": "core", ownURN: o{"text": "ångström", "Exact": "x", "flag": false, "whole": int64(-7), "real": -1e10, "at": "2026-11-20T10:00:00.5+01:00", "texts": list{"One", "two"}, "title": "own"}},
		{"userName": "c", ownURN: o{"wholes": list{int64(1), int64(20)}, "one": o{"value": "V", "n": int64(3), "tags": list{"t1", "T2"}, "$ref": "../Users/1"}}},
		{"userName": "d", ownURN: o{"many": list{o{"value": "p", "type": "work", "n": 0.5}, o{"value": "Q", "type": "home", "primary": true, "n": 2.0}}}},
		{"userName": "e", ownURN: o{"gone": "the schema has no such attribute any more"}},
		{"userName": "f", "urn:example:scim:removed": o{"text": "x"}},
		{"userName": "g"},
	}
}

var ownLeaves = []string{
	`text eq "ÅNGSTRÖM"`, `text ne "x"`, `text pr`, `text sw "å"`, `Exact eq "X"`, `Exact co "x"`, `EXACT pr`, `flag eq true`, `flag ne true`, `flag eq "False"`,
	`whole eq 9007199254740993`, `whole gt -8`, `whole lt 9007199254740993`, `whole eq null`, `real ge 1.5`, `real lt 0`, `at eq "2026-11-20T09:00:00Z"`, `at gt "2026-11-20T09:00:00.25Z"`, `at pr`,
	`bytes eq "QQ=="`, `bytes eq "qq=="`, `link eq "https://x.example/a"`, `link sw "https"`, `texts eq "TWO"`, `texts pr`, `texts ne "one"`, `wholes gt 19`, `wholes eq 1`, `wholes eq null`,
	`one pr`, `one.value eq "v"`, `one eq "v"`, `one.n ge 3`, `one.tags eq "t2"`, `one.tags pr`, `one.$ref ew "1"`, `many pr`, `many.value eq "q"`, `many[type eq "work" and n gt 0.25]`, `many[primary eq true].value eq "Q"`, `many[not (primary eq true)]`, `many.n lt 1`,
	ownURN + `:title eq "OWN"`, `title eq "own"`, `title eq "core"`, ownURN + `.text pr`,
	`schemas eq "` + ownURN + `"`, `schemas ne "` + ownURN + `"`, `schemas co "own"`,
}

// What a customer's own attributes are asked for means in SQL what filter.Matches and
// filter.Sort say, for every type; and only in the connection that has them.
func testOwnSchemas(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error {
		own := access.SCIM{UserExtensions: []access.Extension{{Schema: json.RawMessage(ownSchema)}}}
		_, err := tx.PutConnection(access.Connection{ID: north, SCIM: own}, day)
		return err
	})
	var users *schema.ResourceType
	f.read(north, func(d *store.Directory) error { users = d.Row().Types.Users; return nil })
	f.read(south, func(d *store.Directory) error {
		if d.Row().Types != schema.Standard() || d.Row().Types.Users.Schema(ownURN) != nil || users.Schema(ownURN) == nil {
			t.Error("a schema is one connection's own")
		}
		return nil
	})
	docs := ownPeople()
	for i, doc := range docs {
		p := store.Person{ID: access.PersonID(fmt.Sprint("per_", i)), UserName: doc.Text("userName"), Epoch: 1, Version: 1, Created: day.Add(time.Duration(i) * time.Second), Updated: day, Doc: doc.Encode()}
		f.write(north, func(d *store.DirectoryTx) error { return d.InsertPerson(&p) })
		docs[i] = whole(doc, p, nil)
		if own, ok := doc[ownURN].(schema.Object); ok && own["gone"] == nil {
			docs[i]["schemas"] = append(docs[i]["schemas"].([]any), ownURN)
		}
	}
	for _, leaf := range ownLeaves {
		for _, text := range []string{leaf, "not (" + leaf + ")"} {
			f.meansTheSame(t.Errorf, users, docs, text)
		}
	}
	for _, path := range []string{"text", "Exact", "flag", "whole", "real", "at", "bytes", "texts", "wholes", "one.value", "one.tags", "many", "many.n", ownURN + ":title", "title"} {
		for _, word := range []string{"ascending", "descending"} {
			by := sortBy(t, users, path, word)
			want := sorted(docs, by)
			if got := f.numberedIDs(by, 3); !slices.Equal(got, want) {
				t.Errorf("%s %s:\n got %v\nwant %v", path, word, got, want)
			}
			if got := f.walked(nil, by, 2, func() {}); !slices.Equal(got, want) {
				t.Errorf("%s %s, a walk:\n got %v\nwant %v", path, word, got, want)
			}
		}
	}
	for _, hidden := range []string{`secret eq "s"`, `secret pr`, `gone pr`} {
		if _, err := filter.Parse(users, hidden); err == nil {
			t.Errorf("%s: what is never shown could be guessed", hidden)
		}
	}
}
