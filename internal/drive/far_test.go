package drive_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/drive"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// server is a small SCIM server that can be made to misbehave. It proves nothing
// about the bridge: cmd/drawbridge drives that.
type server struct {
	mu       sync.Mutex // guards the rest
	users    map[string]map[string]any
	groups   map[string]map[string]any
	members  map[string][]string // by group
	next     int
	asked    []string // "POST /Users", in order
	at       []time.Time
	before   func(n int, r *http.Request, w http.ResponseWriter) (answered bool) // called with the lock held
	after    func(n int, r *http.Request, w http.ResponseWriter) (answered bool) // it is done; the answer may be lost
	bulk     int                                                                 // operations in one request; 0: none are offered
	deaf     bool                                                                // to Entra's active
	amnesiac bool                                                                // forgets memberships of who goes
}

func newServer(t *testing.T) (*server, string) {
	t.Helper()
	s := &server{users: map[string]map[string]any{}, groups: map[string]map[string]any{}, members: map[string][]string{}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h.URL + "/scim/v2/far"
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	r.Body = io.NopCloser(bytes.NewReader(body)) // for before and after
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/scim/v2/far")
	s.asked, s.at = append(s.asked, r.Method+" "+path), append(s.at, time.Now())
	w.Header().Set("Content-Type", "application/scim+json")
	if r.Header.Get("Authorization") != "Bearer tok" {
		fail(w, http.StatusUnauthorized)
		return
	}
	n := len(s.asked)
	if s.before != nil && s.before(n, r, w) {
		return
	}
	late := httptest.NewRecorder()
	s.answer(late, r, path, body)
	if s.after != nil && s.after(n, r, w) {
		return
	}
	w.WriteHeader(late.Code)
	_, _ = w.Write(late.Body.Bytes())
}

// all does the operations of a bulk request, last one first: only bulkIds say which
// answer is whose.
func (s *server) all(w http.ResponseWriter, body []byte) {
	var req struct {
		Operations []struct {
			Method, Path, BulkID string
			Data                 json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &req); err != nil || len(req.Operations) > s.bulk {
		fail(w, http.StatusRequestEntityTooLarge)
		return
	}
	done := []any{}
	for _, o := range slices.Backward(req.Operations) {
		one := httptest.NewRecorder()
		s.answer(one, httptest.NewRequest(o.Method, o.Path, nil), o.Path, o.Data)
		op := map[string]any{"method": o.Method, "bulkId": o.BulkID, "status": fmt.Sprint(one.Code)}
		if id, ok := decode(one.Body.Bytes())["id"].(string); ok {
			op["location"] = "http://far.example" + o.Path + "/" + id
		}
		done = append(done, op)
	}
	tell(w, http.StatusOK, map[string]any{"Operations": done})
}

func fail(w http.ResponseWriter, status int) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"%d","detail":"made to fail"}`, status)
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	switch {
	case path == "/ServiceProviderConfig":
		tell(w, http.StatusOK, map[string]any{"bulk": map[string]any{"supported": s.bulk > 0, "maxOperations": s.bulk, "maxPayloadSize": 1 << 20}})
		return
	case path == "/Bulk" && s.bulk > 0:
		s.all(w, body)
		return
	}
	kind, id, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	all := map[string]map[string]map[string]any{"Users": s.users, "Groups": s.groups}[kind]
	switch {
	case all == nil || id != "" && all[id] == nil:
		fail(w, http.StatusNotFound)
	case r.Method == http.MethodPost:
		s.create(w, kind, all, body)
	case r.Method == http.MethodDelete:
		delete(all, id)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPatch:
		s.patch(w, id, all[id], body)
	case r.Method == http.MethodPut:
		doc := decode(body)
		doc["id"] = id
		all[id] = doc
		tell(w, http.StatusOK, doc)
	case id != "":
		tell(w, http.StatusOK, s.whole(id, all[id]))
	default:
		s.list(w, r, all)
	}
}

func (s *server) create(w http.ResponseWriter, kind string, all map[string]map[string]any, body []byte) {
	doc := decode(body)
	name := map[string]string{"Users": "userName", "Groups": "displayName"}[kind]
	for _, d := range all {
		if d[name] == doc[name] {
			fail(w, http.StatusConflict)
			return
		}
	}
	s.next++
	doc["id"] = fmt.Sprintf("%s-%d", strings.ToLower(kind[:1]), s.next)
	all[doc["id"].(string)] = doc
	tell(w, http.StatusCreated, doc)
}

func (s *server) patch(w http.ResponseWriter, id string, doc map[string]any, body []byte) {
	var p struct {
		Operations []struct {
			Op, Path string
			Value    any
		}
	}
	if err := json.Unmarshal(body, &p); err != nil {
		fail(w, http.StatusBadRequest)
		return
	}
	for _, o := range p.Operations {
		switch {
		case o.Path == "members" || strings.HasPrefix(o.Path, "members["):
			s.move(id, strings.ToLower(o.Op), o.Path, o.Value)
		case o.Path == "active" && s.deaf:
		case o.Path == "active":
			doc["active"] = o.Value == "True" || o.Value == true
			s.forget(id, doc)
		case o.Path == "":
			for k, v := range o.Value.(map[string]any) {
				doc[k] = v
			}
			s.forget(id, doc)
		default:
			doc[o.Path] = o.Value
		}
	}
	tell(w, http.StatusOK, doc)
}

// forget is the bug that a restore cycle is there to find.
func (s *server) forget(id string, doc map[string]any) {
	if !s.amnesiac || doc["active"] != false {
		return
	}
	for g := range s.members {
		s.members[g] = slices.DeleteFunc(s.members[g], func(m string) bool { return m == id })
	}
}

func (s *server) move(group, op, path string, value any) {
	var ids []string
	if list, ok := value.([]any); ok {
		for _, m := range list {
			ids = append(ids, m.(map[string]any)["value"].(string))
		}
	} else {
		ids = []string{strings.Split(path, `"`)[1]}
	}
	kept := slices.DeleteFunc(slices.Clone(s.members[group]), func(m string) bool { return op == "replace" || slices.Contains(ids, m) })
	if op != "remove" {
		kept = append(kept, ids...)
	}
	s.members[group] = kept
}

func (s *server) whole(id string, doc map[string]any) map[string]any {
	members := []any{}
	for _, m := range s.members[id] {
		members = append(members, map[string]any{"value": m})
	}
	out := map[string]any{"members": members}
	for k, v := range doc {
		if k != "members" {
			out[k] = v
		}
	}
	return out
}

func (s *server) list(w http.ResponseWriter, r *http.Request, all map[string]map[string]any) {
	found := []any{}
	want := r.URL.Query().Get("filter")
	for _, doc := range all {
		if want == fmt.Sprintf("userName eq %q", doc["userName"]) || want == fmt.Sprintf("displayName eq %q", doc["displayName"]) {
			found = append(found, doc)
		}
	}
	tell(w, http.StatusOK, map[string]any{"totalResults": len(found), "Resources": found})
}

func decode(body []byte) map[string]any {
	doc := map[string]any{}
	if err := json.Unmarshal(body, &doc); err != nil {
		panic(err)
	}
	return doc
}

func tell(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// count is how often something was asked.
func (s *server) count(what string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asked {
		if a == what {
			n++
		}
	}
	return n
}

// small is a drive of forty people in four groups of ten.
func small(vendor, url string, cycle drive.Cycle) drive.Options {
	return drive.Options{Vendor: vendor, URL: url, Token: secret.New("tok"), Cycle: cycle, People: 40, Groups: 4, Memberships: 40,
		Seed: 7, Concurrency: 4, Backoff: time.Millisecond, RequestTimeout: 2 * time.Second, Timeout: 20 * time.Second}
}

// run drives and expects that error, or none.
func run(t *testing.T, o drive.Options) drive.Report {
	t.Helper()
	d, err := drive.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, r)
	}
	return r
}
