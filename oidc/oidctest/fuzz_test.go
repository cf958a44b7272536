package oidctest_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// Whatever is asked, nobody is redirected anywhere but to the registered address,
// and no code is given without PKCE S256.
func FuzzAuthorize(f *testing.F) {
	idp, err := oidctest.NewOkta(oidctest.Config{
		Name: "Banksia Freight", ID: "banksia", BaseURL: "http://127.0.0.1:1", ClientID: "bridge", ClientSecret: secret.New("s"),
		RedirectURIs: []string{callback}, Directory: people(),
	})
	if err != nil {
		f.Fatal(err)
	}
	h := idp.Handler()
	ok := "response_type=code&client_id=bridge&redirect_uri=" + url.QueryEscape(callback) + "&scope=openid&login_hint=sam@banksia.example"
	for _, seed := range []string{
		ok, ok + "&code_challenge=x&code_challenge_method=S256", ok + "&code_challenge=x&code_challenge_method=plain",
		ok + "&redirect_uri=http://evil.example", "redirect_uri=http://evil.example&" + ok, ok + "&state=%0d%0aX:y", ok + "&prompt=none", "%", "a;b", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:1/oauth2/v1/authorize", nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		to := w.Header().Get("Location")
		if to == "" {
			return
		}
		if before, _, _ := strings.Cut(to, "?"); before != callback {
			t.Errorf("%q redirects to %q", query, to)
		}
		back, err := url.Parse(to)
		if err != nil {
			t.Fatalf("%q redirects to %q: %v", query, to, err)
		}
		if back.Query().Get("code") != "" && r.URL.Query().Get("code_challenge_method") != "S256" {
			t.Errorf("%q gave a code without PKCE", query)
		}
	})
}
