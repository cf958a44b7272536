package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const (
	spaOrigin   = "https://spa.example"
	otherOrigin = "https://other.example:8443"
)

// scripts gives two clients origins of their own: native, which is public, and other-web.
func (w *world) scripts() {
	for id, origin := range map[string]string{"native": spaOrigin, "other-web": otherOrigin} {
		for cid, c := range w.clients {
			if string(cid) == id {
				c.Origins = []string{origin}
				w.clients[cid] = c
			}
		}
	}
}

// hostile are origins that are like a registered one and are not it.
func hostile() []string {
	return []string{"null", "", "*", "https://evil.example", "http://spa.example", "https://spa.example:443", "https://spa.example:8443", "https://spa.example/",
		"https://spa.example.evil.example", "https://evil-spa.example", "https://evil.example/https://spa.example", "https://SPA.example", "https://spa.example.",
		"https://spa.example@evil.example", "https://user@spa.example", "spa.example", "//spa.example", " https://spa.example", "https://spa.example https://evil.example",
		"https://other.example", "https://id.drawbridge.example", "file://", "https://spa.example\t"}
}

// readableBy is the origin whose scripts may read the answer, after the checks that
// hold for every answer.
func readableBy(t *testing.T, rec *httptest.ResponseRecorder) string {
	t.Helper()
	if rec.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Error("cookies are allowed")
	}
	all := rec.Header().Values("Access-Control-Allow-Origin")
	if len(all) > 1 {
		t.Errorf("two answers: %v", all)
	}
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

func preflight(origin string) http.Header {
	return http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization, dpop"}}
}

// TestAPreflightIsAnsweredToRegisteredOriginsAlone, and where scripts have something to
// do; public documents are everybody's.
func TestAPreflightIsAnsweredToRegisteredOriginsAlone(t *testing.T) {
	w := newWorld()
	w.scripts()
	for path, read := range map[string]reading{PathToken: byRegistered, pathUserinfo: byRegistered, pathRevoke: byRegistered, pathKeys: byEverybody,
		"/.well-known/openid-configuration": byEverybody, "/.well-known/oauth-authorization-server": byEverybody,
		pathAuthorize: byNobody, pathIntrospect: byNobody, pathEndSession: byNobody} {
		for _, origin := range append(hostile(), spaOrigin, otherOrigin) {
			rec := w.do(call{method: http.MethodOptions, path: path, header: preflight(origin)})
			want := ""
			if read == byEverybody {
				want = "*"
			} else if read == byRegistered && (origin == spaOrigin || origin == otherOrigin) {
				want = origin
			}
			if got := readableBy(t, rec); got != want {
				t.Errorf("%s from %q may be read by %q, want %q", path, origin, got, want)
			}
			if allowed := rec.Header().Get("Access-Control-Allow-Methods") != ""; allowed != (want != "") {
				t.Errorf("%s from %q: methods %v", path, origin, rec.Header())
			}
			if read == byRegistered && (rec.Code != http.StatusNoContent || !strings.Contains(rec.Header().Get("Vary"), "Origin")) {
				t.Errorf("%s from %q: %d, Vary %q", path, origin, rec.Code, rec.Header().Get("Vary"))
			}
			if read == byNobody && rec.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s from %q: %d", path, origin, rec.Code)
			}
		}
	}
}

// TestAnAnswerIsReadByTheClientsOwnOriginsAlone: not by another client's, though the
// preflight let that one go on.
func TestAnAnswerIsReadByTheClientsOwnOriginsAlone(t *testing.T) {
	for _, origin := range append(hostile(), otherOrigin, spaOrigin) {
		w := newWorld()
		w.scripts()
		from := http.Header{"Origin": {origin}}
		code := w.code("native", "http://127.0.0.1:7777/cb")
		set := w.do(call{method: http.MethodPost, path: PathToken, header: from, form: redemption(code, "client_id", "native", "redirect_uri", "http://127.0.0.1:7777/cb")})
		if set.Code != http.StatusOK {
			t.Fatalf("%d %s", set.Code, set.Body)
		}
		token := object(t, set)["access_token"].(string)
		answers := map[string]*httptest.ResponseRecorder{
			"tokens":         set,
			"a used code":    w.do(call{method: http.MethodPost, path: PathToken, header: from, form: redemption(code, "client_id", "native", "redirect_uri", "http://127.0.0.1:7777/cb")}),
			"userinfo":       w.do(call{path: pathUserinfo, header: http.Header{"Origin": {origin}, "Authorization": {"Bearer " + token}}}),
			"userinfo, post": w.do(call{method: http.MethodPost, path: pathUserinfo, header: from, form: url.Values{"access_token": {token}}}),
			"revocation":     w.do(call{method: http.MethodPost, path: pathRevoke, header: from, form: url.Values{"token": {token}, "client_id": {"native"}}}),
			"no token":       w.do(call{method: http.MethodPost, path: pathRevoke, header: from, form: url.Values{"client_id": {"native"}}}),
		}
		for what, rec := range answers {
			want := ""
			if origin == spaOrigin {
				want = origin
			}
			if got := readableBy(t, rec); got != want || !slices.Contains(rec.Header().Values("Vary"), "Origin") {
				t.Errorf("%s: from %q it may be read by %q (Vary %v)", what, origin, got, rec.Header().Values("Vary"))
			}
		}
	}
}

// TestARefusalOfAStrangerIsReadByRegisteredOrigins: it tells nothing of anybody, and a
// script that cannot read it does not know why it fails.
func TestARefusalOfAStrangerIsReadByRegisteredOrigins(t *testing.T) {
	w := newWorld()
	w.scripts()
	for _, origin := range append(hostile(), spaOrigin, otherOrigin) {
		for what, c := range map[string]call{
			"an unknown client":      {method: http.MethodPost, path: PathToken, form: redemption("c", "client_id", "who")},
			"no form":                {method: http.MethodPost, path: PathToken, body: "{}", contentType: "application/json"},
			"a token of nobody":      {path: pathUserinfo, header: http.Header{"Authorization": {"Bearer x"}}},
			"no token":               {path: pathUserinfo},
			"revoked by a wrong one": {method: http.MethodPost, path: pathRevoke, form: url.Values{"token": {"x"}, "client_id": {"who"}}},
		} {
			header := http.Header{"Origin": {origin}}
			for name, values := range c.header {
				header[name] = values
			}
			c.header = header
			want := ""
			if origin == spaOrigin || origin == otherOrigin {
				want = origin
			}
			rec := w.do(c)
			if got := readableBy(t, rec); got != want || rec.Code < 400 {
				t.Errorf("%s: %d, from %q it may be read by %q", what, rec.Code, origin, got)
			}
			if want != "" && !strings.Contains(rec.Header().Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
				t.Errorf("%s: %v", what, rec.Header())
			}
		}
	}
}

// TestTwoOriginsAreNone: no browser sends two.
func TestTwoOriginsAreNone(t *testing.T) {
	w := newWorld()
	w.scripts()
	rec := w.do(call{method: http.MethodPost, path: PathToken, header: http.Header{"Origin": {spaOrigin, "https://evil.example"}}, form: redemption("c", "client_id", "native")})
	if got := readableBy(t, rec); got != "" {
		t.Errorf("it may be read by %q", got)
	}
}

// TestPublicDocumentsAreReadByEverybody.
func TestPublicDocumentsAreReadByEverybody(t *testing.T) {
	w := newWorld()
	for _, path := range []string{pathKeys, "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		if got := readableBy(t, w.do(call{path: path, header: http.Header{"Origin": {"https://evil.example"}}})); got != "*" {
			t.Errorf("%s may be read by %q", path, got)
		}
	}
}
