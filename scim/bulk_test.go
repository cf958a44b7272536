package scim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// bulk sends operations, each the text of a JSON object; more are members of the
// request beside them.
func (f *fixture) bulk(operations []string, more ...string) reply {
	f.t.Helper()
	return f.send("POST", "/Bulk", bulkBody(operations, more...))
}

func bulkBody(operations []string, more ...string) string {
	return `{"schemas":["` + urnBulkRequest + `"],` + strings.Join(append(more, ""), ",") + `"Operations":[` + strings.Join(operations, ",") + `]}`
}

func post(bulkID, path, data string) string {
	return fmt.Sprintf(`{"method":"POST","bulkId":%q,"path":%q,"data":%s}`, bulkID, path, data)
}

func bulkUser(bulkID, name string) string { return post(bulkID, "/Users", user(name)) }

func managed(bulkID, name, manager string) string {
	return post(bulkID, "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User",%q],"userName":%q,%q:{"manager":{"value":%q}}}`,
		schemaEnterprise, name, schemaEnterprise, manager))
}

func change(method, path, data string) string {
	return fmt.Sprintf(`{"method":%q,"path":%q,"data":%s}`, method, path, data)
}

// statuses are "201 400/invalidValue …", in the order of the answer.
func statuses(r reply) string {
	r.t.Helper()
	operations, _ := r.at("Operations").([]any)
	var got []string
	for _, o := range operations {
		o := o.(map[string]any)
		status := text(o["status"])
		refusal, refused := o["response"].(map[string]any)
		if refused != (status[0] != '2') || refused && text(refusal["status"]) != status {
			r.t.Errorf("status %s with the response %v", status, refusal)
		}
		if kind := text(refusal["scimType"]); kind != "" {
			status += "/" + kind
		}
		got = append(got, status)
	}
	return strings.Join(got, " ")
}

// ended checks the statuses of all operations.
func (r reply) ended(want string) reply {
	r.t.Helper()
	r.is(200).has(urnBulkResponse, "schemas", 0)
	if got := statuses(r); got != want {
		r.t.Errorf("the operations ended in\n%s, want\n%s: %s", got, want, r.text)
	}
	return r
}

// eachLookTakes makes the server's clock move at every look by so much.
func (f *fixture) eachLookTakes(d time.Duration) {
	now := f.server.now()
	f.server.now = func() time.Time { now = now.Add(d); return now }
}

// made is the id in an operation's location.
func (r reply) made(i int) string {
	location := text(r.at("Operations", i, "location"))
	return location[strings.LastIndexByte(location, '/')+1:]
}

func TestABulkCreatesPeopleAndTheGroupThatHoldsThem(t *testing.T) {
	f := newFixture(t)
	f.eachLookTakes(time.Microsecond)
	r := f.bulk([]string{bulkUser("qwerty", "kim@southern.example"), bulkUser("asdf", "lee@southern.example"),
		post("ytrewq", "/Groups", group("Depot", "bulkId:qwerty", "bulkId:asdf"))}).ended("201 201 201")
	kim := r.made(0)
	r.has("POST", "Operations", 0, "method").has("qwerty", "Operations", 0, "bulkId").has(`W/"1"`, "Operations", 0, "version")
	r.has(publicURL+"/scim/v2/southern/Users/"+kim, "Operations", 0, "location").has(nil, "Operations", 0, "response")
	f.send("GET", "/Users/"+kim, "").is(200).has("kim@southern.example", "userName")
	f.send("GET", "/Groups/"+r.made(2), "").is(200).has(kim, "members", 0, "value").has(r.made(1), "members", 1, "value")
	if f.southern.commits != 1 {
		t.Errorf("three operations took %d commits", f.southern.commits)
	}
	if o := f.seen[len(f.seen)-3]; o.Resource != "Bulk" || o.Status != 200 || o.Err != nil {
		t.Errorf("the bulk is observed as %+v", o)
	}
}

func TestReferencesStandAnywhereAndMayPointForward(t *testing.T) {
	f := newFixture(t)
	f.addUser("old@southern.example")
	r := f.bulk([]string{
		post("g1", "/Groups", group("Depot", "bulkId:kim", "bulkId:lee")),
		managed("kim", "kim@southern.example", "bulkId:lee"),
		bulkUser("lee", "lee@southern.example"),
		change("PATCH", "/Groups/bulkId:g1", patchOps(`[{"op":"remove","path":"members[value eq \"bulkId:lee\"]"},{"op":"replace","path":"displayName","value":"Depot 2"}]`)),
		change("PATCH", "/Users/bulkId:lee", patchOps(`[{"op":"add","path":"`+schemaEnterprise+`:manager","value":{"value":"bulkId:kim","$ref":"../Users/bulkId:kim"}}]`)),
		post("g2", "/Groups", group("Yard")),
		change("PUT", "/Groups/bulkId:g2", group("Yard 2", `bulk\u0049d:kim`)),
		`{"method":"DELETE","path":"/Users/per_0001"}`,
	}).ended("201 201 201 204 200 201 200 204")
	kim, lee := r.made(1), r.made(2)
	f.send("GET", "/Groups/"+r.made(0), "").is(200).has("Depot 2", "displayName").has(kim, "members", 0, "value").has(nil, "members", 1)
	f.send("GET", "/Users/"+kim, "").is(200).has(lee, schemaEnterprise, "manager", "value")
	f.send("GET", "/Users/"+lee, "").is(200).has(kim, schemaEnterprise, "manager", "value").has("../Users/"+kim, schemaEnterprise, "manager", "$ref").has(`W/"2"`, "meta", "version")
	f.send("GET", "/Groups/"+r.made(5), "").is(200).has("Yard 2", "displayName").has(kim, "members", 0, "value")
	r.has(publicURL+"/scim/v2/southern/Groups/"+r.made(0), "Operations", 3, "location").has(`W/"2"`, "Operations", 3, "version")
	r.has(nil, "Operations", 7, "version").has(publicURL+"/scim/v2/southern/Users/per_0001", "Operations", 7, "location")
}

// What refers to each other is created all the same (RFC 7644 section 3.7.1).
func TestCirclesAreResolved(t *testing.T) {
	f := newFixture(t)
	r := f.bulk([]string{
		post("ga", "/Groups", group("A", "bulkId:gb", "bulkId:self")), post("gb", "/Groups", group("B", "bulkId:ga")),
		managed("kim", "kim@southern.example", "bulkId:lee"), managed("lee", "lee@southern.example", "bulkId:max"), managed("max", "max@southern.example", "bulkId:kim"),
		managed("self", "own-boss@southern.example", "bulkId:self"),
		post("crew", "/Groups", group("Crew", "bulkId:led")), managed("led", "led@southern.example", "bulkId:crew"),
	}).ended("201 201 201 201 201 201 201 201")
	for i, manager := range map[int]int{2: 3, 3: 4, 4: 2, 5: 5} {
		f.send("GET", "/Users/"+r.made(i), "").is(200).has(r.made(manager), schemaEnterprise, "manager", "value")
	}
	f.send("GET", "/Groups/"+r.made(0), "").is(200).has(r.made(5), "members", 0, "value")
	f.send("GET", "/Groups/"+r.made(6), "").is(200).has(r.made(7), "members", 0, "value")
}

// A user's groups are read-only: what they name is no reference.
func TestWhatIsReadOnlyRefersToNothing(t *testing.T) {
	f := newFixture(t)
	f.bulk([]string{post("kim", "/Users", `{"userName":"kim@southern.example","groups":[{"value":"bulkId:nothing"}]}`)}).ended("201")
}

func TestACircleIsKeptWholeOrNotAtAll(t *testing.T) {
	f := newFixture(t)
	f.addUser("lee@southern.example")
	f.bulk([]string{managed("kim", "kim@southern.example", "bulkId:lee"), managed("lee", "LEE@southern.example", "bulkId:kim"),
		post("g", "/Groups", group("Depot", "bulkId:kim")), bulkUser("max", "max@southern.example")}).ended("409 409/uniqueness 409 201")
	sameNames(t, names(f.send("GET", "/Users", "").is(200)), "lee@southern.example", "max@southern.example")

	var ring []string
	for i := range mostCircle + 1 {
		ring = append(ring, managed(fmt.Sprint("u", i), fmt.Sprint("ring", i), fmt.Sprint("bulkId:u", (i+1)%(mostCircle+1))))
	}
	f.bulk(ring).ended(strings.TrimSpace(strings.Repeat("409 ", mostCircle+1)))
	f.send("GET", "/Users?count=0", "").is(200).has(2.0, "totalResults")
}

func TestAnOperationIsRefusedInItsPlaceAndTheOthersGoOn(t *testing.T) {
	f := newFixture(t)
	kim := f.addUser("kim@southern.example")
	for want, op := range map[string]string{
		"400/invalidValue":  post("u", "/Users", `{"schemas":[]}`),
		"400/invalidSyntax": `{"method":"GET","path":"/Users"}`,
		"400/invalidPath":   change("PATCH", "/Users/"+kim, patchOps(`[{"op":"add","path":"a b","value":1}]`)),
		"400/noTarget":      change("PATCH", "/Users/"+kim, patchOps(`[{"op":"remove"}]`)),
		"404":               `{"method":"DELETE","path":"/Users/per_9999"}`,
		"405":               `{"method":"DELETE","path":"/Users"}`,
		"409/uniqueness":    bulkUser("u", "KIM@southern.example"),
		"412":               `{"method":"DELETE","path":"/Users/` + kim + `","version":"W/\"7\""}`,
		"413":               post("u", "/Users", `{"userName":"u@southern.example","title":"`+strings.Repeat("x", 60<<10)+`","nickName":"`+strings.Repeat(" ", 60<<10)+`","x":[`+strings.Repeat(`"`+strings.Repeat("y", 1<<10)+`",`, 950)+`1]}`),
		"501":               change("POST", "/Me", "{}"),
	} {
		if want == "501" {
			op = post("u", "/Me", "{}")
		}
		r := f.bulk([]string{op, bulkUser("ok", "ok"+want)}).ended(want + " 201")
		if r.at("Operations", 0, "method") == "POST" && r.at("Operations", 0, "location") != nil {
			t.Errorf("%s: what was not created has an address: %s", want, r.text)
		}
		if len(r.text) > 1500 {
			t.Errorf("%s: the answer repeats the request: %d bytes", want, len(r.text))
		}
	}
	for op, want := range map[string]string{
		`{"method":"POST","path":"/Users","data":{}}`:                     "400/invalidValue", // no bulkId
		`{"method":"POST","bulkId":"u","data":{}}`:                        "400/invalidValue", // no path
		`{"method":"POST","bulkId":"u","path":"/Users"}`:                  "400/invalidValue", // no data
		`{"method":"PUT","path":"/Users/` + kim + `","data":null}`:        "400/invalidValue",
		`{"method":"PUT","path":"/Users/` + kim + `","data":[]}`:          "400/invalidSyntax",
		`{"method":7,"path":"/Users"}`:                                    "400/invalidValue",
		`{"path":"/Users"}`:                                               "400/invalidSyntax",
		`{"method":"DELETE","path":["/Users"]}`:                           "400/invalidValue",
		`{"method":"DELETE","path":"/Users/` + kim + `","version":1}`:     "400/invalidValue",
		`{"method":"DELETE","path":"/users/` + kim + `"}`:                 "404",
		`{"method":"DELETE","path":"/Users/a/b"}`:                         "404",
		`{"method":"DELETE","path":"/Schemas/x"}`:                         "405",
		post("u", "/Bulk", `{}`):                                          "400/invalidValue",
		post(strings.Repeat("u", maxBulkID+1), "/Users", user("u")):       "400/invalidValue",
		post("u", "/Groups", group("G", "bulkId:nobody")):                 "400/invalidValue",
		`{"method":"DELETE","path":"/Users/bulkId:nobody"}`:               "400/invalidValue",
		post("u", "/Users/"+kim, user("u")):                               "405",
		`{"method":"DELETE","path":"/Users/` + kim + `?attributes=id"}`:   "404",
		change("PATCH", "/Users/bulkId:", patchOps(`[]`)):                 "400/invalidValue",
		post("u", "/Users", `{"userName":"u","manager":"bulkId:nobody"}`): "400/invalidValue",
	} {
		f.bulk([]string{op}).ended(want)
	}
	f.bulk([]string{change("PUT", "/Users/"+kim, `null`)}).has(publicURL+"/scim/v2/southern/Users/"+kim, "Operations", 0, "location")
	f.bulk([]string{bulkUser("twice", "a@southern.example"), bulkUser("twice", "b@southern.example"), post("g", "/Groups", group("G", "bulkId:twice"))}).
		ended("400/invalidValue 400/invalidValue 409")
	f.bulk([]string{post("a", "/Groups", group("A", "bulkId:b")), post("b", "/Groups", group("B", "bulkId:a", "bulkId:nobody"))}).ended("409 400/invalidValue")
	f.send("GET", "/Users/"+kim, "").is(200).has(`W/"1"`, "meta", "version")
	if o := f.seen[len(f.seen)-2]; o.Status != 200 || o.Err == nil {
		t.Errorf("the log does not learn of refused operations: %+v", o)
	}
}

func TestWhoRefersToAFailureFailsWithIt(t *testing.T) {
	f := newFixture(t)
	f.addUser("kim@southern.example")
	r := f.bulk([]string{bulkUser("kim", "kim@southern.example"), managed("lee", "lee@southern.example", "bulkId:kim"),
		post("g", "/Groups", group("Depot", "bulkId:lee")), `{"method":"DELETE","path":"/Users/bulkId:kim"}`}).
		ended("409/uniqueness 409 409 409")
	r.has(nil, "Operations", 3, "location")
	f.send("GET", "/Users?count=0", "").is(200).has(1.0, "totalResults")
	f.send("GET", "/Groups?count=0", "").is(200).has(0.0, "totalResults")
}

func TestFailOnErrorsStopsAtSoManyErrors(t *testing.T) {
	f := newFixture(t)
	bad := `{"method":"DELETE","path":"/Users/per_9999"}`
	for i, c := range []struct{ failOn, want string }{
		{`"failOnErrors":1`, "201 404"}, {`"failOnErrors":0`, "201 404"}, {`"failOnErrors":2`, "201 404 201 404"},
		{`"failOnErrors":3`, "201 404 201 404 201"}, {`"failOnErrors":null`, "201 404 201 404 201"},
	} {
		u := func(n int) string { return bulkUser(fmt.Sprint("u", n), fmt.Sprint("person", i, n)) }
		f.bulk([]string{u(1), bad, u(2), bad, u(3)}, c.failOn).ended(c.want)
	}
}

func TestARequestThatIsNoBulkIsRefusedWhole(t *testing.T) {
	f := newFixture(t)
	for body, want := range map[string]string{
		`{`:                                      "invalidSyntax",
		`[]`:                                     "invalidSyntax",
		`{"schemas":["` + urnBulkRequest + `"]}`: "invalidSyntax",
		`{"Operations":{}}`:                      "invalidSyntax",
		bulkBody([]string{`7`}):                  "invalidSyntax",
		bulkBody([]string{bulkUser("u", "u"), `{"method":"POST","METHOD":"PUT"}`}): "invalidSyntax",
		bulkBody([]string{bulkUser("u", "u")}, `"failOnErrors":-1`):                "invalidValue",
		bulkBody([]string{bulkUser("u", "u")}, `"failOnErrors":"1"`):               "invalidValue",
		bulkBody([]string{bulkUser("u", "u")}, `"failOnErrors":1.5`):               "invalidValue",
		bulkBody([]string{bulkUser("u", "u")}) + "}":                               "invalidSyntax",
		bulkBody([]string{post("u", "/Users", strings.Repeat("[", 40))}):           "invalidSyntax",
		bulkBody(nil, `"deep":`+strings.Repeat("[", 35)+strings.Repeat("]", 35)):   "invalidSyntax",
	} {
		f.send("POST", "/Bulk", body).refusal(400, want)
	}
	f.send("POST", "/Bulk", bulkBody(nil), "Content-Type: text/plain").refusal(415, "")
	f.send("GET", "/Bulk", "").refusal(405, "")
	f.bulk(nil).ended("")
	f.send("GET", "/Users?count=0", "").is(200).has(0.0, "totalResults")
}

func TestTheAnnouncedLimitsOfABulkHold(t *testing.T) {
	f := newFixture(t)
	spc := f.send("GET", "/ServiceProviderConfig", "").is(200)
	most, size := int(spc.at("bulk", "maxOperations").(float64)), int(spc.at("bulk", "maxPayloadSize").(float64))
	var operations []string
	for i := range most {
		operations = append(operations, bulkUser(fmt.Sprint("u", i), fmt.Sprint("person", i)))
	}
	f.eachLookTakes(longestTogether / 50)
	f.bulk(operations).ended(strings.TrimSpace(strings.Repeat("201 ", most)))
	if n := f.southern.commits; n != most/50 {
		t.Errorf("%d operations of a 50th of the time each took %d commits", most, n)
	}
	f.southern.commits = 0
	f.eachLookTakes(-longestTogether / 50) // and so time stands still
	f.bulk(operations).ended(strings.TrimSpace(strings.Repeat("409/uniqueness ", most)))
	if n := f.southern.commits; n != (most+mostTogether-1)/mostTogether {
		t.Errorf("%d operations of no time at all took %d commits", most, n)
	}
	r := f.bulk(append(operations, bulkUser("more", "more"))).refusal(413, "")
	r.has(fmt.Sprintf("The bulk operation exceeds the maxOperations (%d).", most), "detail")
	r = f.send("POST", "/Bulk", bulkBody(nil)+strings.Repeat(" ", size)).refusal(413, "")
	r.has(fmt.Sprintf("The size of the bulk operation exceeds the maxPayloadSize (%d).", size), "detail")
	f.send("POST", "/Bulk", bulkBody(nil)+strings.Repeat(" ", size-len(bulkBody(nil)))).is(200)
}

func TestOperationsKeepTheirOrderWhereNothingRefers(t *testing.T) {
	f := newFixture(t)
	kim := f.addUser("kim@southern.example")
	f.bulk([]string{
		change("PATCH", "/Users/"+kim, patchOps(`[{"op":"replace","path":"title","value":"a"}]`)),
		change("PATCH", "/Users/"+kim, patchOps(`[{"op":"replace","path":"title","value":"b"}]`)),
		`{"method":"DELETE","path":"/Users/` + kim + `","version":"W/\"3\""}`, bulkUser("kim", "kim@southern.example"),
	}).ended("200 200 204 201")
}

func TestABulkIsAsLenientAsItsConnection(t *testing.T) {
	f := newFixture(t)
	lenient := `{"Operations":[{"METHOD":"post","bulkId":"u","path":"Users/","data":{"userName":"kim@southern.example","active":"True"}}]}`
	f.send("POST", "/Bulk", lenient).ended("201")
	for _, word := range []string{"unknown-schema", "any-case", "string-boolean"} {
		if !slices.ContainsFunc(f.seen[0].Notes, func(n string) bool { return strings.HasPrefix(n, word+":") }) {
			t.Errorf("%s is not noted: %v", word, f.seen[0].Notes)
		}
	}
	dir := f.gate.dirs[southern]
	dir.Strict = true
	f.gate.dirs[southern] = dir
	f.send("POST", "/Bulk", lenient).refusal(400, "invalidSyntax")
	f.bulk([]string{strings.Replace(bulkUser("u", "lee@southern.example"), "POST", "post", 1)}).ended("400/invalidSyntax")
}

// What a commit did not keep, none of its operations has done.
func TestALostCommitIsToldOfEveryOperation(t *testing.T) {
	f := newFixture(t)
	f.southern.lost = Unavailable(errors.New("secret disk"))
	r := f.bulk([]string{bulkUser("u", "kim@southern.example"), `{"method":"DELETE","path":"/Users/per_9999"}`}).ended("503 503")
	if strings.Contains(r.text, "secret") {
		t.Errorf("internal text left the process: %s", r.text)
	}
	r.has(nil, "Operations", 0, "location").has(nil, "Operations", 0, "version")
	f.southern.lost = nil
	f.send("GET", "/Users?count=0", "").is(200).has(0.0, "totalResults")
}

// A database may run a transaction again: what the first run came to is forgotten.
func TestATransactionThatRunsAgainIsCountedOnce(t *testing.T) {
	f := newFixture(t)
	dir := f.gate.dirs[southern]
	dir.Together = func(ctx context.Context, fn func(Directory) error) error {
		again := errors.New("serialization failure")
		for _, f.southern.fails = range []error{nil, Forbidden("not this time")} {
			err := f.southern.together(ctx, func(d Directory) error { return errors.Join(fn(d), again) })
			if !errors.Is(err, again) {
				t.Error(err)
			}
		}
		f.southern.fails = nil
		return f.southern.together(ctx, fn)
	}
	f.gate.dirs[southern] = dir
	bad := `{"method":"DELETE","path":"/Users/per_9999"}`
	r := f.bulk([]string{managed("kim", "kim@southern.example", "bulkId:lee"), managed("lee", "lee@southern.example", "bulkId:kim"), bad, bulkUser("max", "max@southern.example"), bad, bad},
		`"failOnErrors":2`).ended("201 201 404 201 404")
	f.send("GET", "/Users/"+r.made(3), "").is(200).has("max@southern.example", "userName")
	f.send("GET", "/Users?count=0", "").is(200).has(3.0, "totalResults")
}

// moving gives a resource another id than the one that was reserved for it, as a
// directory may that had it already.
type moving struct{ Collection }

func (m moving) Create(ctx context.Context, in Input) (Resource, error) {
	in.ID = ""
	return m.Collection.Create(ctx, in)
}

func TestAnIDThatWasNotTheReservedOneIsFollowed(t *testing.T) {
	f := newFixture(t)
	dir := f.gate.dirs[southern]
	dir.Together = func(_ context.Context, fn func(Directory) error) error {
		d := f.southern.directory("southern")
		d.Users = moving{d.Users}
		return fn(d)
	}
	f.gate.dirs[southern] = dir
	r := f.bulk([]string{post("g", "/Groups", group("Depot", "bulkId:kim")), bulkUser("kim", "kim@southern.example"),
		change("PATCH", "/Users/bulkId:kim", patchOps(`[{"op":"add","path":"title","value":"x"}]`))}).ended("201 201 200")
	f.send("GET", "/Groups/"+r.made(0), "").is(200).has(r.made(1), "members", 0, "value")
}

// A bulk may hold many times its own size: a few run at once, others are told when
// to come again.
func TestBulksTakeTurns(t *testing.T) {
	f, _ := paced(t, admission.Rate{})
	bulks := f.server.limits.bulks
	for range bulksOfOne { // the most that one connection may have under way
		if err := bulks.Enter(t.Context(), southern); err != nil {
			t.Fatal(err)
		}
	}
	f.server.timeout = time.Millisecond
	body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[]}`
	if after := f.send("POST", "/Bulk", body).refusal(429, "").header.Get("Retry-After"); after != "1" {
		t.Errorf("Retry-After %q", after)
	}
	f.server.timeout = time.Minute
	answered := make(chan int)
	go func() { answered <- f.send("POST", "/Bulk", body).status }() // waits
	r := httptest.NewRequest("POST", Prefix+northern+"/Bulk", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+northernToken)
	r.Header.Set("Content-Type", "application/scim+json")
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Errorf("another connection's bulk meanwhile is answered %d", w.Code)
	}
	bulks.Leave(southern)
	if got := <-answered; got != 200 {
		t.Errorf("a bulk whose turn has come is answered %d", got)
	}
	f.send("POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"DELETE","path":"/Users/nobody"}]}`).is(200)
}

// Whoever sends bulks slowly, or is slow to read what became of them, takes nobody's turn.
func TestASlowBulkHoldsNoPlace(t *testing.T) {
	f, _ := paced(t, admission.Rate{})
	taken := 0
	look := func() {
		for i := range mostBulks {
			if other := fmt.Sprint("other", i); f.server.limits.bulks.TryEnter(other) {
				defer f.server.limits.bulks.Leave(other)
			} else {
				taken++
			}
		}
	}
	body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[]}`
	r := httptest.NewRequest("POST", Prefix+southern+"/Bulk", slowBody{strings.NewReader(body), look})
	r.Header.Set("Authorization", "Bearer "+southernToken)
	r.Header.Set("Content-Type", "application/scim+json")
	w := slowReader{httptest.NewRecorder(), look}
	f.server.ServeHTTP(w, r)
	if w.Code != 200 || taken != 0 {
		t.Errorf("it is answered %d and holds a place %d times", w.Code, taken)
	}
}

// slowBody and slowReader look around whenever they are read and written.
type slowBody struct {
	io.Reader
	look func()
}

func (b slowBody) Read(p []byte) (int, error) { b.look(); return b.Reader.Read(p) }

type slowReader struct {
	*httptest.ResponseRecorder
	look func()
}

func (w slowReader) Write(p []byte) (int, error) { w.look(); return w.ResponseRecorder.Write(p) }

// A condition that was sent must not vanish.
func TestAConditionWithoutATagMatchesNothing(t *testing.T) {
	for _, header := range []string{",", " ", "", ", ,"} {
		if parseMatch([]string{header}).Allows(1) {
			t.Errorf("If-Match %q allows everything", header)
		}
	}
	if !parseMatch(nil).Allows(1) {
		t.Error("without a header nothing is allowed")
	}
}
