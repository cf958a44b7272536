package scim

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// spellings of a path: what has opened other servers' back doors.
func spellings(connection, rest string) []string {
	plain := Prefix + connection + rest
	escape := func(s, what string) string { return strings.ReplaceAll(s, what, "%"+hex(what[0])) }
	first := rest
	if len(rest) > 1 {
		first = "/%" + hex(rest[1]) + rest[2:]
	}
	return []string{
		plain, plain + "/", plain + "//", plain + "?x=1", plain + "%3Fx=1", plain + "#x", plain + ";x=1", plain + "%00", plain + "%20", plain + ".json",
		Prefix + connection + "/" + rest, Prefix + connection + "/." + rest, Prefix + connection + "/.." + rest, Prefix + "x/../" + connection + rest,
		Prefix + connection + escape(rest, "/"), Prefix + connection + strings.ReplaceAll(rest, "/", "%5C"), Prefix + connection + strings.ReplaceAll(rest, "/", "%252F"),
		Prefix + connection + "/%2e%2e" + rest, Prefix + connection + "/%2E" + rest, Prefix + connection + "/x%2F.." + rest,
		"/scim/v2%2F" + connection + rest, "/scim%2Fv2/" + connection + rest, "//scim/v2/" + connection + rest, "/scim/./v2/" + connection + rest,
		"/SCIM/v2/" + connection + rest, Prefix + strings.ToUpper(connection) + rest, Prefix + connection + strings.ToLower(rest), Prefix + connection + strings.ToUpper(rest),
		Prefix + connection + first, Prefix + "%73outhern" + rest, Prefix + connection + "%2F" + strings.TrimPrefix(rest, "/"), Prefix + rest, Prefix + "/" + rest,
		Prefix + connection + "/scim/v2/" + connection + rest, Prefix + ".." + Prefix + connection + rest, Prefix + connection + rest + "/../../.." + rest,
	}
}

func hex(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[c>>4], digits[c&15]})
}

// TestNoSpellingOfAnyRouteOpensWithoutItsCredential crawls every route with every
// method in every spelling: without a credential, with a wrong one, with another
// connection's. Nothing is answered with success, and nothing that is stored shows.
func TestNoSpellingOfAnyRouteOpensWithoutItsCredential(t *testing.T) {
	f := newFixture(t)
	const canary = "canary@southern.example"
	id := f.addUser(canary)
	groupID := f.addGroup("canary group", id)
	var routes []string
	for pattern := range f.server.routes {
		for _, item := range []string{id, groupID, "User", "x"} {
			routes = append(routes, "/"+strings.Replace(pattern, "*", item, 1))
		}
	}
	if len(f.server.routes) < 9 {
		t.Fatalf("only %d routes are registered", len(f.server.routes))
	}
	credentials := []string{"", "Bearer", "Bearer ", "Bearer wrong", "Bearer " + northernToken, northernToken, southernToken, "Basic " + southernToken,
		"Bearer " + southernToken + " x", "Bearer " + southernToken[:len(southernToken)-1], "Bearer " + southernToken + ",Bearer x"}
	requests := 0
	for _, route := range routes {
		for _, target := range spellings(southern, route) {
			for i, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get"} {
				r := crawl(t, method, target)
				if r == nil {
					continue
				}
				if c := credentials[(i+requests)%len(credentials)]; c != "" {
					r.Header.Set("Authorization", c)
				}
				requests++
				w := httptest.NewRecorder()
				f.server.ServeHTTP(w, r)
				if w.Code < 400 || w.Code >= 500 || strings.Contains(w.Body.String(), "canary") {
					t.Errorf("%s %s with %q: %d %s", method, target, r.Header.Get("Authorization"), w.Code, w.Body)
				}
			}
		}
	}
	if requests < 5000 {
		t.Errorf("only %d requests were made", requests)
	}
	f.send("GET", "/Users/"+id, "").is(200).has(`W/"1"`, "meta", "version")
}

func crawl(t *testing.T, method, target string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil // net/http answers such a request line itself
	}
	r := httptest.NewRequest(method, Prefix, strings.NewReader(user("intruder")))
	r.URL, r.RequestURI = u, target
	r.Header.Set("Content-Type", "application/scim+json")
	return r
}

// With the right credential, a fixed segment that is spelt with an escape, or in
// another case, is still no route.
func TestAFixedSegmentIsComparedAsWritten(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	for _, target := range []string{"/%55sers/" + id, "/Users%2F" + id, "/users/" + id, "/Users/./" + id, "//Users/" + id, "/Users/%2e%2e/Users/" + id, "/Users/" + id + "%2F", "/Users/" + id + "%252F", "/Users/" + id + "/.", "/Users/..", "/Users/%2E%2E", "/Users/."} {
		r := crawl(t, "GET", Prefix+southern+target)
		r.Header.Set("Authorization", "Bearer "+southernToken)
		f.serve(r).refusal(404, "")
	}
	f.send("GET", "/Users/"+strings.Replace(id, "_", "%5F", 1), "").is(200)
}

func TestWrongTokensAndUnknownConnectionsAreAnsweredAlike(t *testing.T) {
	f := newFixture(t)
	var answers []string
	for _, c := range []struct{ connection, token string }{
		{southern, "wrong"}, {southern, northernToken}, {"nowhere", southernToken}, {"nowhere", "wrong"}, {northern, southernToken}, {"%2e%2e", southernToken}, {"", southernToken}, {southern, ""},
	} {
		r := httptest.NewRequest("GET", Prefix+"x/Users", nil)
		r.URL.Path, r.URL.RawPath = Prefix+c.connection+"/Users", Prefix+c.connection+"/Users"
		r.Header.Set("Authorization", "Bearer "+c.token)
		got := f.serve(r).refusal(401, "")
		if got.header.Get("WWW-Authenticate") != `Bearer realm="scim"` {
			t.Errorf("WWW-Authenticate %q", got.header.Get("WWW-Authenticate"))
		}
		answers = append(answers, got.text)
	}
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("answers differ:\n%s\n%s", answers[0], a)
		}
	}
	for _, o := range f.seen {
		if o.Connection != "" {
			t.Errorf("a refused request is counted under connection %q", o.Connection)
		}
	}
}

func TestAGateThatSaysMoreIsNotRepeated(t *testing.T) {
	f := newFixture(t)
	want := f.send("GET", "/Users", "", "Authorization: Bearer wrong").refusal(401, "").text
	for _, err := range []error{NotFound("southern"), Forbidden("the connection has ended"), Invalid(TypeInvalidValue, "token checksum")} {
		f.gate.fails = err
		if got := f.send("GET", "/Users", "").refusal(401, "").text; got != want {
			t.Errorf("%v is told: %s", err, got)
		}
	}
	f.gate.fails = Unavailable(errors.New("the store is closed"))
	f.send("GET", "/Users", "").refusal(503, "")
	f.gate.fails = errors.New("not classified")
	f.send("GET", "/Users", "").refusal(500, "")
}

func TestTwoAuthorizationHeadersAreNone(t *testing.T) {
	f := newFixture(t)
	r := httptest.NewRequest("GET", Prefix+southern+"/Users", nil)
	r.Header["Authorization"] = []string{"Bearer " + southernToken, "Bearer " + southernToken}
	f.serve(r).refusal(401, "")
}

func TestAnotherConnectionsIDsLookLikeUnknownOnes(t *testing.T) {
	f := newFixture(t)
	for range 3 {
		f.addUser("filler" + string(rune('a'+len(f.southern.people.rows))))
	}
	foreign := "/Users/per_0003" // southern's; northern has nobody
	r := httptest.NewRequest("GET", Prefix+northern+foreign, nil)
	r.Header.Set("Authorization", "Bearer "+northernToken)
	unknown := strings.Replace(f.send("GET", "/Users/per_9999", "").refusal(404, "").text, "per_9999", "per_0003", 1)
	if got := f.serve(r).refusal(404, "").text; got != unknown {
		t.Errorf("foreign: %s\nunknown: %s", got, unknown)
	}
}
