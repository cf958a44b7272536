package scim

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	southern      = "southern"
	northern      = "northern"
	southernToken = "dbs_southern-token"
	northernToken = "dbs_northern-token"
	publicURL     = "https://bridge.example"
)

// fixture is a server over two connections' memories.
type fixture struct {
	t        *testing.T
	server   *Server
	gate     *gate
	southern *memory
	northern *memory
	seen     []Observation
	token    string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	clock := func() time.Time { now = now.Add(time.Millisecond); return now }
	f := &fixture{t: t, southern: newMemory(clock), northern: newMemory(clock), token: southernToken}
	f.gate = &gate{tokens: map[string]string{southern: southernToken, northern: northernToken},
		dirs: map[string]Directory{southern: f.southern.directory(southern), northern: f.northern.directory(northern)}}
	f.server = New(Config{Gate: f.gate, PublicURL: publicURL, Now: clock,
		Observe: func(_ context.Context, o Observation) { f.seen = append(f.seen, o) }})
	return f
}

// reply is an answer as a client sees it.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	text   string
}

// send makes one request on the southern connection. target is what follows the
// connection; headers are "Name: value" and replace the usual ones.
func (f *fixture) send(method, target, body string, headers ...string) reply {
	f.t.Helper()
	r := httptest.NewRequest(method, Prefix+southern+target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+f.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return f.serve(r)
}

func (f *fixture) serve(r *http.Request) reply {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	return reply{t: f.t, status: w.Code, header: w.Header(), text: w.Body.String()}
}

// is checks the status and returns the reply, so that a test reads as a conversation.
func (r reply) is(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.text)
	}
	return r
}

// at follows names and indexes into the body; nil if there is nothing.
func (r reply) at(path ...any) any {
	r.t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.text), &v); err != nil {
		r.t.Fatalf("the body is not JSON: %v: %s", err, r.text)
	}
	for _, step := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[step.(string)]
		case []any:
			i := step.(int)
			if i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// has checks one value of the body.
func (r reply) has(want any, path ...any) reply {
	r.t.Helper()
	if got := r.at(path...); got != want {
		r.t.Errorf("%v is %v (%T), want %v: %s", path, got, got, want, r.text)
	}
	return r
}

func (r reply) id() string {
	r.t.Helper()
	id, _ := r.at("id").(string)
	if id == "" {
		r.t.Fatalf("no id in %s", r.text)
	}
	return id
}

// refusal checks that the reply is an error in SCIM's own form.
func (r reply) refusal(status int, scimType string) reply {
	r.t.Helper()
	r.is(status)
	if got := r.header.Get("Content-Type"); got != "application/scim+json" {
		r.t.Errorf("Content-Type %q", got)
	}
	r.has("urn:ietf:params:scim:api:messages:2.0:Error", "schemas", 0)
	r.has(strconv.Itoa(status), "status")
	if scimType != "" {
		r.has(scimType, "scimType")
	} else if got := r.at("scimType"); got != nil {
		r.t.Errorf("scimType %v, want none", got)
	}
	if detail, _ := r.at("detail").(string); detail == "" {
		r.t.Errorf("no detail in %s", r.text)
	}
	return r
}

func user(name string) string {
	return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"` + name + `"}`
}

func group(name string, members ...string) string {
	var list []string
	for _, m := range members {
		list = append(list, `{"value":"`+m+`"}`)
	}
	return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"` + name + `","members":[` + strings.Join(list, ",") + `]}`
}

func patchOps(ops string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":` + ops + `}`
}

// addUser and addGroup provision one and return the id.
func (f *fixture) addUser(name string) string {
	f.t.Helper()
	return f.send("POST", "/Users", user(name)).is(201).id()
}

func (f *fixture) addGroup(name string, members ...string) string {
	f.t.Helper()
	return f.send("POST", "/Groups", group(name, members...)).is(201).id()
}

func names(r reply) []string {
	r.t.Helper()
	var all []string
	list, _ := r.at("Resources").([]any)
	for _, v := range list {
		o := v.(map[string]any)
		for _, key := range []string{"userName", "displayName"} {
			if s, ok := o[key].(string); ok {
				all = append(all, s)
				break
			}
		}
	}
	return all
}

func sameNames(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
