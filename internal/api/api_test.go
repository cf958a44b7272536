package api

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

var routes = []struct{ method, path string }{
	{"GET", "/status"}, {"GET", "/doctor"}, {"GET", "/connections"}, {"GET", "/explain?person=kim"}, {"GET", "/who-can-see?scope=southern"}, {"GET", "/who-has?grant=standard"}, {"GET", "/who-was-in?group=x"},
	{"GET", "/connections/southern-entra/drift"}, {"DELETE", "/connections/southern-entra/drift?group=grp_x"},
	{"POST", "/connections/southern-entra/tokens"}, {"DELETE", "/connections/southern-entra/tokens/x"},
	{"POST", "/connections/southern-entra/clients"}, {"DELETE", "/connections/southern-entra/clients/x"},
	{"POST", "/connections/southern-entra/clients/x/secrets"}, {"DELETE", "/connections/southern-entra/clients/x/secrets/y"},
	{"PUT", "/connections/southern-entra/people/per_x/certification"}, {"GET", "/nothing"},
}

// The bridge behind the API is missing on purpose: whatever gets past the door panics.
func TestNothingIsDoneWithoutTheAdministratorsToken(t *testing.T) {
	token := credential.NewOpaque(credential.KindAdmin).Reveal()
	h := New(Config{Token: credential.DigestOf(token)})
	for _, bearer := range []string{"", "Bearer ", "Bearer " + token[:len(token)-1], "Bearer " + token + "x", "Basic " + token, "bearer" + token,
		"Bearer " + credential.NewOpaque(credential.KindAdmin).Reveal(), "Bearer " + credential.NewOpaque(credential.KindSession).Reveal()} {
		for _, route := range routes {
			r := httptest.NewRequest(route.method, Prefix+route.path, nil)
			if bearer != "" {
				r.Header.Set("Authorization", bearer)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var p struct{ Detail string }
			if err := json.Unmarshal(w.Body.Bytes(), &p); w.Code != 401 || err != nil || p.Detail == "" || w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s with %q: %d %s", route.method, route.path, strings.ReplaceAll(bearer, token, "…"), w.Code, w.Body)
			}
		}
	}
}

func TestAZeroTokenOpensNothing(t *testing.T) {
	h := New(Config{})
	r := httptest.NewRequest("GET", Prefix+"/status", nil)
	r.Header.Set("Authorization", "Bearer "+credential.NewOpaque(credential.KindAdmin).Reveal())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 401 {
		t.Errorf("answered %d", w.Code)
	}
}

func TestTheDescriptionNamesEveryRoute(t *testing.T) {
	w := httptest.NewRecorder()
	New(Config{Version: "test"}).ServeHTTP(w, httptest.NewRequest("GET", Prefix+"/openapi.json", nil))
	var d struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Fatalf("%d %v %s", w.Code, err, d.OpenAPI)
	}
	known := map[string]string{"/status": "get", "/doctor": "get", "/connections": "get", "/connections/{connection}": "get", "/explain": "get", "/who-can-see": "get", "/who-has": "get", "/who-was-in": "get",
		"/connections/{connection}/tokens": "post", "/connections/{connection}/tokens/{token}": "delete",
		"/connections/{connection}/clients": "post", "/connections/{connection}/clients/{client}": "delete",
		"/connections/{connection}/clients/{client}/secrets": "post", "/connections/{connection}/clients/{client}/secrets/{secret}": "delete",
		"/connections/{connection}/people/{person}/certification": "put", "/connections/{connection}/drift": "get",
		"/scim/requests": "get", "/scim/requests/{request}": "get", "/simulate": "post", "/policy/replays": "post",
		"/scopes": "get", "/scope": "get", "/scope/rename": "post", "/scope/plans": "post",
		"/sessions": "get", "/sessions/{session}": "get", "/sessions/end": "post",
		"/signing-keys": "get", "/signing-keys/rotate": "post", "/signing-keys/{key}/retire": "post", "/receivers": "get", "/receivers/{receiver}/retry": "post", "/webhooks/{webhook}/test": "post",
		"/connections/{connection}/restore-plans": "post", "/connections/{connection}/restores": "post",
		"/policy/plans": "post", "/policy/applications": "post", "/policy/applications/{version}": "get", "/policy/applications/{version}/plans": "post", "/policy/diff": "get",
		"/register": "get", "/register/table": "get", "/register/entry": "put", "/register/imports": "post", "/register/tables": "post",
		"/connections/{connection}/people/{person}/limits": "post", "/limits/{limit}/lift": "post", "/exceptions": "get", "/permits/{permit}/handover": "post", "/permits/{permit}/handover/note": "post",
		"/scopes/imports": "post", "/scopes/imports/{import}/scopes": "post", "/scopes/imports/{import}/commit": "post",
		"/people": "get", "/requests/proposals": "post", "/requests": "post", "/requests/{request}": "get", "/requests/{request}/approve": "post", "/requests/{request}/deny": "post", "/requests/{request}/withdraw": "post", "/requests/{request}/confirm": "post", "/permits": "get", "/permits/{permit}/revoke": "post", "/cases": "get", "/cases/{case}": "get", "/cases/{case}/close": "post",
		"/access/report": "get", "/reviews": "get", "/reviews/{review}": "get", "/reviews/{review}/cards": "get", "/reviews/{review}/cards/{connection}/{person}": "get", "/reviews/{review}/close": "post", "/reviews/{review}/decisions": "post", "/reviews/{review}/report": "get"}
	for path, method := range known {
		if d.Paths[Prefix+path][method] == nil {
			t.Errorf("%s %s is not described", method, path)
		}
	}
	if len(d.Paths) != len(known) {
		t.Errorf("%d paths are described; this test knows %d", len(d.Paths), len(known))
	}
}

func TestEveryKindOfFaultIsAnsweredAndInternalTextStaysInside(t *testing.T) {
	want := map[fault.Kind]int{fault.Internal: 500, fault.Invalid: 400, fault.Unauthenticated: 409, fault.Denied: 403, fault.NotFound: 404,
		fault.Conflict: 409, fault.Stale: 412, fault.Unsupported: 501, fault.Limited: 429, fault.Unavailable: 503}
	for _, k := range fault.Kinds() {
		err := problem(&fault.Error{Kind: k, Op: "x", Detail: "what to do", Err: errors.New("disk sda1")})
		var status huma.StatusError
		if !errors.As(err, &status) || status.GetStatus() != want[k] || strings.Contains(err.Error(), "sda1") {
			t.Errorf("%s: %v, want %d", k, err, want[k])
		}
	}
	if got := problem(errors.New("plain")); !strings.Contains(got.Error(), "failed") {
		t.Error(got)
	}
}
