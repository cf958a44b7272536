package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// narrow lets so many through at each door.
type narrow struct {
	signIns  int
	failures map[access.ClientID]int
}

func (n *narrow) SignIn(*http.Request) time.Duration {
	if n.signIns--; n.signIns < 0 {
		return 90 * time.Second
	}
	return 0
}

func (n *narrow) Network(r *http.Request) string { return r.RemoteAddr }

func (n *narrow) FailedClient(_ *http.Request, id access.ClientID) time.Duration {
	if n.failures[id]--; n.failures[id] < 0 {
		return 2500 * time.Millisecond
	}
	return 0
}

func TestAFloodOfSignInsIsShownAPage(t *testing.T) {
	w := newWorld()
	doors := &narrow{signIns: 1}
	w.change = func(c *Config) { c.Doors = doors }
	first, second := w.authorize(""), w.authorize("", "prompt", "none")
	if first.Code == http.StatusTooManyRequests || second.Code != http.StatusTooManyRequests || second.Body.String() != "TOO MANY 1m30s" {
		t.Errorf("%d, then %d %q", first.Code, second.Code, second.Body)
	}
}

// A pushed request is a step like others: anybody can push as a public client.
func TestAFloodOfPushedRequestsIsToldToWait(t *testing.T) {
	w := newWorld()
	doors := &narrow{signIns: 1}
	w.change = func(c *Config) { c.Doors = doors }
	f := ask("client_id", "native", "redirect_uri", "http://127.0.0.1:7777/cb")
	if rec := w.post(pathPush, f); rec.Code != http.StatusCreated {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	rec := w.post(pathPush, f)
	wantError(t, rec, http.StatusTooManyRequests, "temporarily_unavailable")
	if rec.Header().Get("Retry-After") != "90" || len(w.pushes) != 1 {
		t.Errorf("Retry-After %q, %d are kept", rec.Header().Get("Retry-After"), len(w.pushes))
	}
	for _, kept := range w.pushes {
		if kept.From == "" {
			t.Error("it is accounted to nobody")
		}
	}
}

// RFC 6749 section 2.3.1: guesses at a client's secret are bounded, at every endpoint together.
func TestAClientThatFailsTooOftenIsToldToWait(t *testing.T) {
	w := newWorld()
	doors := &narrow{signIns: 1, failures: map[access.ClientID]int{"fleet-web": 4, "nobody": 1}}
	w.change = func(c *Config) { c.Doors = doors }
	try := func(path, id, secret string) int {
		rec := w.do(call{method: http.MethodPost, path: path, form: url.Values{"client_id": {id}, "client_secret": {secret}, "grant_type": {"refresh_token"}, "token": {"x"}}})
		if rec.Code != http.StatusTooManyRequests {
			return rec.Code
		}
		var e struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &e); err != nil || e.Error != "temporarily_unavailable" || rec.Header().Get("Retry-After") != "3" {
			t.Errorf("%s: %s, Retry-After %q", path, rec.Body, rec.Header().Get("Retry-After"))
		}
		return rec.Code
	}
	paths := []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/par"}
	for _, path := range paths {
		if got := try(path, "fleet-web", "wrong"); got != http.StatusUnauthorized {
			t.Errorf("%s: %d for a wrong secret", path, got)
		}
	}
	seen := len(w.observed)
	for _, path := range paths {
		if got := try(path, "fleet-web", "wrong"); got != http.StatusTooManyRequests {
			t.Errorf("%s: %d for one wrong secret more", path, got)
		}
		if got := try(path, "fleet-web", webSecret); got == http.StatusTooManyRequests || got == http.StatusUnauthorized {
			t.Errorf("%s: %d for the right secret: others' guesses keep it out", path, got)
		}
	}
	if len(w.observed) != seen {
		t.Error("a flood fills the log")
	}
	if got := [2]int{try(paths[0], "nobody", "x"), try(paths[0], "nobody", "x")}; got != [2]int{401, 429} {
		t.Errorf("a client that is not there: %v", got)
	}
}
