package scim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// leaves counts every value of an answer by where it stands, whatever element of a
// list it stands in.
func leaves(t interface{ Fatalf(string, ...any) }, text string) map[string]int {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	counted := map[string]int{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, in := range v {
				walk(at+"/"+name, in)
			}
		case []any:
			for _, in := range v {
				walk(at, in)
			}
		default:
			counted[fmt.Sprintf("%s = %v", at, v)]++
		}
	}
	walk("", v)
	return counted
}

func isAlways(leaf string) bool {
	return strings.HasPrefix(leaf, "/id = ") || strings.HasPrefix(leaf, "/schemas = ")
}

// projectable are a person and a group with something of everything, and every name
// that selects something of them.
func projectable(f *fixture, r *rapid.T) (target string, names []string) {
	rt := schema.Users()
	target = "/Users/" + rapid.SampledFrom(f.ids("Users")).Draw(r, "user")
	if rapid.IntRange(0, 3).Draw(r, "of") == 0 {
		rt, target = schema.Groups(), "/Groups/"+f.ids("Groups")[0]
	}
	all := slices.Concat(rt.Common, rt.Core.Attributes)
	for _, e := range rt.Extensions {
		all = append(all, e.Schema.Attributes...)
		names = append(names, e.Schema.ID)
	}
	for _, a := range all {
		for _, one := range append([]*schema.Attribute{a}, a.Sub...) {
			names = append(names, one.Path(), strings.ToUpper(one.Path()))
			if !a.Extension && a.URN != "" {
				names = append(names, rt.Core.ID+":"+one.Path())
			}
		}
	}
	return target, append(names, "shoe", "emails.shoe", "urn:example:x:title")
}

func (f *fixture) ids(plural string) []string {
	var list struct{ Resources []struct{ ID string } }
	if err := json.Unmarshal([]byte(f.send("GET", "/"+plural+"?attributes=id", "").is(200).text), &list); err != nil {
		f.t.Fatal(err)
	}
	var ids []string
	for _, r := range list.Resources {
		ids = append(ids, r.ID)
	}
	return ids
}

// The laws of attributes and excludedAttributes (RFC 7644 section 3.9), of any
// names: id and schemas are never dropped; the two parameters divide a resource
// between them and nothing is made up or said twice; neither the order nor the case
// of names, nor naming one twice, changes anything; naming more never shows less;
// and a list, a search and a write show the same as a read.
func TestProjectionsKeepTheirLaws(t *testing.T) {
	f := newFixture(t)
	kim := f.send("POST", "/Users", everything).is(201).id()
	f.addUser("lee@southern.example")
	f.addGroup("Depot", kim)
	f.addGroup("Yard", kim)
	rapid.Check(t, func(r *rapid.T) {
		target, pool := projectable(f, r)
		get := func(parameter string, names []string) map[string]int {
			answer := f.send("GET", target+"?"+parameter+"="+url.QueryEscape(strings.Join(names, ",")), "").is(200)
			return leaves(r, answer.text)
		}
		names := rapid.SliceOfN(rapid.SampledFrom(pool), 1, 5).Draw(r, "names")
		whole := leaves(r, f.send("GET", target, "").is(200).text)
		kept, left := get("attributes", names), get("excludedAttributes", names)
		for leaf, n := range whole {
			switch {
			case strings.HasPrefix(leaf, "/schemas = "):
				if kept[leaf] > n || left[leaf] > n {
					r.Fatalf("%v: %s is said more than %d times", names, leaf, n)
				}
			case isAlways(leaf):
				if kept[leaf] != n || left[leaf] != n {
					r.Fatalf("%v drops %s", names, leaf)
				}
			case kept[leaf]+left[leaf] != n:
				r.Fatalf("%v: of %d times %s, attributes shows %d and excludedAttributes %d", names, n, leaf, kept[leaf], left[leaf])
			}
		}
		core := fmt.Sprintf("/schemas = urn:ietf:params:scim:schemas:core:2.0:%s", strings.TrimSuffix(strings.Split(target, "/")[1], "s"))
		for _, shown := range []map[string]int{kept, left} {
			if shown[core] != 1 {
				r.Fatalf("%v drops %s", names, core)
			}
			for leaf := range shown {
				if whole[leaf] == 0 {
					r.Fatalf("%v makes up %s", names, leaf)
				}
			}
		}
		again := append(slices.Clone(names), names...)
		slices.Reverse(again)
		if !maps.Equal(kept, get("attributes", again)) || !maps.Equal(left, get("excludedAttributes", again)) {
			r.Fatalf("%v shows other things than %v", again, names)
		}
		more := append(slices.Clone(names), rapid.SampledFrom(pool).Draw(r, "one more"))
		for leaf, n := range kept {
			if get := get("attributes", more)[leaf]; get < n {
				r.Fatalf("%v shows %s, and %v does not", names, leaf, more)
			}
		}
		f.showsTheSame(r, target, names, kept)
	})
}

// showsTheSame compares a list and a posted search with what a read showed.
func (f *fixture) showsTheSame(r *rapid.T, target string, names []string, want map[string]int) {
	_, rest, _ := strings.Cut(target, "/")
	plural, id, _ := strings.Cut(rest, "/")
	listed := f.send("GET", "/"+plural+"?filter="+url.QueryEscape(fmt.Sprintf("id eq %q", id))+"&attributes="+url.QueryEscape(strings.Join(names, ",")), "").is(200)
	attributes, _ := json.Marshal(names)
	found := f.send("POST", "/"+plural+"/.search", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"id eq \"%s\"","attributes":%s}`, id, attributes)).is(200)
	for _, answer := range []reply{listed, found} {
		var page struct{ Resources []json.RawMessage }
		if err := json.Unmarshal([]byte(answer.text), &page); err != nil || len(page.Resources) != 1 {
			r.Fatalf("%v in %s", err, answer.text)
		}
		if got := leaves(r, string(page.Resources[0])); !maps.Equal(got, want) {
			r.Fatalf("%v: a list shows %v, a read %v", names, got, want)
		}
	}
}

// everything is a person with something of every kind of attribute.
const everything = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"userName":"kim@southern.example","externalId":"x1","active":true,
"name":{"givenName":"Kim","familyName":"Ng","formatted":"Kim Ng"},"displayName":"Kim","nickName":"K","title":"Fitter","userType":"Employee","preferredLanguage":"en","locale":"en-AU","timezone":"Australia/Adelaide",
"profileUrl":"https://southern.example/kim","emails":[{"value":"kim@southern.example","type":"work","primary":true},{"value":"kim@home.example","type":"home","display":"Home"},{"value":"k@x.example"}],
"phoneNumbers":[{"value":"+61 1","type":"work"},{"value":"+61 1","type":"mobile"}],"ims":[{"value":"kim","type":"xmpp"}],"photos":[{"value":"https://southern.example/kim.jpg","type":"photo"}],
"addresses":[{"type":"work","country":"AU","locality":"Adelaide"},{"type":"home","region":"SA"}],"entitlements":[{"value":"e1"}],"roles":[{"value":"r1","display":"R"}],"x509Certificates":[{"value":"YQ=="}],
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Workshop","employeeNumber":"7","manager":{"value":"per_9","$ref":"../Users/per_9"}},
"urn:drawbridge:scim:schemas:extension:fleet:2.0:User":{"technicianCertification":"HV-2","certificationExpires":"2027-01-31T12:00:00Z"}}`
