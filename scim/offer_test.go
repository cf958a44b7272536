package scim

import (
	"net/http"
	"strings"
	"testing"
)

// offering makes the fixture's connections offer three things.
func offering(t *testing.T) *fixture {
	f := newFixture(t)
	dir := f.gate.dirs[southern]
	dir.Offers = func() []Offer {
		return []Offer{{Value: "a", Display: "Beta", Type: "Access", Description: "One."}, {Value: "b", Display: "alpha", Type: "Access"}, {Value: "c", Display: "Gamma", Type: "Other"}}
	}
	f.gate.dirs[southern] = dir
	return f
}

func TestWhatIsOfferedIsReadAndNeverWritten(t *testing.T) {
	f := offering(t)
	for _, at := range []string{"/Roles", "/Entitlements"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if r := f.send(method, at, "{}").refusal(405, ""); r.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: Allow is %q", method, at, r.header.Get("Allow"))
			}
			f.send(method, at+"/a", "{}").refusal(405, "")
		}
		f.send(http.MethodHead, at, "").is(200)
		f.send("GET", at, "", "Authorization: Bearer wrong").refusal(401, "")
		f.send("GET", at+"/nothing", "").refusal(404, "")
		f.send("GET", at+"?filter=nonsense%20eq%201", "").refusal(400, "invalidFilter")
	}
	one := f.send("GET", "/Roles/a", "").is(200).has("Beta", "display").has(true, "supported")
	f.send("GET", "/Roles/a", "", "If-None-Match: "+one.header.Get("ETag")).is(304)
	if strings.Contains(one.text, "created") || one.header.Get("ETag") == f.send("GET", "/Roles/b", "").is(200).header.Get("ETag") {
		t.Errorf("an offer has no age, and a version of its own: %s", one.text)
	}
}

func TestWhatIsOfferedIsListedLikeEverything(t *testing.T) {
	f := offering(t)
	f.send("GET", "/Roles?count=1", "").is(200).has(3.0, "totalResults").has(1.0, "itemsPerPage").has("a", "Resources", 0, "id")
	f.send("GET", "/Roles?startIndex=3", "").is(200).has("c", "Resources", 0, "id").has(1.0, "itemsPerPage")
	f.send("GET", "/Roles?startIndex=9&count=2", "").is(200).has(3.0, "totalResults").has(0.0, "itemsPerPage")
	f.send("GET", "/Roles?count=0", "").is(200).has(3.0, "totalResults").has(0.0, "itemsPerPage")
	f.send("GET", "/Roles?sortBy=display", "").is(200).has("b", "Resources", 0, "id").has("c", "Resources", 2, "id")
	f.send("GET", "/Roles?sortBy=type&sortOrder=descending", "").is(200).has("c", "Resources", 0, "id").has("b", "Resources", 1, "id")
	f.send("GET", "/Entitlements"+filterBy(`value eq "ent_b" or not (type eq "access")`), "").is(200).has(2.0, "totalResults").has("ent_b", "Resources", 0, "id")
	first := f.send("GET", "/Roles?cursor&count=2", "").is(200).has(3.0, "totalResults")
	f.send("GET", "/Roles?count=2&cursor="+first.at("nextCursor").(string), "").is(200).has("c", "Resources", 0, "id").has(1.0, "itemsPerPage")
	f.send("GET", "/ServiceProviderConfig", "").is(200).has("Access", "RolesAndEntitlements", "roles", "types", 0).has("Other", "RolesAndEntitlements", "roles", "types", 1)
}

func TestAConnectionThatOffersNothingSaysSo(t *testing.T) {
	f := newFixture(t)
	f.send("GET", "/Roles", "").is(200).has(0.0, "totalResults")
	f.send("GET", "/Entitlements/a", "").refusal(404, "")
}
