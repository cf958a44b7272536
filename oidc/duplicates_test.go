package oidc

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestTE4_AParameterThatStandsTwiceIsRefused: each that we read, with the same value or another, at the
// authorization endpoint, pushed, and at the token endpoint (RFC 6749 section 3.1). And what was asked first cannot
// be changed on the way: pages take the request's id, and nothing else of it.
func TestTE4_AParameterThatStandsTwiceIsRefused(t *testing.T) {
	for _, name := range authorizeParams {
		if name == "resource" {
			continue // RFC 8707 section 2: several resources are several parameters
		}
		for _, second := range []string{ask().Get(name), "another"} {
			w := newWorld()
			query := ask().Encode() + "&" + url.QueryEscape(name) + "=" + url.QueryEscape(second)
			if ask().Get(name) == "" {
				query += "&" + url.QueryEscape(name) + "=" + url.QueryEscape(second)
			}
			rec := w.do(call{path: pathAuthorize, query: query, cookie: w.person("ada")})
			to := rec.Header().Get("Location")
			if strings.Contains(to, "code=") || rec.Code == http.StatusOK || len(w.requests) > 0 {
				t.Errorf("%s twice: %d %s", name, rec.Code, to)
			}
			pushed := w.do(call{method: http.MethodPost, path: pathPush, body: query, basic: [2]string{"fleet-web", webSecret}})
			wantError(t, pushed, http.StatusBadRequest, "invalid_request")
		}
	}
	for _, name := range []string{"grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret"} {
		w := newWorld()
		form := redemption("c")
		form.Set("client_id", "fleet-web")
		form.Set("client_secret", webSecret)
		rec := w.do(call{method: http.MethodPost, path: PathToken, body: form.Encode() + "&" + name + "=" + url.QueryEscape(form.Get(name))})
		wantError(t, rec, http.StatusBadRequest, "invalid_request")
	}
}

// TestTE3_EveryAnswerSaysWhoGaveIt: a code, a refusal and a silent refusal alike (RFC 9207), so that an application of
// several providers cannot be led to take one's answer for another's.
func TestTE3_EveryAnswerSaysWhoGaveIt(t *testing.T) {
	w := newWorld()
	wantSent(t, w.authorize(w.person("ada")), "")
	wantSent(t, w.authorize("", "prompt", "none"), "login_required")
	wantSent(t, w.authorize(w.person("ada"), "response_type", "token"), "unsupported_response_type")
}
