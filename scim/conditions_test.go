package scim

import (
	"strings"
	"testing"
)

// If-Match and If-None-Match hold for every method on a resource (RFC 9110 section
// 13.1): a write that they forbid changes nothing.
func TestEveryMethodHoldsItsConditions(t *testing.T) {
	f := newFixture(t)
	kim := "/Users/" + f.addUser("kim@southern.example")
	depot := "/Groups/" + f.addGroup("Depot")
	for path, body := range map[string]string{kim: user("kim@southern.example"), depot: group("Depot")} {
		for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
			sent := map[string]string{"PUT": body, "PATCH": patchOps(`[{"op":"add","path":"externalId","value":"x"}]`)}[method]
			refused := []string{`If-Match: W/"9"`, `If-Match: "nobody's"`, `If-Match: `}
			if method != "GET" && method != "HEAD" {
				refused = append(refused, `If-None-Match: *`, `If-None-Match: W/"1"`, `If-None-Match: W/"7", "1"`)
			}
			for _, header := range refused {
				if r := f.send(method, path, sent, header); r.status != 412 {
					t.Errorf("%s %s with %s is answered %d", method, path, header, r.status)
				}
			}
		}
		f.send("GET", path, "", `If-Match: W/"1"`).is(200).has(`W/"1"`, "meta", "version")
		f.send("GET", path, "", `If-Match: *`).is(200)
		f.send("GET", path, "", `If-None-Match: W/"1"`).is(304)
		f.send("GET", path, "", `If-None-Match: *`).is(304)
		f.send("GET", path, "", `If-None-Match: W/"9"`).is(200)
	}
	f.send("PUT", kim, user("kim@southern.example"), `If-Match: W/"1"`, `If-None-Match: W/"9"`).is(200)
	f.send("PATCH", depot, patchOps(`[{"op":"add","path":"externalId","value":"x"}]`), `If-None-Match: W/"9"`).is(204)
	f.send("DELETE", kim, "", `If-Match: *`).is(204)
	f.send("PUT", kim, user("kim@southern.example"), `If-Match: *`).refusal(404, "") // not there is not stale
}

// Discovery has entity tags as resources do, made of what it says.
func TestDiscoveryIsReadAgainOnlyWhenItChanged(t *testing.T) {
	f := newFixture(t)
	tags := map[string]bool{}
	for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/ResourceTypes/User", "/Schemas", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User"} {
		r := f.send("GET", path, "").is(200)
		tag := r.header.Get("ETag")
		if !strings.HasPrefix(tag, `W/"`) || tags[tag] {
			t.Errorf("%s: ETag %q", path, tag)
		}
		tags[tag] = true
		for _, known := range []string{tag, strings.TrimPrefix(tag, "W/"), `W/"x", ` + tag, "*"} {
			if same := f.send("GET", path, "", "If-None-Match: "+known).is(304); same.text != "" || same.header.Get("ETag") != tag {
				t.Errorf("%s: 304 with %q, ETag %q", path, same.text, same.header.Get("ETag"))
			}
		}
		f.send("HEAD", path, "", "If-None-Match: "+tag).is(304)
		f.send("GET", path, "", `If-None-Match: W/"x"`).is(200)
		f.send("GET", path, "", `If-Match: `+tag).is(200)
		f.send("GET", path, "", `If-Match: W/"x"`).refusal(412, "")
	}
}

// A query at the root is over everything, users first (RFC 7644 section 3.4.2.1).
func TestTheRootCanBeQueried(t *testing.T) {
	f := newFixture(t)
	kim := f.addUser("kim@southern.example")
	f.addGroup("Depot", kim)
	for _, root := range []string{"", "/"} {
		r := f.send("GET", root, "").is(200).has(2.0, "totalResults")
		sameNames(t, names(r), "kim@southern.example", "Depot")
	}
	sameNames(t, names(f.send("GET", "?filter=displayName+eq+\"depot\"", "").is(200)), "Depot")
	sameNames(t, names(f.send("GET", "?count=1&startIndex=2&attributes=displayName", "").is(200)), "Depot")
	f.send("GET", "?filter=nope", "").refusal(400, "invalidFilter")
	f.send("GET", "?sortBy=id", "").refusal(400, "invalidValue")
	f.send("HEAD", "", "").is(200)
	if allow := f.send("POST", "", "{}").refusal(405, "").header.Get("Allow"); allow != "GET, HEAD" {
		t.Errorf("Allow %q", allow)
	}
}

// A schema's URN names all its attributes, the core's too.
func TestAProjectionNamesTheCoreByItsURN(t *testing.T) {
	f := newFixture(t)
	id := f.send("POST", "/Users", `{"userName":"kim","title":"Driver","externalId":"x","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D"}}`).is(201).id()
	core, enterprise := "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	f.send("GET", "/Users/"+id+"?attributes="+core, "").is(200).has("kim", "userName").has("Driver", "title").has(nil, "externalId").has(nil, "meta").has(nil, enterprise)
	f.send("GET", "/Users/"+id+"?attributes="+strings.ToUpper(core)+","+enterprise+":department", "").is(200).has("Driver", "title").has("D", enterprise, "department")
	f.send("GET", "/Users/"+id+"?excludedAttributes="+core, "").is(200).has(nil, "title").has("x", "externalId").has("D", enterprise, "department")
}

// A collection has no version: conditions on it are passed over.
func TestCollectionsHaveNoVersion(t *testing.T) {
	f := newFixture(t)
	f.send("POST", "/Users", user("kim@southern.example"), `If-None-Match: *`).is(201)
	f.send("POST", "/Users", user("lee@southern.example"), `If-Match: W/"9"`).is(201)
	if r := f.send("GET", "/Users", "", `If-None-Match: *`).is(200).has(2.0, "totalResults"); r.header.Get("ETag") != "" {
		t.Errorf("ETag %q", r.header.Get("ETag"))
	}
}
