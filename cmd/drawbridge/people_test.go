package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// opened are the routes that people may use by their own tokens; every other is the
// operator's alone. A new route stands in one of the two lists, or the test below fails.
var opened = []string{
	"GET /access/report", "GET /cases", "GET /cases/{case}", "POST /cases/{case}/close", "GET /connections/{connection}/people/{person}/limits",
	"POST /connections/{connection}/people/{person}/limits", "GET /exceptions", "POST /limits/{limit}/lift", "GET /people", "GET /permits",
	"POST /permits/{permit}/revoke", "GET /permits/{permit}/handover", "POST /permits/{permit}/handover", "POST /permits/{permit}/handover/note", "GET /register", "DELETE /register/entry", "GET /register/entry", "PUT /register/entry", "POST /register/imports",
	"GET /register/table", "POST /register/tables", "GET /requests", "POST /requests", "POST /requests/proposals", "GET /requests/{request}",
	"POST /requests/{request}/approve", "POST /requests/{request}/confirm", "POST /requests/{request}/deny", "POST /requests/{request}/withdraw",
	"GET /reviews", "POST /reviews", "GET /reviews/{review}", "GET /reviews/{review}/cards", "GET /reviews/{review}/cards/{connection}/{person}",
	"POST /reviews/{review}/close", "POST /reviews/{review}/decisions", "GET /reviews/{review}/report", "POST /scopes", "POST /scope/rename",
}

var operators = []string{
	"GET /status", "GET /doctor", "GET /connections", "GET /connections/{connection}", "GET /explain", "GET /who-can-see", "GET /who-has", "GET /who-was-in",
	"POST /connections/{connection}/tokens", "DELETE /connections/{connection}/tokens/{token}", "POST /connections/{connection}/clients", "DELETE /connections/{connection}/clients/{client}",
	"POST /connections/{connection}/clients/{client}/secrets", "DELETE /connections/{connection}/clients/{client}/secrets/{secret}",
	"PUT /connections/{connection}/people/{person}/certification", "GET /connections/{connection}/drift", "DELETE /connections/{connection}/drift",
	"GET /scim/requests", "GET /scim/requests/{request}", "POST /simulate", "POST /policy/replays", "GET /scopes", "GET /scope", "POST /scope/plans",
	"GET /sessions", "GET /sessions/{session}", "POST /sessions/end", "GET /signing-keys", "POST /signing-keys/rotate", "POST /signing-keys/{key}/retire",
	"GET /receivers", "POST /receivers/{receiver}/retry", "POST /webhooks/{webhook}/test", "POST /connections/{connection}/restore-plans", "POST /connections/{connection}/restores",
	"POST /policy/plans", "POST /policy/applications", "GET /policy/applications", "GET /policy/applications/{version}", "POST /policy/applications/{version}/plans", "GET /policy/diff",
	"POST /scopes/imports", "POST /scopes/imports/{import}/scopes", "POST /scopes/imports/{import}/commit",
}

// manned is a bridge with people of steward/testdata/world.yaml who are signed in.
type manned struct {
	*app
	t      testing.TB
	tokens map[access.ConnectionID]string // of their identity providers
}

func withPeople(t *testing.T) manned {
	t.Helper()
	text, err := os.ReadFile("../../internal/steward/testdata/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	yaml := strings.Replace(string(text), "data: ./data ", "data: %s ", 1)
	yaml = strings.Replace(yaml, "    audience: https://api.lantern.example\n", "    audience: https://api.lantern.example\n    resources: [ https://telemetry.lantern.example ]\n", 1)
	yaml = strings.Replace(yaml, "log: { level: info }", "log: { level: error }", 1)
	m := manned{assembledWith(t, yaml, setting{log: io.Discard}), t, map[access.ConnectionID]string{}}
	for _, c := range m.cfg.Connections {
		token, _, err := m.bridge.CreateSCIMToken(t.Context(), c.ID, "test", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		m.tokens[c.ID] = token.Reveal()
	}
	return m
}

// person provisions somebody of a connection in a group that is made, and gives their id.
func (m manned) person(conn access.ConnectionID, name, group string) access.PersonID {
	m.t.Helper()
	id := m.send(conn, http.MethodPost, "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"`+name+`","externalId":"`+name+`","active":true}`)
	m.send(conn, http.MethodPost, "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"`+group+`","members":[{"value":"`+id+`"}]}`)
	return access.PersonID(id)
}

// send sends what a connection's identity provider would, and gives the id of the answer.
func (m manned) send(conn access.ConnectionID, method, path, body string) string {
	m.t.Helper()
	r := httptest.NewRequest(method, "/scim/v2/"+string(conn)+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+m.tokens[conn])
	r.Header.Set("Content-Type", "application/scim+json")
	rec := httptest.NewRecorder()
	m.public.ServeHTTP(rec, r)
	var made struct{ ID string }
	if err := json.Unmarshal(rec.Body.Bytes(), &made); err != nil || rec.Code >= 300 {
		m.t.Fatalf("%s %s answered %d %s", method, path, rec.Code, rec.Body)
	}
	return made.ID
}

func (m manned) switchOff(conn access.ConnectionID, person access.PersonID) {
	m.send(conn, http.MethodPatch, "/Users/"+string(person), `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`)
}

// token signs somebody in to Fleet Web and gives their access token.
func (m manned) token(conn access.ConnectionID, name string, change ...func(*hot.AuthRequest, *oidc.CodeExchange)) string {
	m.t.Helper()
	const verifier = "a-code-verifier-that-is-long-enough-for-the-rule-of-43"
	_, b, err := m.bridge.SignIn(m.t.Context(), upstream.Identity{Connection: conn, Issuer: "https://login.example/" + string(conn), Subject: name, AuthTime: time.Now()})
	if err != nil {
		m.t.Fatal(err)
	}
	client, err := m.bridge.Client(m.t.Context(), "fleet-web")
	if err != nil {
		m.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(verifier))
	req := hot.AuthRequest{ID: credential.NewID("req"), Client: client.ID, RedirectURI: client.RedirectURIs[0], OAuthScopes: []string{"openid", "users.manage"},
		CodeChallenge: base64.RawURLEncoding.EncodeToString(sum[:]), Expires: time.Now().Add(time.Minute)}
	x := oidc.CodeExchange{RedirectURI: req.RedirectURI, CodeVerifier: verifier, Client: client}
	for _, fn := range change {
		fn(&req, &x)
	}
	back, err := m.bridge.Issue(m.t.Context(), req, b.Session)
	if err != nil {
		m.t.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		m.t.Fatal(err)
	}
	x.Code = u.Query().Get("code")
	tokens, err := m.bridge.Redeem(m.t.Context(), x)
	if err != nil {
		m.t.Fatal(err)
	}
	return tokens.AccessToken
}

// answered is what became of a request: its status, and the reason of a refusal.
func (m manned) answered(method, path, token string) (int, string) {
	m.t.Helper()
	var body io.Reader
	if method != http.MethodGet {
		body = strings.NewReader("{}")
	}
	r := httptest.NewRequest(method, api.Prefix+path, body)
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	from := sha256.Sum256([]byte(token)) // so that not all failures are one network's
	r.RemoteAddr = netip.AddrFrom4([4]byte(from[:4])).String() + ":4711"
	rec := httptest.NewRecorder()
	m.public.ServeHTTP(rec, r)
	var p struct{ Reason string }
	if rec.Code >= 400 {
		if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
			m.t.Errorf("%s %s answered %d %s", method, path, rec.Code, rec.Body)
		}
	}
	return rec.Code, p.Reason
}

// described are the routes of the description.
func (m manned) described() (all []string) {
	m.t.Helper()
	rec := httptest.NewRecorder()
	m.public.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, api.Prefix+"/openapi.json", nil))
	var d struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(rec.Body.Bytes(), &d); err != nil {
		m.t.Fatal(err)
	}
	for path, methods := range d.Paths {
		for method := range methods {
			all = append(all, strings.ToUpper(method)+" "+strings.TrimPrefix(path, api.Prefix))
		}
	}
	slices.Sort(all)
	return all
}

// credentialsOf are whatever anybody may show, by what it is. Those of people who may act
// begin with "a".
func (m manned) credentials() map[string]string {
	m.person("lantern-entra", "Olu", "Service Owners")
	m.person("southern-entra", "Petra", "Provider Admins")
	m.person("banksia-entra", "Ada", "GL Account Admins")
	m.person("banksia-entra", "Finn", "Hobart Admins")
	m.person("banksia-entra", "Sam", "GL Geelong Managers")
	left := m.person("banksia-entra", "Leo", "GL Hobart Managers")
	out := map[string]string{
		"nothing":              "",
		"another bridge's":     credential.NewOpaque(credential.KindAdmin).Reveal(),
		"a cookie":             credential.NewOpaque(credential.KindSession).Reveal(),
		"an owner's":           m.token("lantern-entra", "Olu"),
		"a provider's":         m.token("southern-entra", "Petra"),
		"an account's":         m.token("banksia-entra", "Ada"),
		"a fleet's":            m.token("banksia-entra", "Finn"),
		"a standard user's":    m.token("banksia-entra", "Sam"),
		"that of somebody out": m.token("banksia-entra", "Leo"),
		"somebody else's API's": m.token("banksia-entra", "Ada", func(r *hot.AuthRequest, x *oidc.CodeExchange) {
			r.Resources = []string{"https://telemetry.lantern.example"}
		}),
		"that of a key as a bearer's": m.token("banksia-entra", "Ada", func(r *hot.AuthRequest, x *oidc.CodeExchange) {
			r.DPoPKey, x.DPoPKey = "thumb-thumb-thumb-thumb-thumb-thumb-thumb-x", "thumb-thumb-thumb-thumb-thumb-thumb-thumb-x"
		}),
		"revoked": m.token("banksia-entra", "Ada"),
	}
	out["tampered with"] = out["an account's"][:len(out["an account's"])-6] + "AAAAAA"
	if err := m.bridge.Revoke(m.t.Context(), out["revoked"], "fleet-web"); err != nil {
		m.t.Fatal(err)
	}
	m.switchOff("banksia-entra", left)
	return out
}

// TestEveryRouteSaysToWhomItIsOpen: a route is open to people only if it is listed as such,
// whoever they are, and what does not count opens none.
func TestEveryRouteSaysToWhomItIsOpen(t *testing.T) {
	t.Parallel()
	m := withPeople(t)
	all := m.described()
	expected := slices.Sorted(slices.Values(append(slices.Clone(opened), operators...)))
	if !slices.Equal(all, expected) {
		t.Errorf("the description and this test know different routes:\n%s\n%s", strings.Join(all, ", "), strings.Join(expected, ", "))
	}
	parameter := regexp.MustCompile(`\{[a-z]+\}`)
	for name, token := range m.credentials() {
		for _, route := range all {
			method, path, _ := strings.Cut(route, " ")
			status, reason := m.answered(method, parameter.ReplaceAllString(path, "1"), token)
			switch open := slices.Contains(opened, route); {
			case !strings.HasPrefix(name, "a ") && !strings.HasPrefix(name, "an ") || name == "a cookie":
				if status != http.StatusUnauthorized {
					t.Errorf("%s with %s: %d %s, want 401", route, name, status, reason)
				}
			case !open && (status != http.StatusForbidden || reason != api.ReasonOperatorOnly):
				t.Errorf("%s with %s token: %d %s, want 403 %s", route, name, status, reason, api.ReasonOperatorOnly)
			case open && (status == http.StatusUnauthorized || reason == api.ReasonOperatorOnly):
				t.Errorf("%s with %s token: %d %s, though it is open", route, name, status, reason)
			}
		}
	}
	for _, route := range all {
		method, path, _ := strings.Cut(route, " ")
		if status, reason := m.answered(method, parameter.ReplaceAllString(path, "1"), m.admin.Reveal()); status == http.StatusUnauthorized || reason == api.ReasonOperatorOnly {
			t.Errorf("%s by the operator: %d %s", route, status, reason)
		}
	}
}

// TestWhoFailsTooOftenWaits: whoever guesses tokens from a network is turned away, and
// nobody who shows one that counts.
func TestWhoFailsTooOftenWaits(t *testing.T) {
	t.Parallel()
	a := assembled(t, narrowDoors)
	ask := func(token string) int {
		r := httptest.NewRequest(http.MethodGet, api.Prefix+"/connections", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		a.public.ServeHTTP(rec, r)
		return rec.Code
	}
	if got := [4]int{ask("a"), ask("b"), ask("c"), ask(a.admin.Reveal())}; got != [4]int{401, 401, 429, 200} {
		t.Errorf("three guesses and the right one: %v", got)
	}
}
