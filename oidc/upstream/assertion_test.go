package upstream

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// A client that signs proves itself so for a code and for a refresh, each time anew, and
// sends no secret; where the metadata prefers is no matter.
func TestAClientThatSignsSendsAnAssertion(t *testing.T) {
	for name, audience := range map[string]func(p *idp) string{"token endpoint": func(p *idp) string { return p.URL + "/token" }, "issuer": func(p *idp) string { return p.URL }} {
		p := newIdP(t)
		var asked []url.Values
		p.tokens = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") != "" {
				t.Errorf("%s: there is an Authorization header", name)
			}
			asked = append(asked, r.PostForm)
			return false
		}
		signed := 0
		provider := p.provider()
		provider.ClientSecret, provider.Authentication, provider.AssertToIssuer, provider.ProbeEvery = secret.String{}, SignedJWT, name == "issuer", 15*time.Minute
		u, err := New(p.Client(), func(client, aud string, now time.Time) (string, error) {
			signed++
			return fmt.Sprint(client, "|", aud, "|", now.Unix(), "|", signed), nil
		}, []Provider{provider}, p.clock)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Finish(t.Context(), "ironbark-entra", leg(), answer()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := u.Renew(t.Context(), "ironbark-entra", secret.New("theirs"), "x"); fault.ReasonOf(err) == ReasonSetUp {
			t.Fatalf("%s: %v", name, err)
		}
		for i, grant := range []string{"authorization_code", "refresh_token"} {
			got := asked[i]
			want := fmt.Sprint(clientID, "|", audience(p), "|", p.clock().Unix(), "|", i+1)
			if got.Get("grant_type") != grant || got.Get("client_id") != clientID || got.Has("client_secret") || got.Get("client_assertion") != want ||
				got.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
				t.Errorf("%s: %v, want %s", name, got, want)
			}
		}
		if asked[1].Get("refresh_token") != "theirs" || asked[1].Has("code") {
			t.Errorf("%s: %v", name, asked[1])
		}
	}
	if _, err := New(nil, nil, []Provider{{Connection: "c", Issuer: "https://idp.example", ClientID: "c", SubjectClaim: "sub", Authentication: SignedJWT}}, time.Now); err == nil {
		t.Error("nobody signs, and that is no fault")
	}
}

// A secret goes the way that is configured, whatever the metadata prefers.
func TestASecretGoesTheWayThatIsConfigured(t *testing.T) {
	for how, inForm := range map[string]bool{"": false, BasicSecret: false, PostSecret: true} {
		p := newIdP(t)
		p.tokens = func(_ http.ResponseWriter, r *http.Request) bool {
			_, _, basic := r.BasicAuth()
			if basic == inForm || (r.PostForm.Get("client_secret") == "s3cret") != inForm {
				t.Errorf("%q: basic %t, form %v", how, basic, r.PostForm)
			}
			return false
		}
		u := p.upstreamsOf(t, func(v *Provider) { v.Authentication = how })
		if _, err := u.Finish(t.Context(), "ironbark-entra", leg(), answer()); err != nil {
			t.Errorf("%q: %v", how, err)
		}
	}
}
