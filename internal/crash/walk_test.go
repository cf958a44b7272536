//go:build failpoints

package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

const (
	connection = "tundra-okta"
	leaver     = "liv@tundra.example"
	other      = "nils@tundra.example"
)

// walk is one pass: somebody is signed in, something is done while the point strikes, and
// what is left is judged.
type walk struct {
	*bridge
	t      *testing.T
	engine engine
	ids    map[string]string // by userName
	held   oidctest.Tokens
	group  string
	added  int // how often the other one had joined a group before
	code   oidctest.Granted
	busy   time.Time // until when the point may stand still, and hold what others need
	later  bool      // the last answer was that it is too busy, and when to come again
}

func (w *walk) client() *oidctest.Client {
	c := w.Clients[0]
	return &oidctest.Client{Issuer: w.Issuer, ClientID: c.ClientID, ClientSecret: secret.New(c.ClientSecret), RedirectURI: c.RedirectURI, Connection: connection}
}

// signsIn says what came of it when somebody signs in, from a browser of their own.
func (w *walk) signsIn(who string) (oidctest.Tokens, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	return w.client().SignIn(ctx, who)
}

// before finds the people, signs the leaver in and makes a group.
func (w *walk) before() {
	w.t.Helper()
	w.ids = map[string]string{}
	for _, name := range []string{leaver, other} {
		var found struct {
			Resources []struct {
				ID string `json:"id"`
			}
		}
		if status := w.scim("GET", "/Users?filter="+url.QueryEscape(`userName eq "`+name+`"`), "", &found); status != 200 || len(found.Resources) != 1 {
			w.t.Fatalf("%s: %d %v", name, status, found)
		}
		w.ids[name] = found.Resources[0].ID
	}
	var err error
	if w.held, err = w.signsIn(leaver); err != nil {
		w.t.Fatal(err)
	}
	var made struct {
		ID string `json:"id"`
	}
	if status := w.scim("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"crash"}`, &made); status != 201 {
		w.t.Fatalf("a group: %d", status)
	}
	w.group = made.ID
	w.added = w.engine.events(w.t, string(event.MemberAdded), w.ids[other])
}

// scim sends one request as the identity provider. 0: there was no answer.
func (w *walk) scim(method, path, body string, into any) int {
	w.t.Helper()
	for _, c := range w.Connections {
		if c.ID == connection {
			return w.call(method, c.SCIMURL+path, c.SCIMToken, "application/scim+json", body, into)
		}
	}
	w.t.Fatalf("the demo has no %s", connection)
	return 0
}

// api asks the admin API.
func (w *walk) api(method, path, body string, into any) int {
	w.t.Helper()
	return w.call(method, w.APIURL+path, w.AdminToken, "application/json", body, into)
}

func (w *walk) call(method, at, token, kind, body string, into any) int {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewBufferString(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", kind)
	}
	w.later = false
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close() //nolint:errcheck // read by the decoder
	w.later = res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != ""
	if into != nil && json.NewDecoder(res.Body).Decode(into) != nil {
		return 0
	}
	return res.StatusCode
}

// again says something once more. While the point stands still, whoever is told to come again
// later does; afterwards that is a refusal, as any other is.
func (w *walk) again(do func() bool) bool {
	for {
		early := time.Now().Before(w.busy)
		if acknowledged := do(); acknowledged || !early || !w.later {
			return acknowledged
		}
		time.Sleep(200 * time.Millisecond)
	}
}

const (
	switchOff = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`
	patchTo   = "/Users/"
)

// deactivate is what an identity provider says when somebody leaves.
func (w *walk) deactivate() (acknowledged bool) {
	return w.scim("PATCH", patchTo+w.ids[leaver], switchOff, nil)/100 == 2
}

// join adds the other one to the group.
func (w *walk) join() (acknowledged bool) {
	return w.scim("PATCH", "/Groups/"+w.group, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"`+w.ids[other]+`"}]}]}`, nil)/100 == 2
}

// signInAgain is a second sign-in of the leaver, whose code is kept.
func (w *walk) signInAgain() (acknowledged bool) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	c := w.client()
	var err error
	if w.code, err = c.Code(ctx, url.Values{"login_hint": {leaver}}); err != nil {
		return false
	}
	_, err = c.Exchange(ctx, w.code.Code, w.code.Verifier, w.code.Nonce)
	return err == nil
}

func (w *walk) rotateKeys() (acknowledged bool) {
	return w.api("POST", "/signing-keys/rotate", `{"algorithm":"ES256","now":true}`, nil) == 200
}

// accepts says whether the leaver's tokens are good for anything. Whoever cannot tell is
// asked again: that is no acceptance, and no end.
func (w *walk) accepts() (access, refresh bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	c := w.client()
	for {
		said, err := c.Introspect(ctx, w.held.AccessToken)
		if err == nil {
			access = said["active"] == true
			break
		}
		if ctx.Err() != nil {
			w.t.Fatalf("introspection: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for {
		next, err := c.Refresh(ctx, w.held.RefreshToken)
		var refused *oidctest.OAuthError
		switch {
		case err == nil:
			w.held.RefreshToken = next.RefreshToken
			return access, true
		case errors.As(err, &refused) && refused.Status < 500:
			return access, false
		case ctx.Err() != nil:
			w.t.Fatalf("refresh: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
