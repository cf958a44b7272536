package scim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// plan's promises, on random requests: each operation once, behind all it refers to
// but those of its own unit, and in the order of the request where nothing refers.
func TestEachOperationComesBehindThoseItRefersTo(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	for range 2000 {
		refs := make([][]int, 1+random.IntN(12))
		for i := range refs {
			for range random.IntN(3) {
				refs[i] = append(refs[i], random.IntN(len(refs)))
			}
		}
		at := map[int]int{}
		for n, u := range plan(refs) {
			for _, i := range u.operations {
				if _, again := at[i]; again {
					t.Fatalf("%v: %d stands twice", refs, i)
				}
				at[i] = n
			}
			if self := slices.Contains(refs[u.operations[0]], u.operations[0]); u.circle != (self || len(u.operations) > 1) {
				t.Fatalf("%v: unit %v", refs, u)
			}
		}
		for i, to := range refs {
			for _, o := range to {
				if at[o] > at[i] {
					t.Fatalf("%v: %d comes before %d", refs, i, o)
				}
			}
		}
		if len(at) != len(refs) {
			t.Fatalf("%v: only %d are planned", refs, len(at))
		}
	}
	if got := fmt.Sprint(plan(make([][]int, 4))); got != "[{[0] false} {[1] false} {[2] false} {[3] false}]" {
		t.Errorf("without references the order is %s", got)
	}
}

// FuzzBulk: whatever is sent is answered with JSON of SCIM's own, no operation twice,
// none beyond those that were sent, and nothing refers to what is not there.
func FuzzBulk(f *testing.F) {
	for _, seed := range []string{
		bulkBody([]string{bulkUser("a", "kim"), post("g", "/Groups", group("Depot", "bulkId:a"))}),
		bulkBody([]string{managed("a", "kim", "bulkId:b"), managed("b", "lee", "bulkId:a")}, `"failOnErrors":1`),
		bulkBody([]string{change("PATCH", "/Groups/bulkId:g", patchOps(`[{"op":"remove","path":"members[value eq \"bulkId:a\"]"}]`))}),
		`{"Operations":[{"method":"DELETE","path":"/Users/x","version":"W/\"1\""}]}`, `{"Operations":[`, `[]`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		x := newFixture(t)
		r := x.send("POST", "/Bulk", string(sent))
		if r.status >= 500 || !json.Valid([]byte(r.text)) {
			t.Fatalf("%q is answered %d %s", sent, r.status, r.text)
		}
		if r.status != http.StatusOK {
			return
		}
		parsed, err := parseBulk(sent, schema.Lenient())
		if err != nil {
			t.Fatal(err)
		}
		answered, _ := r.at("Operations").([]any)
		if len(answered) > len(parsed.operations) || parsed.failOn == 0 && len(answered) != len(parsed.operations) {
			t.Errorf("%d of %d operations are answered", len(answered), len(parsed.operations))
		}
		for _, table := range []table{x.southern.people, x.southern.groups} {
			for _, row := range table.rows {
				if strings.Contains(string(row.Doc), `"value":"bulkId:`) {
					t.Errorf("a reference was stored: %s", row.Doc)
				}
			}
		}
	})
}

// A literal that refers is one that the path's grammar would call a literal.
func TestLiteralsOfAPathRefer(t *testing.T) {
	for path, want := range map[string][]string{
		`members[value eq "bulkId:a"]`:                        {`members[value eq "`, "a", `"]`},
		`members[value eq "bulkId:a" or value eq "bulkId:b"]`: {`members[value eq "`, "a", `" or value eq "`, "b", `"]`},
		`members[value eq "x" or value eq "bulkId:b"]`:        {`members[value eq "x" or value eq "`, "b", `"]`},
		`members[value eq "bulkId:a value eq "bulkId:b"]`:     {`members[value eq "`, "a value eq ", `"bulkId:b"]`},
		`members[display eq "a\\"bulkId:b"]`:                  nil,
		`members[value eq "bulkId:a`:                          nil,
		`members[value eq "x"bulkId:a"]`:                      nil,
		`members`:                                             nil,
	} {
		if got := literals(path); !slices.Equal(got, want) {
			t.Errorf("%s is cut into %q, want %q", path, got, want)
		}
	}
}

// FuzzReferences: what refers is found wherever it stands, and with ids in its place
// the data is JSON in which nothing refers any more.
func FuzzReferences(f *testing.F) {
	for _, seed := range []string{`{"members":[{"value":"bulkId:a"}]}`, `{"manager":{"$ref":"../Users/bulkId:a","value":"bulk\u0049d:a"}}`,
		patchOps(`[{"op":"remove","path":"members[value eq \"bulkId:a\" or value eq \"bulkId:b\"]"}]`), `{"groups":"bulkId:a","x":["bulkId:"]}`, `"bulkId:a"`, `{"path":"\"bulkId:"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if schema.GuardEnvelope(data, aroundData) != nil {
			return
		}
		if _, err := schema.Read(data, nil); err != nil {
			return // an operation's data has been read by then
		}
		for _, method := range []string{http.MethodPatch, http.MethodPost} {
			found, err := references(data, method, schema.Users())
			if err != nil {
				t.Fatalf("%q: %v", data, err)
			}
			ids := map[string]string{}
			for _, r := range found {
				for _, name := range r.names() {
					ids[name] = "per_1"
				}
			}
			put := resolved(data, found, ids)
			if !json.Valid(put) {
				t.Fatalf("%q became %q", data, put)
			}
			if again, err := references(put, method, schema.Users()); err != nil || len(again) > 0 {
				t.Errorf("%q became %q, in which %v refer (%v)", data, put, again, err)
			}
		}
	})
}
