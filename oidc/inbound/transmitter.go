package inbound

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

const (
	maxAnswer     = 1 << 20          // bytes
	metadataLife  = 24 * time.Hour   // then it is read again
	metadataAgain = 5 * time.Minute  // likewise, after a time in vain
	tokenSpare    = 30 * time.Second // of a token's life
	tokenLeast    = time.Minute      // for which a token counts that does not say for how long
)

// The ways to authenticate as an OAuth client.
const (
	BasicSecret = "client_secret_basic"
	PostSecret  = "client_secret_post"
	SignedJWT   = "private_key_jwt"
)

// metadata is what of a transmitter's configuration metadata is used (SSF 1.0 section 7.1).
type metadata struct {
	Issuer        string   `json:"issuer"`
	JWKS          string   `json:"jwks_uri"`
	Methods       []string `json:"delivery_methods_supported"`
	Configuration string   `json:"configuration_endpoint"`
	Status        string   `json:"status_endpoint"`
	Verification  string   `json:"verification_endpoint"`
	readAt        time.Time
}

// MetadataAddress is where a transmitter has its configuration metadata, unless it says
// otherwise (SSF 1.0 section 7.2): the well-known path between host and path of its issuer.
func MetadataAddress(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	u.Path = ssf.PathMetadata + strings.TrimSuffix(u.Path, "/")
	return u.String()
}

// transmitter is one identity provider as a transmitter. One goroutine at a time.
type transmitter struct {
	Listening
	client *http.Client
	prove  func(clientID, audience string, now time.Time) (string, error)
	found  metadata
	token  string
	until  time.Time // of token
}

// discover reads the metadata, which must be of the issuer and keep its endpoints there:
// they are sent credentials.
func (t *transmitter) discover(ctx context.Context, now time.Time) error {
	if !t.found.readAt.IsZero() && now.Sub(t.found.readAt) < metadataLife {
		return nil
	}
	var m metadata
	err := t.send(ctx, http.MethodGet, t.Access.Metadata, "", nil, &m)
	if fault.Is(err, fault.Unavailable) && !t.found.readAt.IsZero() { // what is known outlives an outage
		t.found.readAt = now.Add(metadataAgain - metadataLife)
		return nil
	}
	if err != nil {
		return err
	}
	if m.Issuer != t.Issuer {
		return unacceptable(errors.New("the transmitter's metadata is of another issuer"))
	}
	if m.Configuration == "" || m.JWKS == "" {
		return unacceptable(errors.New("the transmitter's metadata lacks configuration_endpoint or jwks_uri"))
	}
	for _, e := range []string{m.JWKS, m.Configuration, m.Status, m.Verification} {
		if e != "" && !sameOrigin(t.Issuer, e) {
			return unacceptable(errors.New("an endpoint of the transmitter does not lie on its issuer's host"))
		}
	}
	m.readAt = now
	t.found = m
	return nil
}

func sameOrigin(a, b string) bool {
	u, err := url.Parse(a)
	v, errV := url.Parse(b)
	return err == nil && errV == nil && v.Host != "" && v.User == nil && u.Scheme == v.Scheme && u.Host == v.Host
}

func unacceptable(err error) error {
	e := fault.New(fault.Invalid, "inbound.transmitter", "The transmitter is not as it should be: %s.", err)
	e.Err = err
	return e
}

// method is the name that the transmitter has for the wanted way of delivery: drafts
// before SSF 1.0 had others.
func (t *transmitter) method() (string, error) {
	want, old := ssf.Poll, "https://schemas.openid.net/secevent/risc/delivery-method/poll"
	if t.Push {
		want, old = ssf.Push, "https://schemas.openid.net/secevent/risc/delivery-method/push"
	}
	switch {
	case len(t.found.Methods) == 0 || slices.Contains(t.found.Methods, want):
		return want, nil
	case slices.Contains(t.found.Methods, old):
		return old, nil
	}
	return "", unacceptable(errors.New("it does not deliver by " + want))
}

// configuration is a stream as its transmitter shows it (SSF 1.0 section 8.1.1).
type configuration struct {
	ID          string   `json:"stream_id"`
	Issuer      string   `json:"iss"`
	Audience    textList `json:"aud"`
	Supported   []string `json:"events_supported"`
	Requested   []string `json:"events_requested"`
	Delivered   []string `json:"events_delivered"`
	Description string   `json:"description"`
	Delivery    struct {
		Method   string `json:"method"`
		Endpoint string `json:"endpoint_url"`
	} `json:"delivery"`
}

// textList is a string, or an array of them.
type textList []string

// UnmarshalJSON reads either.
func (l *textList) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*l = textList{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(l))
}

// wish is what a stream is asked to be.
type wish struct {
	ID          string        `json:"stream_id,omitzero"`
	Delivery    *wishDelivery `json:"delivery,omitempty"`
	Events      []ssf.Type    `json:"events_requested"`
	Description string        `json:"description,omitzero"`
}

type wishDelivery struct {
	Method        string `json:"method"`
	Endpoint      string `json:"endpoint_url,omitzero"`
	Authorization string `json:"authorization_header,omitzero"`
}

// list gives the streams that the transmitter has for the bridge; none if it does not
// list any.
func (t *transmitter) list(ctx context.Context, now time.Time) ([]configuration, error) {
	var all []configuration
	err := t.call(ctx, now, http.MethodGet, t.found.Configuration, nil, &all)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return nil, nil
	}
	return all, err
}

func (t *transmitter) stream(ctx context.Context, now time.Time, id string) (c configuration, err error) {
	err = t.call(ctx, now, http.MethodGet, withStream(t.found.Configuration, id), nil, &c)
	return c, err
}

func (t *transmitter) put(ctx context.Context, now time.Time, method string, w wish) (c configuration, err error) {
	err = t.call(ctx, now, method, t.found.Configuration, w, &c)
	return c, err
}

func (t *transmitter) remove(ctx context.Context, now time.Time, id string) error {
	return t.call(ctx, now, http.MethodDelete, withStream(t.found.Configuration, id), nil, nil)
}

// standing is a stream's status on the wire (SSF 1.0 section 8.1.2).
type standing struct {
	ID     string     `json:"stream_id"`
	Status ssf.Status `json:"status"`
	Reason string     `json:"reason,omitzero"`
}

// status gives the stream's status; enabled where the transmitter has no such endpoint.
func (t *transmitter) status(ctx context.Context, now time.Time, id string) (s standing, err error) {
	if t.found.Status == "" {
		return standing{ID: id, Status: ssf.Enabled}, nil
	}
	err = t.call(ctx, now, http.MethodGet, withStream(t.found.Status, id), nil, &s)
	return s, err
}

func (t *transmitter) enable(ctx context.Context, now time.Time, id string) (s standing, err error) {
	err = t.call(ctx, now, http.MethodPost, t.found.Status, standing{ID: id, Status: ssf.Enabled}, &s)
	return s, err
}

func (t *transmitter) verify(ctx context.Context, now time.Time, id, state string) error {
	return t.call(ctx, now, http.MethodPost, t.found.Verification, map[string]string{"stream_id": id, "state": state}, nil)
}

// pollAsk is a poll (RFC 8936 section 2.2): it never waits, since one request has little time.
type pollAsk struct {
	Max       int                 `json:"maxEvents"`
	Immediate bool                `json:"returnImmediately"`
	Ack       []string            `json:"ack,omitempty"`
	Errors    map[string]setError `json:"setErrs,omitempty"`
}

type setError struct {
	Code        string `json:"err"`
	Description string `json:"description"`
}

type pollAnswer struct {
	SETs map[string]string `json:"sets"`
	More bool              `json:"moreAvailable"`
}

func (t *transmitter) poll(ctx context.Context, now time.Time, endpoint string, ask pollAsk) (a pollAnswer, err error) {
	ask.Immediate = true
	err = t.call(ctx, now, http.MethodPost, endpoint, ask, &a)
	return a, err
}

func withStream(endpoint, id string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	q := u.Query()
	q.Set("stream_id", id)
	u.RawQuery = q.Encode()
	return u.String()
}

// call makes a request that the bridge proves itself for. A token that no longer counts is
// forgotten.
func (t *transmitter) call(ctx context.Context, now time.Time, method, address string, in, out any) error {
	token, err := t.authorized(ctx, now)
	if err != nil {
		return err
	}
	err = t.send(ctx, method, address, token, in, out)
	if fault.Is(err, fault.Unauthenticated) {
		t.token = ""
	}
	return err
}

// authorized gives an access token: the one that was configured, or one for the client.
func (t *transmitter) authorized(ctx context.Context, now time.Time) (string, error) {
	if !t.Access.Token.Empty() {
		return t.Access.Token.Reveal(), nil
	}
	if t.token != "" && now.Before(t.until) {
		return t.token, nil
	}
	conf := clientcredentials.Config{ClientID: t.Access.ClientID, ClientSecret: t.Access.ClientSecret.Reveal(), TokenURL: t.Access.TokenEndpoint,
		Scopes: t.Access.OAuthScopes, AuthStyle: oauth2.AuthStyleInHeader}
	switch t.Access.Authentication {
	case PostSecret:
		conf.AuthStyle = oauth2.AuthStyleInParams
	case SignedJWT:
		proof, err := t.proof(now)
		if err != nil {
			return "", err
		}
		conf.AuthStyle, conf.EndpointParams = oauth2.AuthStyleInParams, url.Values{"client_assertion_type": {assertion.Type}, "client_assertion": {proof}}
	}
	got, err := conf.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err != nil {
		return "", tokenFault(err)
	}
	t.token, t.until = got.AccessToken, now.Add(tokenLeast)
	if seconds, ok := got.Extra("expires_in").(float64); ok {
		t.until = now.Add(max(time.Duration(seconds)*time.Second-tokenSpare, 0))
	}
	return t.token, nil
}

func (t *transmitter) proof(now time.Time) (string, error) {
	if t.prove == nil {
		return "", fault.New(fault.Internal, "inbound.transmitter", "nobody makes client assertions")
	}
	return t.prove(t.Access.ClientID, t.Access.TokenEndpoint, now)
}

// tokenFault classifies a failed request for a token; of the answer only the status is
// carried on.
func tokenFault(err error) error {
	const op = "inbound.token"
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		return fault.Wrap(kindOf(refused.Response.StatusCode), op, fmt.Errorf("the token endpoint answered %d", refused.Response.StatusCode))
	}
	return fault.Wrap(fault.Unavailable, op, err)
}

// kindOf is what an answer that is no success comes to.
func kindOf(status int) fault.Kind {
	switch {
	case status == http.StatusUnauthorized:
		return fault.Unauthenticated
	case status == http.StatusForbidden:
		return fault.Denied
	case status == http.StatusNotFound || status == http.StatusGone:
		return fault.NotFound
	case status == http.StatusConflict:
		return fault.Conflict
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		return fault.Unavailable
	}
	return fault.Invalid
}

// send makes one request and reads a JSON answer into out; nil: it is not looked at.
func (t *transmitter) send(ctx context.Context, method, address, token string, in, out any) (err error) {
	const op = "inbound.transmitter"
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fault.Wrap(fault.Internal, op, err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return fault.Wrap(fault.Invalid, op, err)
	}
	r.Header.Set("Accept", "application/json")
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := t.client.Do(r)
	if err != nil {
		return err // of the egress client, which has named it
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fault.Wrap(kindOf(resp.StatusCode), op, fmt.Errorf("%s %s answered %d", method, r.URL.Path, resp.StatusCode))
	}
	if out == nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return err
	case len(text) > maxAnswer:
		return fault.New(fault.Limited, op, "the answer is larger than 1 MiB")
	case jsonv2.Unmarshal(text, out) != nil:
		return unacceptable(fmt.Errorf("the answer to %s %s cannot be read", method, r.URL.Path))
	}
	return nil
}
