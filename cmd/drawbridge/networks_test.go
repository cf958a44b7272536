package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
)

const behindAProxy = `
version: 1
vendor: { name: Lantern Fleet Safety }
server:
  public_url: "http://127.0.0.1:8443"
  data: %s
  trusted_proxies: [10.0.0.0/8]
scopes:
  southern:
    name: Southern Telematics
connections:
  southern-entra:
    idp: entra
    name: Southern Telematics
    ceiling: { scope: southern, grants: [standard] }
    scim:
      networks: [203.0.113.0/24, "2001:db8::/32"]
`

// assembled is the whole bridge, put together from a configuration, without sockets.
func assembled(t *testing.T, yaml string) *app {
	t.Helper()
	return assembledWith(t, yaml, setting{log: io.Discard})
}

func assembledWith(t *testing.T, yaml string, s setting) *app {
	t.Helper()
	cfg, err := config.Parse("drawbridge.yaml", []byte(fmt.Sprintf(yaml, t.TempDir())), nil, config.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	a, err := open(t.Context(), cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// TestOnlyTheIdentityProvidersNetworksReachItsConnection: a client gets its token and
// uses it, from behind the trusted proxy and without the SCIM content type; from
// elsewhere, and with a header that only looks like the proxy's, it is told what a
// stranger is told.
func TestOnlyTheIdentityProvidersNetworksReachItsConnection(t *testing.T) {
	a := assembled(t, behindAProxy)
	made, err := a.bridge.CreateSCIMClient(t.Context(), "southern-entra", "Entra", 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(peer, forwarded, secret string) *httptest.ResponseRecorder {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {made.ID}, "client_secret": {secret}, "scope": {"scim"}}
		r := httptest.NewRequest("POST", "/oauth2/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = peer
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		w := httptest.NewRecorder()
		a.public.ServeHTTP(w, r)
		return w
	}
	list := func(peer, forwarded, bearer string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/scim/v2/southern-entra/Users?count=0", nil)
		r.Header.Set("Authorization", "Bearer "+bearer)
		r.RemoteAddr = peer
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		w := httptest.NewRecorder()
		a.public.ServeHTTP(w, r)
		return w
	}
	var got struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
		Scope       string
	}
	w := ask("10.0.0.1:4711", "198.51.100.9, 203.0.113.7", made.Text.Reveal())
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || got.TokenType != "Bearer" || got.ExpiresIn < 3590 || got.ExpiresIn > 3600 || got.Scope != "scim" {
		t.Fatalf("%d %s (%v)", w.Code, w.Body, err)
	}
	stranger, unknown := ask("10.0.0.1:4711", "203.0.113.7", "drb_secret_x"), list("10.0.0.1:4711", "203.0.113.7", "drb_scimat_x")
	if stranger.Code != 401 || unknown.Code != 401 {
		t.Errorf("strangers are told %d and %d", stranger.Code, unknown.Code)
	}
	for _, c := range []struct {
		what, peer, forwarded string
		good                  bool
	}{
		{"straight from its network", "203.0.113.7:4711", "", true},
		{"through the proxy", "10.0.0.1:4711", "203.0.113.200", true},
		{"through two of ours, by IPv6", "10.0.0.1:4711", "[2001:db8::5]:443, 10.2.2.2", true},
		{"from elsewhere", "198.51.100.9:4711", "", false},
		{"from elsewhere through the proxy", "10.0.0.1:4711", "198.51.100.9", false},
		{"from elsewhere, with the header", "198.51.100.9:4711", "203.0.113.7", false},
		{"from elsewhere through the proxy, with the header", "10.0.0.1:4711", "203.0.113.7, 198.51.100.9", false},
		{"from the proxy itself", "10.0.0.1:4711", "", false},
		{"with garbage", "10.0.0.1:4711", "203.0.113.7, what", false},
	} {
		asked, listed := ask(c.peer, c.forwarded, made.Text.Reveal()), list(c.peer, c.forwarded, got.AccessToken)
		if (asked.Code == 200) != c.good || (listed.Code == 200) != c.good {
			t.Errorf("%s: %d at the token endpoint, %d at SCIM", c.what, asked.Code, listed.Code)
		}
		if !c.good && (asked.Body.String() != stranger.Body.String() || listed.Body.String() != unknown.Body.String()) {
			t.Errorf("%s: %s, %s", c.what, asked.Body, listed.Body)
		}
	}
	m := httptest.NewRecorder()
	a.operations.ServeHTTP(m, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(m.Body.String(), "drawbridge_scim_credential_days{connection=\"southern-entra\"} 0.99") {
		t.Error("the metric does not say that the last credential ends within a day")
	}
}
