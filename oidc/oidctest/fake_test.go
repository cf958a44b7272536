package oidctest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// far is a SCIM server that is just enough to answer: it keeps what it was sent
// and numbers it. It proves nothing about the bridge; it records the wire.
type far struct {
	mu       sync.Mutex // guards the rest
	lines    []string
	known    map[string]map[string]any // id → document
	next     map[string]int
	password string
}

func newFar(t *testing.T) (*far, string) {
	t.Helper()
	f := &far{known: map[string]map[string]any{}, next: map[string]int{}}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return f, s.URL + "/scim/v2/far"
}

func (f *far) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Header.Get("Authorization") != "Bearer tok" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"401","detail":"who are you?"}`)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/scim/v2/far")
	f.note(r, path, body)
	w.Header().Set("Content-Type", "application/scim+json")
	f.answer(w, r, path, body)
}

func (f *far) note(r *http.Request, path string, body []byte) {
	if q := r.URL.RawQuery; q != "" {
		path += "?" + q
	}
	var u struct{ Password string }
	if json.Unmarshal(body, &u) == nil && u.Password != "" {
		f.password = u.Password
		body = []byte(strings.Replace(string(body), u.Password, "RANDOM", 1))
	}
	line := r.Method + " " + path
	if len(body) > 0 {
		line += "\n" + string(body)
	}
	f.lines = append(f.lines, line)
}

func (f *far) answer(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	kind := map[string]string{"Users": "u", "Groups": "g"}[parts[0]]
	switch {
	case r.Method == http.MethodPost:
		var doc map[string]any
		if err := json.Unmarshal(body, &doc); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.next[kind]++
		id := fmt.Sprintf("%s%d", kind, f.next[kind])
		doc["id"] = id
		delete(doc, "password")
		f.known[id] = doc
		w.WriteHeader(http.StatusCreated)
		write(w, doc)
	case len(parts) == 1:
		f.list(w, r, kind)
	case r.Method == http.MethodGet:
		write(w, f.known[parts[1]])
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (f *far) list(w http.ResponseWriter, r *http.Request, kind string) {
	found := []any{}
	want := r.URL.Query().Get("filter")
	for id, doc := range f.known {
		for _, name := range []string{"userName", "displayName"} {
			if strings.HasPrefix(id, kind) && want == fmt.Sprintf("%s eq %q", name, doc[name]) {
				found = append(found, doc)
			}
		}
	}
	write(w, map[string]any{"totalResults": len(found), "Resources": found})
}

func write(w io.Writer, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(b)
}

// said gives what was sent since the last call.
func (f *far) said() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := strings.Join(f.lines, "\n") + "\n"
	f.lines = nil
	return out
}

const tenant = "1d2e3f40-5a6b-4c7d-8e9f-0a1b2c3d4e5f"

func people() *oidctest.Directory {
	return oidctest.NewDirectory([]oidctest.Person{
		{ObjectID: "oid-sam", UserName: "sam@banksia.example", Email: "sam@banksia.example", GivenName: "Sam", FamilyName: "Ryder",
			DisplayName: "Sam Ryder", Department: "Depot", Active: true},
		{ObjectID: "oid-kim", UserName: "kim@banksia.example", Email: "kim@banksia.example", GivenName: "Kim", FamilyName: "Oakes",
			DisplayName: "Kim Oakes", Active: true, Certification: "Trainer", CertificationExpires: time.Date(2030, 6, 30, 0, 0, 0, 0, time.UTC)},
		{ObjectID: "oid-old", UserName: "old@banksia.example", Email: "old@banksia.example", GivenName: "Olive", FamilyName: "Dane",
			DisplayName: "Olive Dane"},
	}, []oidctest.Group{{ObjectID: "gid-geelong", Name: "GL Geelong Managers", Members: []string{"oid-sam", "oid-old"}}})
}

type vendor func(oidctest.Config) (*oidctest.IdP, error)

// open starts an identity provider on loopback that sends to scim.
func open(t *testing.T, make vendor, scim string, change func(*oidctest.Config)) (*oidctest.IdP, string) {
	t.Helper()
	var h http.Handler
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(s.Close)
	cfg := oidctest.Config{
		Name: "Banksia Freight", ID: "banksia", BaseURL: s.URL, TenantID: tenant, ClientID: "bridge", ClientSecret: secret.New("s p:e%c"),
		RedirectURIs: []string{"http://127.0.0.1:1/connect/banksia/callback"},
		SCIM:         oidctest.SCIM{BaseURL: scim, Token: secret.New("tok")}, Directory: people(),
	}
	if change != nil {
		change(&cfg)
	}
	idp, err := make(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h = idp.Handler()
	return idp, s.URL
}

var probeID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// hideProbe makes Entra's random probe the same each time.
func hideProbe(s string) string { return probeID.ReplaceAllString(s, "RANDOM-GUID") }
