package scim

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// The tests of this file are what real identity providers need of the HTTP side
// before anything else works.

const entraUser = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
 "externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"Kim.Ng@Southern.example","active":true,
 "emails":[{"primary":true,"type":"work","value":"kim.ng@southern.example"}],"meta":{"resourceType":"User"},
 "name":{"formatted":"Kim Ng","familyName":"Ng","givenName":"Kim"},"roles":[],
 "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Depot 4","employeeNumber":"77"}}`

func filterBy(f string) string { return "?filter=" + url.QueryEscape(f) }

func TestAFilterWithoutMatchIsAnEmptyListNotAnError(t *testing.T) {
	f := newFixture(t)
	for _, target := range []string{"/Users", "/Groups"} {
		attr := map[string]string{"/Users": "userName", "/Groups": "displayName"}[target]
		r := f.send("GET", target+filterBy(attr+` eq "3f0c0f1e-nobody"`), "").is(200)
		r.has(0.0, "totalResults").has(0.0, "itemsPerPage").has(1.0, "startIndex")
		r.has("urn:ietf:params:scim:api:messages:2.0:ListResponse", "schemas", 0)
		if !strings.Contains(r.text, `"Resources":[]`) {
			t.Errorf("%s: Resources is not an empty array: %s", target, r.text)
		}
	}
}

func TestAUserNameIsFoundInAnyCaseAndReturnedAsItWasSent(t *testing.T) {
	f := newFixture(t)
	f.send("POST", "/Users", entraUser).is(201)
	for _, text := range []string{`userName eq "KIM.NG@SOUTHERN.EXAMPLE"`, `emails.value eq "Kim.Ng@southern.example"`, `emails[type eq "work"].value eq "KIM.NG@southern.example"`} {
		sameNames(t, names(f.send("GET", "/Users"+filterBy(text), "").is(200)), "Kim.Ng@Southern.example")
	}
	sameNames(t, names(f.send("GET", "/Users"+filterBy(`externalId eq "0A21F0F2-8D2A-4F8E-BF98-7363C4AED4EF"`), "").is(200)))
}

func TestAnInactiveUserIsStillFound(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	f.send("PATCH", "/Users/"+id, patchOps(`[{"op":"Replace","path":"active","value":"False"}]`)).is(200).has(false, "active")
	f.send("GET", "/Users/"+id, "").is(200).has(false, "active")
	f.send("GET", "/Users"+filterBy(`userName eq "kim@southern.example"`), "").is(200).has(1.0, "totalResults")
}

func TestMembershipsAreThereAgainAfterReactivation(t *testing.T) {
	f := newFixture(t)
	kim := f.addUser("kim@southern.example")
	depot := f.addGroup("Depot", kim)
	f.send("PATCH", "/Users/"+kim, patchOps(`[{"op":"replace","value":{"active":false}}]`)).is(200)
	f.send("GET", "/Groups/"+depot, "").is(200).has(kim, "members", 0, "value")
	f.send("PATCH", "/Users/"+kim, patchOps(`[{"op":"replace","value":{"active":true}}]`)).is(200).has(depot, "groups", 0, "value")
}

func TestExcludedMembersAreNotEvenRead(t *testing.T) {
	f := newFixture(t)
	id := f.addGroup("Depot", f.addUser("kim@southern.example"))
	for _, target := range []string{"/Groups/" + id + "?excludedAttributes=members", "/Groups?excludedAttributes=members&" + filterBy(`displayName eq "Depot"`)[1:],
		"/Groups/" + id + "?attributes=displayName", "/Groups/" + id + "?excludedAttributes=URN:ietf:params:scim:schemas:core:2.0:Group:MEMBERS"} {
		f.southern.wanted = nil
		r := f.send("GET", target, "").is(200)
		if slices.ContainsFunc(f.southern.wanted, func(w Want) bool { return w.Relations }) {
			t.Errorf("%s: the members were asked for", target)
		}
		if strings.Contains(r.text, `"members"`) {
			t.Errorf("%s: %s", target, r.text)
		}
	}
}

func TestNoProjectionDropsIDOrSchemas(t *testing.T) {
	f := newFixture(t)
	id := f.send("POST", "/Users", entraUser).is(201).id()
	for _, query := range []string{"attributes=userName", "attributes=nothing", "attributes=", "excludedAttributes=id,schemas", "excludedAttributes=id,schemas,userName,meta"} {
		r := f.send("GET", "/Users/"+id+"?"+query, "").is(200)
		r.has(id, "id").has("urn:ietf:params:scim:schemas:core:2.0:User", "schemas", 0)
		f.send("GET", "/Users?"+query, "").is(200).has(id, "Resources", 0, "id")
	}
}

func TestCreateAnswersTheWholeResource(t *testing.T) {
	f := newFixture(t)
	r := f.send("POST", "/Users", entraUser).is(201)
	id := r.id()
	location := publicURL + "/scim/v2/southern/Users/" + id
	r.has("0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "externalId").has("Kim.Ng@Southern.example", "userName").has(true, "active")
	r.has("User", "meta", "resourceType").has(location, "meta", "location").has(`W/"1"`, "meta", "version")
	r.has("77", schemaEnterprise, "employeeNumber").has(schemaEnterprise, "schemas", 1).has(nil, "schemas", 2)
	if r.header.Get("Location") != location || r.header.Get("ETag") != `W/"1"` {
		t.Errorf("Location %q, ETag %q", r.header.Get("Location"), r.header.Get("ETag"))
	}
	for _, stamp := range []string{"created", "lastModified"} {
		text, _ := r.at("meta", stamp).(string)
		if _, err := time.Parse(time.RFC3339, text); err != nil || !strings.HasSuffix(text, "Z") {
			t.Errorf("meta.%s is %q", stamp, text)
		}
	}
	if again := f.send("GET", "/Users/"+id, "").is(200); again.text != r.text {
		t.Errorf("read again it is another:\n%s\n%s", r.text, again.text)
	}
}

const schemaEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

func TestATakenNameIs409Uniqueness(t *testing.T) {
	f := newFixture(t)
	f.addUser("kim@southern.example")
	f.addGroup("Depot")
	f.send("POST", "/Users", user("KIM@southern.example")).refusal(409, "uniqueness")
	f.send("POST", "/Groups", group("depot")).refusal(409, "uniqueness")
}

func TestEveryErrorIsSCIMsOwn(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	f.send("GET", "/Users/"+id, "", "Authorization: Bearer wrong").refusal(401, "")
	f.send("GET", "/Nothing", "").refusal(404, "")
	f.send("GET", "/Users/per_9999", "").refusal(404, "")
	f.send("GET", "/Users/"+id+"/emails", "").refusal(404, "")
	f.send("GET", "/Users/"+id, "", "Accept: text/html").refusal(406, "")
	f.send("POST", "/Users", user("x"), "Content-Type: text/plain").refusal(415, "")
	f.send("POST", "/Users", user("x"), "Content-Encoding: gzip").refusal(415, "")
	f.send("POST", "/Users", `{"userName":"`+strings.Repeat("x", defaultUserBody)+`"}`).refusal(413, "")
	f.send("PUT", "/Users/"+id, user("x"), `If-Match: W/"7"`).refusal(412, "")
	f.send("POST", "/Users", `{`).refusal(400, "invalidSyntax")
	f.send("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]}`).refusal(400, "invalidValue")
	f.send("GET", "/Users"+filterBy(`userName eq`), "").refusal(400, "invalidFilter")
	f.send("GET", "/Users?count=many", "").refusal(400, "invalidValue")
	f.send("GET", "/Me", "").refusal(501, "")
	if allow := f.send("PUT", "/Users", user("x")).refusal(405, "").header.Get("Allow"); allow != "GET, HEAD, POST" {
		t.Errorf("Allow %q", allow)
	}
	for status, err := range map[int]error{429: TooManyRequests(1500 * time.Millisecond), 500: errors.New("secret table name"), 503: Unavailable(errors.New("secret disk"))} {
		f.southern.fails = err
		r := f.send("GET", "/Users/"+id, "").refusal(status, "")
		if strings.Contains(r.text, "secret") {
			t.Errorf("internal text left the process: %s", r.text)
		}
		if got := r.header.Get("Retry-After"); status == 429 && got != "2" {
			t.Errorf("Retry-After %q, want whole seconds", got)
		}
	}
}

func TestBothMediaTypesAreReadWithAndWithoutCharset(t *testing.T) {
	f := newFixture(t)
	for i, media := range []string{"application/scim+json", "application/json", "application/scim+json; charset=utf-8", `application/json;charset="UTF-8"`, "Application/JSON"} {
		f.send("POST", "/Users", user("kim"+string(rune('a'+i))), "Content-Type: "+media).is(201)
	}
	id := f.addUser("lee")
	for _, accept := range []string{"", "*/*", "application/json", "application/scim+json", "text/html, application/json;q=0.5", "application/*"} {
		r := f.send("GET", "/Users/"+id, "", "Accept: "+accept, "Content-Type: application/scim+json; charset=utf-8", "Accept-Charset: utf-8").is(200)
		if got := r.header.Get("Content-Type"); got != "application/scim+json" {
			t.Errorf("Accept %q is answered as %q", accept, got)
		}
	}
	f.send("GET", "/Users/"+id+"?aadOptscim062020", "").is(200)
	f.send("POST", "/Users?aadOptscim062020", user("max")).is(201)
	f.send("POST", "/Users", user("ann"), "Content-Type: application/json; charset=utf-16").refusal(415, "")
}

func TestARawTokenIsTakenOnlyWhereTheConnectionSaysSo(t *testing.T) {
	f := newFixture(t)
	raw := "Authorization: " + southernToken
	f.send("GET", "/Users", "", raw).refusal(401, "")
	dir := f.gate.dirs[southern]
	dir.RawToken = true
	f.gate.dirs[southern] = dir
	f.send("GET", "/Users", "", raw).is(200)
	f.send("GET", "/Users", "", "Authorization: bearer "+southernToken).is(200)
	f.send("GET", "/Users", "", "Authorization: Basic "+southernToken).refusal(401, "")
	f.gate.dirs[southern] = Directory{Users: dir.Users, Groups: dir.Groups, IdP: "okta"}
	f.send("GET", "/Users", "", raw).is(200)
}

func TestGroupsAreAnsweredWhereThereAreNone(t *testing.T) {
	newFixture(t).send("GET", "/Groups", "").is(200).has(0.0, "totalResults")
}

func TestPagesAreIntegersInAStableOrder(t *testing.T) {
	f := newFixture(t)
	var all []string
	for i := range 11 {
		name := "person" + string(rune('a'+i))
		f.addUser(name)
		all = append(all, name)
	}
	var got []string
	for _, start := range []string{"1", "6", "11"} {
		r := f.send("GET", "/Users?count=5&startIndex="+start, "").is(200)
		got = append(got, names(r)...)
		if !strings.Contains(r.text, `"totalResults":11,"startIndex":`+start+`,"itemsPerPage":`) {
			t.Errorf("startIndex %s: %s", start, r.text)
		}
	}
	sameNames(t, got, all...)
	f.send("GET", "/Users?startIndex=6&count=5", "").is(200).has(6.0, "startIndex").has(5.0, "itemsPerPage")
	f.send("GET", "/Users?startIndex=0", "").is(200).has(1.0, "startIndex").has(11.0, "itemsPerPage")
	f.send("GET", "/Users?startIndex=99", "").is(200).has(99.0, "startIndex").has(0.0, "itemsPerPage").has(11.0, "totalResults")
	f.send("GET", "/Users?count=0", "").is(200).has(0.0, "itemsPerPage").has(11.0, "totalResults")
	f.send("GET", "/Users?count=-3", "").is(200).has(0.0, "itemsPerPage").has(11.0, "totalResults")
}

func TestAPercentSignInALiteralIsDecodedOnce(t *testing.T) {
	f := newFixture(t)
	f.addGroup("my % name")
	f.addGroup("a%41")
	sameNames(t, names(f.send("GET", "/Groups?filter=displayName+eq+%22my+%25+name%22", "").is(200)), "my % name")
	sameNames(t, names(f.send("GET", "/Groups?filter=displayName%20eq%20%22a%2541%22", "").is(200)), "a%41")
}

// TestOktaSPEC walks the twelve requests of Okta's published SPEC file.
func TestOktaSPEC(t *testing.T) {
	f := newFixture(t)
	f.send("POST", "/Users", entraUser).is(201)
	okta := []string{"Accept: application/scim+json", "User-Agent: Okta SCIM Client 1.0.0"}

	list := f.send("GET", "/Users?count=1&startIndex=1", "", okta...).is(200)
	list.has("urn:ietf:params:scim:api:messages:2.0:ListResponse", "schemas", 0).has(1.0, "itemsPerPage").has(1.0, "startIndex")
	for _, path := range [][]any{{"id"}, {"name", "familyName"}, {"name", "givenName"}, {"userName"}, {"emails", 0, "value"}} {
		if s, _ := list.at(append([]any{"Resources", 0}, path...)...).(string); s == "" {
			t.Errorf("the first user has no %v", path)
		}
	}
	list.has(true, "Resources", 0, "active")
	id := list.at("Resources", 0, "id").(string)

	f.send("GET", "/Users/"+id, "", okta...).is(200).has(id, "id").has("urn:ietf:params:scim:schemas:core:2.0:User", "schemas", 0)
	f.send("GET", "/Users"+filterBy(`userName eq "abcdefgh@abcdefgh.com"`), "", okta...).is(200).has(0.0, "totalResults")
	f.send("GET", "/Users/010101001010101011001010101011", "", okta...).refusal(404, "")

	runscope := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"Runscope300@southern.example",
 "name":{"givenName":"Runscope","familyName":"Runscope300"},"emails":[{"primary":true,"value":"runscope300@southern.example","type":"work"}],
 "displayName":"Runscope","active":true}`
	made := f.send("POST", "/Users", runscope, append(okta, "Content-Type: application/json")...).is(201)
	made.has(true, "active").has("Runscope", "name", "givenName").has("Runscope300@southern.example", "userName")
	f.send("GET", "/Users/"+made.id(), "", okta...).is(200).has("Runscope300", "name", "familyName")
	f.send("POST", "/Users", runscope, okta...).refusal(409, "uniqueness")
	f.send("GET", "/Users"+filterBy(`userName eq "rUNSCOPE300@southern.example"`), "", okta...).is(200).has(1.0, "totalResults")
	began := time.Now()
	f.send("GET", "/Groups", "", okta...).is(200)
	if took := time.Since(began); took > 600*time.Millisecond {
		t.Errorf("/Groups took %v", took)
	}
	f.send("GET", "/Users/"+id, "", append(okta, "Authorization: Bearer tokenThatIsNotTheRightOne")...).refusal(401, "").has("401", "status")
	f.send("GET", "/Users/00919288221112222", "", okta...).refusal(404, "").has("404", "status")
}

func TestDiscoverySaysOnlyWhatIsTrue(t *testing.T) {
	f := newFixture(t)
	spc := f.send("GET", "/ServiceProviderConfig", "").is(200)
	spc.has(true, "patch", "supported").has(true, "filter", "supported").has(200.0, "filter", "maxResults").has(true, "etag", "supported")
	spc.has(true, "sort", "supported").has(false, "changePassword", "supported")
	spc.has(true, "bulk", "supported").has(1000.0, "bulk", "maxOperations").has(float64(4<<20), "bulk", "maxPayloadSize")
	spc.has(true, "pagination", "cursor").has(true, "pagination", "index").has("index", "pagination", "defaultPaginationMethod").has(3600.0, "pagination", "cursorTimeout")
	spc.has(100.0, "pagination", "defaultPageSize").has(200.0, "pagination", "maxPageSize")
	spc.has("oauthbearertoken", "authenticationSchemes", 0, "type").has(true, "authenticationSchemes", 0, "primary")
	spc.has(publicURL+"/scim/v2/southern/ServiceProviderConfig", "meta", "location")

	types := f.send("GET", "/ResourceTypes", "").is(200).has(4.0, "totalResults")
	types.has("/Users", "Resources", 0, "endpoint").has(schemaEnterprise, "Resources", 0, "schemaExtensions", 0, "schema")
	f.send("GET", "/ResourceTypes/Group", "").is(200).has("/Groups", "endpoint")
	f.send("GET", "/ResourceTypes/Device", "").refusal(404, "")

	all := f.send("GET", "/Schemas", "").is(200)
	for i := range int(all.at("totalResults").(float64)) {
		urn := all.at("Resources", i, "id").(string)
		one := f.send("GET", "/Schemas/"+urn, "").is(200).has(urn, "id").has("Schema", "meta", "resourceType")
		f.send("GET", "/Schemas/"+url.PathEscape(urn), "").is(200).has(urn, "id")
		if strings.Contains(one.text, "null") || strings.Contains(one.text, `"password"`) {
			t.Errorf("%s says more than is true: %s", urn, one.text)
		}
	}
	for _, target := range []string{"/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/Schemas/" + schemaEnterprise, "/ResourceTypes/User"} {
		f.send("GET", target+filterBy(`id eq "x"`), "").refusal(403, "")
		f.send("GET", target+"?startIndex=2&sortBy=id", "").is(200)
		f.send("POST", target, "{}").refusal(405, "")
		f.send("GET", target, "", "Authorization: Bearer wrong").refusal(401, "")
	}
}

func TestWhatProviderConfigCallsMaxResultsIsTheMost(t *testing.T) {
	f := newFixture(t)
	for i := range maxCount + 1 {
		f.addUser("p" + strings.Repeat("x", i))
	}
	f.send("GET", "/Users?count=1000", "").is(200).has(float64(maxCount), "itemsPerPage").has(float64(maxCount+1), "totalResults")
	f.send("GET", "/Users", "").is(200).has(float64(defaultCount), "itemsPerPage")
}

func TestHeadersOfTheRequestDecideNoAddress(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	f.addGroup("Depot", id)
	want := f.send("GET", "/Users/"+id, "").is(200).text
	for _, h := range []string{"Forwarded: host=evil.example;proto=http", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http", "X-Original-URL: /scim/v2/northern/Users", "X_Forwarded_Host: evil.example"} {
		if got := f.send("GET", "/Users/"+id, "", h).is(200).text; got != want {
			t.Errorf("%s changed the answer: %s", h, got)
		}
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(want), &body); err != nil {
		t.Fatal(err)
	}
	if got := body["meta"].(map[string]any)["location"]; got != publicURL+"/scim/v2/southern/Users/"+id {
		t.Errorf("location %v", got)
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	for _, target := range []string{"/Users/" + id, "/Users", "/Groups/", "/Schemas", "/ServiceProviderConfig"} {
		f.send(http.MethodHead, target, "").is(200)
	}
}
