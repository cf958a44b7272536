package scim

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestAProjectionKeepsWhatItNames(t *testing.T) {
	f := newFixture(t)
	id := f.send("POST", "/Users", entraUser).is(201).id()
	f.addGroup("Depot", id)
	const head = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"`
	const core = head + `],"id":"per_0001"`
	const ext = head + `,"` + schemaEnterprise + `"],"id":"per_0001"`
	for query, want := range map[string]string{
		"attributes=username":                                            core + `,"userName":"Kim.Ng@Southern.example"}`,
		"attributes=name.givenName,name.familyNam":                       core + `,"name":{"givenName":"Kim"}}`,
		"attributes=emails.value":                                        core + `,"emails":[{"value":"kim.ng@southern.example"}]}`,
		"attributes=emails.display":                                      core + `}`,
		"attributes=emails,emails.value":                                 core + `,"emails":[{"value":"kim.ng@southern.example","type":"work","primary":true}]}`,
		"attributes=groups.value":                                        core + `,"groups":[{"value":"grp_0001"}]}`,
		"attributes=meta.version":                                        core + `,"meta":{"version":"W/\"1\""}}`,
		"attributes=" + schemaEnterprise:                                 ext + `,"` + schemaEnterprise + `":{"employeeNumber":"77","department":"Depot 4"}}`,
		"attributes=department":                                          ext + `,"` + schemaEnterprise + `":{"department":"Depot 4"}}`,
		"attributes=" + schemaEnterprise + ":DEPARTMENT,userName":        ext + `,"userName":"Kim.Ng@Southern.example","` + schemaEnterprise + `":{"department":"Depot 4"}}`,
		"attributes=urn:ietf:params:scim:schemas:core:2.0:User:userName": core + `,"userName":"Kim.Ng@Southern.example"}`,
		"excludedAttributes=meta,groups,name,emails,externalId,active," + schemaEnterprise:                                         core + `,"userName":"Kim.Ng@Southern.example"}`,
		"excludedAttributes=meta,groups,emails.type,emails.primary,name.formatted,externalId,active,userName," + schemaEnterprise:  core + `,"name":{"familyName":"Ng","givenName":"Kim"},"emails":[{"value":"kim.ng@southern.example"}]}`,
		"excludedAttributes=meta,groups,name,emails,externalId,active,userName,urn:none,department":                                ext + `,"` + schemaEnterprise + `":{"employeeNumber":"77"}}`,
		"excludedAttributes=meta.location,meta.created,meta.lastModified,groups,name,emails,externalId,active," + schemaEnterprise: core + `,"userName":"Kim.Ng@Southern.example","meta":{"resourceType":"User","version":"W/\"1\""}}`,
	} {
		if got := f.send("GET", "/Users/"+id+"?"+query, "").is(200).text; got != want {
			t.Errorf("%s\n got %s\nwant %s", query, got, want)
		}
	}
	f.send("GET", "/Users/"+id+"?attributes=id&excludedAttributes=name", "").refusal(400, "invalidValue")
}

func TestVersionsGuardWrites(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	get := f.send("GET", "/Users/"+id, "").is(200)
	if tag := get.header.Get("ETag"); tag != `W/"1"` {
		t.Fatalf("ETag %q", tag)
	}
	for _, tag := range []string{`W/"1"`, `"1"`, "*", `"7", W/"1"`} {
		r := f.send("GET", "/Users/"+id, "", "If-None-Match: "+tag).is(304)
		if r.text != "" || r.header.Get("ETag") != `W/"1"` {
			t.Errorf("If-None-Match %s: %q with ETag %q", tag, r.text, r.header.Get("ETag"))
		}
	}
	f.send("GET", "/Users/"+id, "", `If-None-Match: W/"2"`).is(200)
	f.send("GET", "/Users/"+id, "", `If-None-Match: 1`).is(200)
	f.send("PUT", "/Users/"+id, user("kim2@southern.example"), `If-Match: W/"1"`).is(200).has(`W/"2"`, "meta", "version")
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		body := map[string]string{"PUT": user("x"), "PATCH": patchOps(`[]`), "DELETE": ""}[method]
		for _, tag := range []string{`W/"1"`, `"abc"`, "2", `W/"-1"`} {
			f.send(method, "/Users/"+id, body, "If-Match: "+tag).refusal(412, "")
		}
	}
	f.send("PATCH", "/Users/"+id, patchOps(`[{"op":"replace","path":"title","value":"x"}]`), "If-Match: *").is(200)
	f.send("DELETE", "/Users/"+id, "", `If-Match: W/"3"`).is(204)
	f.send("GET", "/Users/"+id, "", `If-None-Match: *`).refusal(404, "")
}

func TestAGroupPatchIsAnsweredWithItsVersionAlone(t *testing.T) {
	f := newFixture(t)
	id := f.addGroup("Depot")
	kim := f.addUser("kim@southern.example")
	add := patchOps(`[{"op":"add","path":"members","value":[{"value":"` + kim + `"}]}]`)
	f.southern.wanted = nil
	r := f.send("PATCH", "/Groups/"+id, add).is(204)
	if r.text != "" || r.header.Get("ETag") != `W/"2"` || f.southern.wanted[0].Relations {
		t.Errorf("204 with %q, ETag %q, members read: %v", r.text, r.header.Get("ETag"), f.southern.wanted)
	}
	f.send("PATCH", "/Groups/"+id+"?attributes=members", add).is(200).has(kim, "members", 0, "value").has(publicURL+"/scim/v2/southern/Users/"+kim, "members", 0, "$ref")
	r = f.send("PATCH", "/Groups/"+id+"?excludedAttributes=members", add).is(200)
	if r.has("Depot", "displayName"); strings.Contains(r.text, "members") {
		t.Errorf("members were excluded: %s", r.text)
	}
	f.send("PUT", "/Groups/"+id, group("Depot 2", kim)).is(200).has("Depot 2", "displayName").has("User", "members", 0, "type")
	f.send("DELETE", "/Groups/"+id, "").is(204)
	f.send("DELETE", "/Groups/"+id, "").refusal(404, "")
}

// endless is a collection whose one group has many members, read one by one; the
// stream fails where it is told to.
type endless struct {
	shelf
	members, failAt int
}

func (e endless) Get(context.Context, string, Want) (Resource, error) {
	return Resource{ID: "grp_1", Version: 1, Doc: []byte(`{"displayName":"Everybody"}`), Relations: e.stream()}, nil
}

func (e endless) stream() iter.Seq2[Relation, error] {
	return func(yield func(Relation, error) bool) {
		for i := range e.members {
			var err error
			if i == e.failAt {
				err = Unavailable(errors.New("the store went away"))
			}
			if !yield(Relation{ID: "per_" + strings.Repeat("x", 20), Display: "Kim"}, err) {
				return
			}
		}
	}
}

// discard counts what it throws away.
type discard struct {
	header http.Header
	status int
	bytes  int
	most   int // the largest single write
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(s int)   { d.status = s }
func (d *discard) Write(b []byte) (int, error) {
	d.bytes += len(b)
	d.most = max(d.most, len(b))
	return len(b), nil
}

func TestMembersAreStreamedAndNeverHeld(t *testing.T) {
	f := newFixture(t)
	f.gate.dirs[southern] = Directory{Groups: endless{members: 100_000, failAt: -1}}
	r := httptest.NewRequest("GET", Prefix+southern+"/Groups/grp_1", nil)
	r.Header.Set("Authorization", "Bearer "+southernToken)
	w := &discard{header: http.Header{}}
	f.server.ServeHTTP(w, r)
	if w.status != 200 || w.bytes < 10_000_000 || w.most > 2*spillAt {
		t.Errorf("status %d, %d bytes, at most %d at once", w.status, w.bytes, w.most)
	}
}

func TestAStreamThatFailsIsNeverTakenForWhole(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewServer(f.server)
	defer server.Close()
	get := func(failAt int) (int, error) {
		f.gate.dirs[southern] = Directory{Groups: endless{members: 10_000, failAt: failAt}}
		r, err := http.NewRequest("GET", server.URL+Prefix+southern+"/Groups/grp_1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+southernToken)
		resp, err := server.Client().Do(r)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	if status, err := get(3); status != 503 || err != nil {
		t.Errorf("a failure before anything was sent: %d, %v; want 503", status, err)
	}
	if status, err := get(9_000); err == nil {
		t.Errorf("a failure in the middle: %d and a whole body; want a broken connection", status)
	}
	if status, err := get(-1); status != 200 || err != nil {
		t.Errorf("no failure: %d, %v", status, err)
	}
}

// panics is a collection with a bug.
type panics struct{ shelf }

func (panics) Get(context.Context, string, Want) (Resource, error) { panic("a bug near secret data") }

// slow waits for the deadline.
type slow struct{ shelf }

func (slow) Get(ctx context.Context, _ string, _ Want) (Resource, error) {
	<-ctx.Done()
	return Resource{}, ctx.Err()
}

func TestABugIsAnInternalErrorAndADeadlineIsUnavailable(t *testing.T) {
	f := newFixture(t)
	f.gate.dirs[southern] = Directory{Users: panics{}}
	if r := f.send("GET", "/Users/x", "").refusal(500, ""); strings.Contains(r.text, "secret") {
		t.Errorf("the panic's text left the process: %s", r.text)
	}
	if last := f.seen[len(f.seen)-1]; last.Status != 500 || !strings.Contains(last.Err.Error(), "secret") {
		t.Errorf("the log got %+v", last)
	}
	f.server = New(Config{Gate: f.gate, PublicURL: publicURL, Now: time.Now, Timeout: 5 * time.Millisecond})
	f.gate.dirs[southern] = Directory{Users: slow{}}
	f.send("GET", "/Users/x", "").refusal(503, "")
}

// A document that the store has damaged is our fault, not half an answer.
type damaged struct{ shelf }

func (damaged) Get(context.Context, string, Want) (Resource, error) {
	return Resource{ID: "per_1", Version: 1, Doc: []byte(`{"userName":"kim`)}, nil
}

func TestADamagedDocumentIsAnInternalError(t *testing.T) {
	f := newFixture(t)
	f.gate.dirs[southern] = Directory{Users: damaged{}}
	f.send("GET", "/Users/per_1", "").refusal(500, "")
}

func TestEachRequestIsObservedOnceWithBoundedWords(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	f.seen = nil
	f.send("GET", "/Users/"+id, "")
	f.send("BREW", "/Users/"+id, "")
	f.send("GET", "/Made/up", "")
	f.send("GET", "/Groups", "", "Authorization: Bearer wrong")
	want := []struct {
		method, resource, connection string
		status                       int
	}{{"GET", "Users", southern, 200}, {"other", "Users", southern, 405}, {"GET", "", southern, 404}, {"GET", "", "", 401}}
	if len(f.seen) != len(want) {
		t.Fatalf("%d observations, want %d", len(f.seen), len(want))
	}
	for i, w := range want {
		o := f.seen[i]
		if o.Method != w.method || o.Resource != w.resource || o.Connection != w.connection || o.Status != w.status || o.Duration <= 0 {
			t.Errorf("observed %+v, want %+v", o, w)
		}
		if (o.Err != nil) != (o.Status >= 400) {
			t.Errorf("%d with error %v", o.Status, o.Err)
		}
	}
}

func TestLeniencyIsNotedAndStrictRefuses(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	odd := patchOps(`[{"op":"Replace","path":"active","value":"False"}]`)
	f.send("PATCH", "/Users/"+id, odd).is(200)
	if last := f.seen[len(f.seen)-1]; len(last.Notes) == 0 {
		t.Error("nothing was noted")
	}
	f.send("POST", "/Users", `{"schemas":["urn:x"],"userName":"lee"}`).is(201)
	dir := f.gate.dirs[southern]
	dir.Strict = true
	f.gate.dirs[southern] = dir
	f.send("PATCH", "/Users/"+id, odd).is(400)
	f.send("POST", "/Users", `{"schemas":["urn:x"],"userName":"max"}`).is(400)
}
