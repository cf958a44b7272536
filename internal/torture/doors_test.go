//go:build lanes

package torture

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/drawbridge-id/drawbridge/internal/history/models"
	"github.com/drawbridge-id/drawbridge/internal/idp"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

const (
	client       = "fleet-web"
	clientSecret = "of-the-lane"
)

// Doors of the application: introspection, userinfo.
const (
	introspection = "introspection"
	userinfo      = "userinfo"
	refreshing    = "refresh"
)

// route sends what is for the address in front to any node, and all else where it is for.
// It chooses by draws of its own: what runs behind a call, such as the reading of keys, does
// not disturb its actor's.
type route struct {
	w *world

	mu   sync.Mutex // guards the rest
	rng  *rand.Rand
	last *node // that was asked last
}

func (r *route) RoundTrip(req *http.Request) (*http.Response, error) {
	if "http://"+req.URL.Host != r.w.issuer {
		return http.DefaultTransport.RoundTrip(req)
	}
	r.mu.Lock()
	d := r.w.nodes[r.rng.IntN(len(r.w.nodes))]
	r.last = d
	r.mu.Unlock()
	return d.http.Transport.RoundTrip(req)
}

// asked says which node an actor asks without the route.
func (r *route) asked(d *node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = d
}

// by is the name of the node that was asked last.
func (r *route) by() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		return "none"
	}
	return r.last.name
}

// browser is a browser of its own at the application.
func (w *world) browser(c *customer, via *route) *oidctest.Client {
	return &oidctest.Client{Issuer: w.issuer, ClientID: client, ClientSecret: secret.New(clientSecret), RedirectURI: w.Redirect(), Connection: c.id, Transport: via}
}

// form posts what an application asks, to one node.
func (w *world) form(ctx context.Context, d *node, path string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(client, clientSecret)
	return d.ask(req, into)
}

// ask sends a request to this node.
func (d *node) ask(req *http.Request, into any) error {
	res, err := d.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read below
	if res.StatusCode != http.StatusOK {
		return &answered{res.StatusCode, brief(res.Body)}
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// shown shows a token to a node, at a door.
func (w *world) shown(ctx context.Context, d *node, door, token string) (models.Outcome, error) {
	switch door {
	case userinfo:
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.issuer+"/oauth2/userinfo", nil)
		if err != nil {
			return models.Unknown, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		var said map[string]any
		return outcome(d.ask(req, &said))
	case refreshing:
		_, o, err := w.refreshed(ctx, d, token)
		return o, err
	}
	var said struct {
		Active bool `json:"active"`
	}
	err := w.form(ctx, d, "/oauth2/introspect", url.Values{"token": {token}}, &said)
	if err == nil && !said.Active {
		return models.Refused, nil
	}
	return outcome(err)
}

// tokens is a token answer.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (w *world) refreshed(ctx context.Context, d *node, token string) (tokens, models.Outcome, error) {
	var got tokens
	o, err := outcome(w.form(ctx, d, "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, &got))
	return got, o, err
}

func (w *world) redeemed(ctx context.Context, d *node, g oidctest.Granted) (tokens, models.Outcome, error) {
	var got tokens
	o, err := outcome(w.form(ctx, d, "/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {g.Code}, "code_verifier": {g.Verifier}, "redirect_uri": {w.Redirect()}}, &got))
	return got, o, err
}

// outcome reads an error: what is refused with a 4xx is refused, but for a request to come
// again later; everything else says nothing of what was done.
func outcome(err error) (models.Outcome, error) {
	var a *answered
	var page *oidctest.Stopped
	var protocol *oidctest.OAuthError
	var scim *idp.SCIMError
	status := 0
	switch {
	case err == nil:
		return models.Accepted, nil
	case errors.As(err, &a):
		status = a.status
	case errors.As(err, &page):
		status = page.Status
		if status == http.StatusOK {
			status = http.StatusForbidden // a page that says why not
		}
	case errors.As(err, &protocol) && protocol.Status == 0: // by redirect
		if protocol.Code != "server_error" && protocol.Code != "temporarily_unavailable" {
			return models.Refused, err
		}
	case errors.As(err, &protocol):
		status = protocol.Status
	case errors.As(err, &scim):
		status = scim.Status
	}
	if status/100 == 4 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout {
		return models.Refused, err
	}
	return models.Unknown, err
}
