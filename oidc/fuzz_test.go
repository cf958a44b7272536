package oidc

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// FuzzAuthorizeQuery: whatever the query, the process lives, an answer comes, and
// the only places to go are the registered ones.
// Threats: T-E7.
func FuzzAuthorizeQuery(f *testing.F) {
	f.Add(ask().Encode())
	f.Add(ask("redirect_uri", "https://fleet.example/cb?app=1", "prompt", "none", "max_age", "0").Encode())
	f.Add(ask("scope", "openid grant:asg_visit", "state", "<script>").Encode())
	f.Add(ask("state", "\r\nSet-Cookie: a=b", "claims", `{"a":{}}`).Encode())
	f.Add("client_id=fleet-web&redirect_uri=https%3A%2F%2Ffleet.example%2Fcallback&redirect_uri=https://evil.example")
	f.Add("client_id=fleet-web;redirect_uri=%%%&&&==&\xff")
	f.Fuzz(func(t *testing.T, query string) {
		w := newWorld()
		var registered []string
		for _, c := range w.clients {
			registered = append(registered, c.RedirectURIs...)
		}
		cookie := w.person("ada")
		r := call{method: http.MethodPost, path: pathAuthorize, body: query, contentType: "application/x-www-form-urlencoded", cookie: cookie}
		rec := w.do(r)
		to := rec.Header().Get("Location")
		if rec.Code != http.StatusSeeOther {
			if to != "" || rec.Code >= 500 {
				t.Errorf("%d %s", rec.Code, to)
			}
			return
		}
		at := slices.IndexFunc(registered, func(uri string) bool { return strings.HasPrefix(to, uri+"?") || strings.HasPrefix(to, uri+"&") })
		if at < 0 || strings.ContainsAny(to, "\r\n<>\" ") {
			t.Errorf("sent to %q", to)
		}
	})
}

// FuzzTokenForm: no form takes the process down, and none without the right code,
// address, verifier and secret gives tokens.
func FuzzTokenForm(f *testing.F) {
	f.Add(redemption("code-1").Encode())
	f.Add(redemption("code-1", "client_id", "fleet-web", "client_secret", webSecret).Encode())
	f.Add("grant_type=refresh_token&refresh_token=x&scope=openid+grant%3Aa&client_id=native")
	f.Add("grant_type=authorization_code&code=code-1&client_id=fleet-web&client_secret=%00")
	f.Add("client_id=native&client_id=fleet-web")
	f.Add("=&=&%=%&a=%ff")
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{PathToken, pathIntrospect, pathRevoke} {
			w := newWorld()
			w.code("fleet-web", webURI)
			rec := w.do(call{method: http.MethodPost, path: path, body: body, contentType: "application/x-www-form-urlencoded"})
			if rec.Code >= 500 {
				t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
			}
			given, err := parseForm(body)
			right := err == nil && given.get("client_secret") == webSecret && given.get("code_verifier") == verifier && given.get("redirect_uri") == webURI
			if strings.Contains(rec.Body.String(), `"access_token":`) && !right {
				t.Errorf("tokens for %s", body)
			}
		}
	})
}

// FuzzBasicAuth: what is read is what a client that follows RFC 6749 section 2.3.1
// would have written.
func FuzzBasicAuth(f *testing.F) {
	f.Add("Basic " + base64.StdEncoding.EncodeToString([]byte("fleet-web:web-secret")))
	f.Add("Basic " + base64.StdEncoding.EncodeToString([]byte("a%3Ab:c+d%2B")))
	f.Add("basic  " + base64.StdEncoding.EncodeToString([]byte("id:")))
	f.Add("Basic Og==")
	f.Add("Bearer x")
	f.Fuzz(func(t *testing.T, header string) {
		id, pass, ok := basicAuth(header)
		if !ok {
			return
		}
		again := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(pass)))
		id2, pass2, ok2 := basicAuth(again)
		if len(again) <= 4*(maxClientID+maxSecret) && (!ok2 || id2 != id || pass2 != pass) {
			t.Errorf("%q %q came back as %q %q %v", id, pass, id2, pass2, ok2)
		}
		if id == "" {
			t.Error("an empty client id was read")
		}
	})
}

func FuzzNeed(f *testing.F) {
	f.Add("audience=api&workflow=live_view&grant=standard&within=scp_1&reaches=scp_2")
	f.Add("audience=&grant=x")
	f.Add("audience=api&acr=phr&acr=phrh&max_age=3600")
	f.Add("audience=a&audience=b&%zz")
	f.Fuzz(func(t *testing.T, query string) {
		n, err := ParseNeed(query)
		if err != nil {
			return
		}
		if n.Audience == "" {
			t.Errorf("%q asks for the tokens of nobody", query)
		}
		if n.SignIn.MaxAge < 0 || slices.ContainsFunc(n.SignIn.ACR, func(acr string) bool { return access.CheckACR(acr) != "" }) {
			t.Errorf("%q demands %v", query, n.SignIn)
		}
		for _, g := range n.Grants {
			if !g.MaySignIn() {
				t.Errorf("%q asks for the grant %q", query, g)
			}
		}
	})
}
