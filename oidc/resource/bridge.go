package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bridge speaks to the OpenID Provider.
type bridge struct {
	cfg Config

	mu     sync.Mutex // guards what follows
	found  *metadata
	token  string
	expire time.Time
}

// metadata is what the discovery document says (RFC 8414).
type metadata struct {
	Issuer     string `json:"issuer"`
	JWKS       string `json:"jwks_uri"`
	Token      string `json:"token_endpoint"`
	Introspect string `json:"introspection_endpoint"`
	Feed       string `json:"revocation_feed_endpoint"`
}

const maxAnswer = 4 << 20 // bytes

// discover finds the endpoints once. All of them are the issuer's own: whoever can
// change the document can name no others.
func (b *bridge) discover(ctx context.Context) (*metadata, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.found != nil {
		return b.found, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.cfg.Issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return nil, err
	}
	var m metadata
	if err := b.do(req, &m); err != nil {
		return nil, err
	}
	if m.Issuer != b.cfg.Issuer {
		return nil, fmt.Errorf("resource: %s says that its issuer is %q", req.URL, m.Issuer)
	}
	for _, u := range []string{m.JWKS, m.Token, m.Introspect, m.Feed} {
		if !strings.HasPrefix(u, b.cfg.Issuer+"/") {
			return nil, fmt.Errorf("resource: %s names the endpoint %q, which is not the issuer's", req.URL, u)
		}
	}
	b.found = &m
	return b.found, nil
}

// do sends a request and reads a JSON answer of status 200.
func (b *bridge) do(req *http.Request, v any) error {
	res, err := b.cfg.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("resource: %s: %w", req.URL.Path, err)
	case res.StatusCode != http.StatusOK:
		return &status{path: req.URL.Path, code: res.StatusCode}
	case len(body) > maxAnswer:
		return fmt.Errorf("resource: %s answered with more than 4 MiB", req.URL.Path)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("resource: %s answered with what is no JSON: %w", req.URL.Path, err)
	}
	return nil
}

// status is an answer other than 200.
type status struct {
	path string
	code int
}

func (s *status) Error() string {
	return fmt.Sprintf("resource: %s answered with status %d", s.path, s.code)
}

// post sends a form with the API's own credentials (RFC 6749 section 2.3.1).
func (b *bridge) post(ctx context.Context, endpoint string, form url.Values, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(b.cfg.ClientID), url.QueryEscape(b.cfg.ClientSecret))
	return b.do(req, v)
}

// introspected is an introspection answer (RFC 7662 section 2.2).
type introspected struct {
	Active bool   `json:"active"`
	Scope  string `json:"scope"`
	Grant  Grant  `json:"active_grant"`
}

func (b *bridge) introspect(ctx context.Context, token string) (a introspected, err error) {
	m, err := b.discover(ctx)
	if err != nil {
		return a, err
	}
	err = b.post(ctx, m.Introspect, url.Values{"token": {token}, "token_type_hint": {"access_token"}}, &a)
	if err == nil && a.Active && (a.Grant.Name == "" || a.Grant.Scope.ID == "") {
		err = errors.New("resource: the bridge says that the token counts, and not for which grant")
	}
	return a, err
}

// own is the API's own access token (RFC 6749 section 4.4).
func (b *bridge) own(ctx context.Context, m *metadata) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.cfg.Now()
	if b.token != "" && now.Before(b.expire) {
		return b.token, nil
	}
	var t struct {
		Token   string `json:"access_token"`
		Expires int64  `json:"expires_in"`
	}
	if err := b.post(ctx, m.Token, url.Values{"grant_type": {"client_credentials"}, "scope": {"revocations"}}, &t); err != nil {
		return "", err
	}
	b.token, b.expire = t.Token, now.Add(time.Duration(t.Expires)*time.Second*3/4)
	return b.token, nil
}

func (b *bridge) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.token = ""
}

// changes waits for what ends after a cursor.
func (b *bridge) changes(ctx context.Context, since string, wait time.Duration) (page, error) {
	m, err := b.discover(ctx)
	if err != nil {
		return page{}, err
	}
	p, err := b.changesOnce(ctx, m, since, wait)
	var answered *status
	if errors.As(err, &answered) && answered.code == http.StatusUnauthorized { // the API's own token has ended, perhaps with all others
		b.forget()
		p, err = b.changesOnce(ctx, m, since, wait)
	}
	if err == nil && p.Cursor == "" {
		err = errors.New("resource: the feed of revocations names no cursor")
	}
	return p, err
}

func (b *bridge) changesOnce(ctx context.Context, m *metadata, since string, wait time.Duration) (p page, err error) {
	token, err := b.own(ctx, m)
	if err != nil {
		return p, err
	}
	query := url.Values{"since": {since}, "wait": {strconv.Itoa(max(1, int(wait/time.Second)))}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Feed+"?"+query.Encode(), nil)
	if err != nil {
		return p, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	err = b.do(req, &p)
	return p, err
}
