package oidctest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	assertedBy    = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionLife = 5 * time.Minute // the longest that an assertion may live
)

// proven verifies a client assertion (RFC 7523 section 3) by the keys that the client
// publishes now. It says what is wrong; "" if nothing is.
func (p *provider) proven(r *http.Request) string {
	form := r.PostForm
	if form.Get("client_assertion_type") != assertedBy || form.Has("client_secret") || form.Has("client_id") && form.Get("client_id") != p.idp.cfg.ClientID {
		return "there is no assertion of this client"
	}
	token, err := jwt.ParseSigned(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return "the assertion is no signed JWT"
	}
	keys, err := p.clientKeys(r.Context())
	if err != nil {
		return "the client's keys cannot be read: " + err.Error()
	}
	var c jwt.Claims
	if err := token.Claims(keys, &c); err != nil {
		return "no key of the client signed the assertion"
	}
	now := p.idp.cfg.Now()
	err = c.ValidateWithLeeway(jwt.Expected{Issuer: p.idp.cfg.ClientID, Subject: p.idp.cfg.ClientID, AnyAudience: jwt.Audience{p.idp.cfg.BaseURL + p.paths.token, p.idp.Issuer()}, Time: now}, time.Minute)
	if err != nil || len(c.Audience) != 1 || c.Expiry == nil || c.Expiry.Time().After(now.Add(assertionLife)) || c.ID == "" {
		return "the assertion does not hold"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sweep(p.asserted, func(ends time.Time) bool { return now.After(ends.Add(time.Minute)) })
	if _, again := p.asserted[c.ID]; again {
		return "the assertion was shown before"
	}
	p.asserted[c.ID] = c.Expiry.Time()
	return ""
}

func (p *provider) clientKeys(ctx context.Context) (*jose.JSONWebKeySet, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.idp.cfg.ClientKeysURI, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.idp.cfg.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	var keys jose.JSONWebKeySet
	return &keys, json.NewDecoder(http.MaxBytesReader(nil, resp.Body, pageLimit)).Decode(&keys)
}
