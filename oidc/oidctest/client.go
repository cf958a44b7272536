package oidctest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

const (
	maxHops   = 20
	pageLimit = 1 << 20
)

// Client is a small OpenID relying party with one browser: it keeps cookies,
// follows redirects by hand and never renders a page. Its methods may be used by
// one goroutine at a time.
type Client struct {
	Issuer       string
	ClientID     string
	ClientSecret secret.String // empty: a public client
	RedirectURI  string
	OAuthScopes  []string          // beside openid; default: profile email offline_access
	Connection   string            // skips discovery by e-mail
	Transport    http.RoundTripper // default: http.DefaultTransport

	once     sync.Once // guards the three below
	startErr error
	browser  *http.Client
	provider *oidc.Provider
}

// Tokens is a token answer, with the ID token verified.
type Tokens struct {
	AccessToken  string
	RefreshToken string
	IDToken      string
	TokenType    string
	ExpiresIn    time.Duration
	OAuthScope   string         // as answered
	Claims       map[string]any // of the ID token
}

// Stopped says that the browser came to rest on a page instead of the redirect URI.
type Stopped struct {
	URL    string
	Status int
	Body   string // at most 1 MB
}

// Error names the page.
func (s *Stopped) Error() string {
	return fmt.Sprintf("oidctest: the browser stopped at %s with status %d", s.URL, s.Status)
}

// OAuthError is an error answer of RFC 6749, by redirect (Status 0) or in a body.
type OAuthError struct {
	Status      int
	Code        string
	Description string
}

// Error says which.
func (e *OAuthError) Error() string {
	return fmt.Sprintf("oidctest: %s (%d): %s", e.Code, e.Status, e.Description)
}

// SignIn runs the code flow with PKCE for the person that hint names.
func (c *Client) SignIn(ctx context.Context, hint string) (Tokens, error) {
	return c.Authorize(ctx, url.Values{"login_hint": {hint}})
}

// Authorize runs the code flow with these parameters beside the usual ones; they
// win over the usual ones, so {"scope": {"openid grant:…"}} switches.
func (c *Client) Authorize(ctx context.Context, extra url.Values) (Tokens, error) {
	g, err := c.Code(ctx, extra)
	if err != nil {
		return Tokens{}, err
	}
	return c.Exchange(ctx, g.Code, g.Verifier, g.Nonce)
}

// Granted is an authorization code with what redeems it.
type Granted struct{ Code, Verifier, Nonce string }

// Code is Authorize up to the code, which it does not redeem.
func (c *Client) Code(ctx context.Context, extra url.Values) (Granted, error) {
	if err := c.start(ctx); err != nil {
		return Granted{}, err
	}
	g, state := Granted{Verifier: oauth2.GenerateVerifier(), Nonce: rand.Text()}, rand.Text()
	back, err := c.follow(ctx, withQuery(c.provider.Endpoint().AuthURL, c.request(g.Verifier, g.Nonce, state, extra)))
	if err != nil {
		return Granted{}, err
	}
	g.Code = back.Get("code")
	return g, c.returned(back, state)
}

func (c *Client) request(verifier, nonce, state string, extra url.Values) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.ClientID}, "redirect_uri": {c.RedirectURI},
		"scope": {strings.Join(c.scopes(), " ")}, "state": {state}, "nonce": {nonce},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
	}
	if c.Connection != "" {
		q.Set("connection", c.Connection)
	}
	for name, values := range extra {
		q[name] = values
	}
	return q
}

func (c *Client) scopes() []string {
	if c.OAuthScopes == nil {
		return []string{"openid", "profile", "email", "offline_access"}
	}
	return append([]string{"openid"}, c.OAuthScopes...)
}

// returned checks what came back to the redirect URI: state, and iss where it is
// there (RFC 9207).
func (c *Client) returned(back url.Values, state string) error {
	switch iss := back.Get("iss"); {
	case back.Get("state") != state:
		return errors.New("oidctest: the answer carries another state")
	case iss != "" && iss != c.Issuer:
		return fmt.Errorf("oidctest: the answer is from %s, not from %s", iss, c.Issuer)
	case back.Get("error") != "":
		return &OAuthError{Code: back.Get("error"), Description: back.Get("error_description")}
	case back.Get("code") == "":
		return errors.New("oidctest: the answer has neither code nor error")
	}
	return nil
}

// start reads the discovery document once and opens the browser.
func (c *Client) start(ctx context.Context) error {
	c.once.Do(func() {
		jar, err := cookiejar.New(nil)
		if err != nil {
			c.startErr = fmt.Errorf("oidctest: %w", err)
			return
		}
		c.browser = &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
		// The provider keeps this context for its keys: it must outlive the call.
		c.provider, c.startErr = oidc.NewProvider(context.WithoutCancel(c.with(ctx)), c.Issuer)
	})
	return c.startErr
}

// with is a context whose HTTP has this client's transport, but not its cookies.
func (c *Client) with(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, &http.Client{Transport: c.Transport, Timeout: 30 * time.Second})
}

// follow gives the query that reached the redirect URI, or Stopped.
func (c *Client) follow(ctx context.Context, at string) (url.Values, error) {
	for range maxHops {
		next, stopped, err := c.hop(ctx, at)
		switch {
		case err != nil:
			return nil, err
		case stopped != nil:
			return nil, stopped
		}
		u, err := url.Parse(next)
		if err != nil {
			return nil, fmt.Errorf("oidctest: a redirect to %q: %w", next, err)
		}
		if before, _, _ := strings.Cut(next, "?"); before == c.RedirectURI {
			return u.Query(), nil
		}
		at = next
	}
	return nil, fmt.Errorf("oidctest: more than %d redirects", maxHops)
}

func (c *Client) hop(ctx context.Context, at string) (next string, stopped *Stopped, err error) {
	res, err := c.get(ctx, at, "")
	if err != nil {
		return "", nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end below
	if res.StatusCode/100 == 3 {
		to, err := res.Location()
		if err != nil {
			return "", nil, fmt.Errorf("oidctest: %s: %w", at, err)
		}
		return to.String(), nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, pageLimit))
	if err != nil {
		return "", nil, fmt.Errorf("oidctest: %s: %w", at, err)
	}
	return "", &Stopped{URL: at, Status: res.StatusCode, Body: string(body)}, nil
}

func (c *Client) get(ctx context.Context, at, bearer string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := c.browser.Do(req)
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	return res, nil
}

// Exchange redeems a code. nonce is compared unless it is empty.
func (c *Client) Exchange(ctx context.Context, code, verifier, nonce string) (Tokens, error) {
	if err := c.start(ctx); err != nil {
		return Tokens{}, err
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.RedirectURI}, "code_verifier": {verifier}}
	return c.token(ctx, form, nonce)
}

// Refresh uses a refresh token; the answer carries the next one.
func (c *Client) Refresh(ctx context.Context, refreshToken string) (Tokens, error) {
	if err := c.start(ctx); err != nil {
		return Tokens{}, err
	}
	return c.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}, "")
}

func (c *Client) token(ctx context.Context, form url.Values, nonce string) (Tokens, error) {
	var answer struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		IDToken      string `json:"id_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int64  `json:"expires_in"`
		Scope        string `json:"scope"`
	}
	if err := c.post(ctx, c.provider.Endpoint().TokenURL, form, &answer); err != nil {
		return Tokens{}, err
	}
	t := Tokens{
		AccessToken: answer.AccessToken, RefreshToken: answer.RefreshToken, IDToken: answer.IDToken, TokenType: answer.TokenType,
		ExpiresIn: time.Duration(answer.ExpiresIn) * time.Second, OAuthScope: answer.Scope,
	}
	if t.IDToken == "" {
		return t, nil
	}
	err := c.verify(ctx, &t, nonce)
	return t, err
}

func (c *Client) verify(ctx context.Context, t *Tokens, nonce string) error {
	id, err := c.provider.Verifier(&oidc.Config{ClientID: c.ClientID}).Verify(c.with(ctx), t.IDToken)
	if err != nil {
		return fmt.Errorf("oidctest: %w", err)
	}
	if nonce != "" && id.Nonce != nonce {
		return errors.New("oidctest: the ID token carries another nonce")
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(t.AccessToken); err != nil {
			return fmt.Errorf("oidctest: %w", err)
		}
	}
	if err := id.Claims(&t.Claims); err != nil {
		return fmt.Errorf("oidctest: %w", err)
	}
	return nil
}

// post sends a form with the client's credentials and decodes a JSON answer.
func (c *Client) post(ctx context.Context, at string, form url.Values, into any) error {
	if c.ClientSecret.Empty() {
		form.Set("client_id", c.ClientID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("oidctest: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !c.ClientSecret.Empty() {
		req.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(c.ClientSecret.Reveal()))
	}
	res, err := (&http.Client{Transport: c.Transport, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return fmt.Errorf("oidctest: %w", err)
	}
	return decodeOAuth(res, into)
}

// decodeOAuth reads a JSON answer to its end, or an OAuthError.
func decodeOAuth(res *http.Response, into any) error {
	defer res.Body.Close() //nolint:errcheck // read to its end here
	body, err := io.ReadAll(io.LimitReader(res.Body, pageLimit))
	if err != nil {
		return fmt.Errorf("oidctest: %w", err)
	}
	if res.StatusCode/100 != 2 {
		var e struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		if err := json.Unmarshal(body, &e); err != nil {
			e.Description = strings.ToValidUTF8(string(body[:min(len(body), 8<<10)]), "")
		}
		return &OAuthError{Status: res.StatusCode, Code: e.Error, Description: e.Description}
	}
	if into == nil || len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("oidctest: read the answer: %w", err)
	}
	return nil
}
