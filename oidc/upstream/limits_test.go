package upstream

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// T-F2: whatever a provider answers with instead of its metadata costs little, leads
// nowhere else, and is no metadata.
func TestMetadataIsReadWithinLimits(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	for name, serve := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusFound)
		},
		"a redirect to the cloud's own metadata": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusTemporaryRedirect)
		},
		"more than a mebibyte": func(w http.ResponseWriter, r *http.Request) {
			issuer, err := json.Marshal("http://" + r.Host)
			if err != nil {
				t.Error(err)
			}
			if _, err := w.Write([]byte(`{"issuer":` + string(issuer) + `,"more":"` + strings.Repeat("x", bodyLimit) + `"}`)); err != nil {
				return // we hung up
			}
		},
		"no JSON":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) },
		"not found":    http.NotFound,
		"another kind": func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, []string{"issuer"}) },
	} {
		t.Run(name, func(t *testing.T) {
			idp := httptest.NewServer(serve)
			defer idp.Close()
			p := Provider{Connection: "c", Issuer: idp.URL, ClientID: clientID, SubjectClaim: "sub"}
			u, err := New(idp.Client(), nil, []Provider{p}, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			if to, err := u.Start(t.Context(), "c", leg()); err == nil || fault.KindOf(err) == fault.Internal || to != "" {
				t.Errorf("%q, %v", to, err)
			}
		})
	}
}

// T-F2: keys are no more believed than metadata when their address answers otherwise.
func TestKeysAreNotFollowedElsewhere(t *testing.T) {
	p := newIdP(t)
	p.metadata = map[string]any{"jwks_uri": p.URL + "/moved"} // 404 of the provider's own
	if _, err := p.finish(t, p.upstreams(t), nil); fault.ReasonOf(err) != ReasonDown {
		t.Errorf("got %v", err)
	}
	if n := p.keyFetch.Load(); n != 0 {
		t.Errorf("keys were fetched from elsewhere %d times", n)
	}
}

// T-F2: a client without limits of its own gets ours.
func TestAClientIsHeldToOurLimits(t *testing.T) {
	for _, given := range []time.Duration{0, time.Hour, time.Second} {
		c := strict(&http.Client{Timeout: given})
		if want := map[bool]time.Duration{true: time.Second, false: requestTimeout}[given == time.Second]; c.Timeout != want {
			t.Errorf("a client with %s gives up after %s, want %s", given, c.Timeout, want)
		}
		if err := c.CheckRedirect(nil, nil); err != http.ErrUseLastResponse {
			t.Errorf("redirects: %v", err)
		}
	}
}
