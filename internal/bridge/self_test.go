package bridge_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// with sends a SCIM request with any credential, and gives the whole answer.
func (w *world) with(token string, c access.ConnectionID, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/scim/v2/"+string(c)+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	w.scim.ServeHTTP(rec, r)
	return rec
}

func (w *world) answers(status int, rec *httptest.ResponseRecorder, what string) {
	w.t.Helper()
	if rec.Code != status {
		w.t.Errorf("%s is answered %d %s, want %d", what, rec.Code, rec.Body, status)
	}
}

// manager is somebody of Banksia who may sign in, with an access token that may read
// them.
func manager(w *world) (id string, s visit) {
	id = w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", id)
	return id, w.session(banksia, "oid-sam", "profile", "email")
}

func TestAPersonReadsThemselvesAtMe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, s := manager(w)
	token := s.tokens.AccessToken
	me := w.with(token, banksia, "GET", "/Me", "")
	user := w.with(w.tokens[banksia], banksia, "GET", "/Users/"+id, "")
	w.answers(200, me, "GET /Me")
	if me.Body.String() != user.Body.String() || me.Header().Get("ETag") != user.Header().Get("ETag") {
		t.Errorf("/Me is\n%s\nand the user\n%s", me.Body, user.Body)
	}
	at := "http://127.0.0.1:8443/scim/v2/banksia-entra/Users/" + id
	part := w.with(token, banksia, "GET", "/Me?attributes=userName", "")
	if want := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"` + id + `","userName":"sam@banksia.example"}`; part.Body.String() != want {
		t.Errorf("a part of it is %s", part.Body)
	}
	head, same := w.with(token, banksia, "HEAD", "/Me", ""), w.with(token, banksia, "GET", "/Me/", "", "If-None-Match: "+me.Header().Get("ETag"))
	w.answers(200, head, "HEAD /Me")
	w.answers(304, same, "GET /Me of what is known")
	refused := w.with(token, banksia, "DELETE", "/Me", "")
	for what, rec := range map[string]*httptest.ResponseRecorder{"GET": me, "HEAD": head, "part": part, "304": same, "403": refused} {
		if got := rec.Header().Get("Location"); got != at {
			t.Errorf("%s: Location %q, want %s", what, got, at)
		}
	}
	if w.answers(400, w.with(token, banksia, "GET", "/Me?attributes=a&attributes=b", ""), "a bad query"); w.with(token, banksia, "GET", "/Me", "", "Accept: text/html").Code != 406 {
		t.Error("an answer was given that is not accepted")
	}
}

// A person's own token changes nobody: not at /Me, and it opens nothing else under SCIM.
func TestAPersonsTokenOpensNothingButThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, s := manager(w)
	other := w.person(banksia, "ada@banksia.example", "oid-ada")
	before := w.tables()
	patch := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"x"}]}`
	user := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"sam@banksia.example"}`
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		w.answers(403, w.with(s.tokens.AccessToken, banksia, method, "/Me", user), method+" /Me")
	}
	w.answers(405, w.with(s.tokens.AccessToken, banksia, "OPTIONS", "/Me", ""), "OPTIONS /Me")
	for _, ask := range []struct{ method, path, body string }{
		{"GET", "/Users", ""}, {"GET", "/Users/" + id, ""}, {"GET", "/Users/" + other, ""}, {"GET", "/Groups", ""}, {"POST", "/Users", user}, {"PUT", "/Users/" + id, user},
		{"PATCH", "/Users/" + id, patch}, {"DELETE", "/Users/" + id, ""}, {"POST", "/.search", "{}"}, {"POST", "/Users/.search", "{}"}, {"POST", "/Bulk", "{}"},
		{"GET", "/ServiceProviderConfig", ""}, {"GET", "/Schemas", ""}, {"GET", "/ResourceTypes", ""}, {"GET", "/Me/" + id, ""}, {"GET", "/Me/Groups", ""}, {"POST", "/Me/.search", "{}"}, {"GET", "", ""},
	} {
		w.answers(401, w.with(s.tokens.AccessToken, banksia, ask.method, ask.path, ask.body), ask.method+" "+ask.path)
	}
	if after := w.tables(); after != before {
		t.Errorf("something was changed:\n%s\nwas\n%s", after, before)
	}
}

// Whatever is wrong with a token at /Me, the answer is one and the same 401.
func TestATokenThatDoesNotCountOpensNoMe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, s := manager(w)
	token := s.tokens.AccessToken
	want := w.with("nonsense", banksia, "GET", "/Me", "").Body.String()
	for name, rec := range map[string]*httptest.ResponseRecorder{
		"of another connection": w.with(token, southern, "GET", "/Me", ""), "of no connection": w.with(token, "nobody-entra", "GET", "/Me", ""),
		"cut": w.with(token[:len(token)-2], banksia, "GET", "/Me", ""), "an ID token": w.with(s.tokens.IDToken, banksia, "GET", "/Me", ""),
		"a refresh token": w.with(s.tokens.RefreshToken, banksia, "GET", "/Me", ""), "another connection's SCIM token": w.with(w.tokens[southern], banksia, "GET", "/Me", ""),
		"without a scheme": w.with("", banksia, "GET", "/Me", "", "Authorization: "+token), "twice": w.with("", banksia, "GET", "/Me", "", "Authorization: Bearer "+token+", "+token),
	} {
		if w.answers(401, rec, name); rec.Body.String() != want || rec.Header().Get("Location") != "" {
			t.Errorf("%s: %s %v", name, rec.Body, rec.Header())
		}
	}
	w.answers(501, w.with(w.tokens[banksia], banksia, "GET", "/Me", ""), "a connection's own token")
	w.clock.Add(6 * time.Minute)
	w.answers(401, w.with(token, banksia, "GET", "/Me", ""), "an expired token")
}

func TestMeAsksForTheScopesThatItShows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, _ = manager(w)
	for _, scopes := range [][]string{nil, {"profile"}, {"email"}} {
		rec := w.with(w.session(banksia, "oid-sam", scopes...).tokens.AccessToken, banksia, "GET", "/Me", "")
		w.answers(403, rec, strings.Join(scopes, " "))
		if got, want := rec.Header().Get("WWW-Authenticate"), `Bearer realm="scim", error="insufficient_scope", scope="openid profile email"`; got != want {
			t.Errorf("%v: WWW-Authenticate %q, want %q", scopes, got, want)
		}
	}
}

// Once a deactivation, a deletion or the loss of the grant has been answered, /Me is
// refused.
func TestALeaversTokenIsRefusedAtMe(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(w *world, id, group string){
		"deactivated": func(w *world, id, _ string) {
			w.patchUser(banksia, id, `{"op":"replace","path":"active","value":false}`)
		},
		"deleted":    func(w *world, id, _ string) { w.must(204, banksia, "DELETE", "/Users/"+id, "") },
		"group gone": func(w *world, _, group string) { w.must(204, banksia, "DELETE", "/Groups/"+group, "") },
		"restored": func(w *world, id, _ string) {
			w.patchUser(banksia, id, `{"op":"replace","path":"active","value":false}`)
			w.patchUser(banksia, id, `{"op":"replace","path":"active","value":true}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id := w.person(banksia, "sam@banksia.example", "oid-sam")
			group := w.group(banksia, "GL Geelong Managers", id)
			token := w.session(banksia, "oid-sam", "profile", "email").tokens.AccessToken
			w.answers(http.StatusOK, w.with(token, banksia, "GET", "/Me", ""), "before")
			leave(w, id, group)
			w.answers(http.StatusUnauthorized, w.with(token, banksia, "GET", "/Me", ""), name)
		})
	}
}
