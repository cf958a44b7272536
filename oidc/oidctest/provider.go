package oidctest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/drawbridge-id/drawbridge/internal/rsakey"
)

const (
	codeLife   = 60 * time.Second
	tokenLife  = time.Hour
	maxPending = 10_000 // codes and access tokens held at once, each
	rsaBits    = 2048
)

// provider is the OpenID Provider half of an identity provider.
type provider struct {
	idp    *IdP
	paths  paths
	signer jose.Signer
	public jose.JSONWebKeySet

	mu       sync.Mutex // guards codes, tokens and asserted
	codes    map[string]pendingCode
	tokens   map[string]issued
	asserted map[string]time.Time // when assertions end that were shown, by jti
}

// paths is where a vendor has its endpoints, under the base URL.
type paths struct {
	issuer, authorize, token, keys, userinfo, logout string
}

type pendingCode struct {
	person      string // object id
	redirectURI string
	challenge   string
	nonce       string
	scope       string
	at          time.Time
}

type issued struct {
	person string
	at     time.Time
}

func newProvider(i *IdP) (*provider, error) {
	key, err := rsakey.Generate(rsaBits)
	if err != nil {
		return nil, fmt.Errorf("oidctest: make a signing key: %w", err)
	}
	jwk := jose.JSONWebKey{Key: key, Algorithm: string(jose.RS256), Use: "sig"}
	print, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("oidctest: name a signing key: %w", err)
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(print)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jwk}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("oidctest: %w", err)
	}
	return &provider{
		idp: i, paths: pathsOf(i), signer: signer, public: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwk.Public()}},
		codes: map[string]pendingCode{}, tokens: map[string]issued{}, asserted: map[string]time.Time{},
	}, nil
}

func pathsOf(i *IdP) paths {
	if i.vendor == "entra" {
		t := "/" + i.cfg.TenantID
		return paths{
			issuer: t + "/v2.0", authorize: t + "/oauth2/v2.0/authorize", token: t + "/oauth2/v2.0/token",
			keys: t + "/discovery/v2.0/keys", userinfo: t + "/oidc/userinfo", logout: t + "/oauth2/v2.0/logout",
		}
	}
	return paths{
		issuer: "", authorize: "/oauth2/v1/authorize", token: "/oauth2/v1/token",
		keys: "/oauth2/v1/keys", userinfo: "/oauth2/v1/userinfo", logout: "/oauth2/v1/logout",
	}
}

// Issuer is the OpenID issuer: {base}/{tenant}/v2.0 for Entra, {base} for Okta.
func (i *IdP) Issuer() string { return i.cfg.BaseURL + i.sign.paths.issuer }

func (p *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	base := p.idp.cfg.BaseURL
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                p.idp.Issuer(),
		"authorization_endpoint":                base + p.paths.authorize,
		"token_endpoint":                        base + p.paths.token,
		"jwks_uri":                              base + p.paths.keys,
		"userinfo_endpoint":                     base + p.paths.userinfo,
		"end_session_endpoint":                  base + p.paths.logout,
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"grant_types_supported":                 []string{"authorization_code"},
		"subject_types_supported":               []string{map[string]string{"entra": "pairwise", "okta": "public"}[p.idp.vendor]},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "profile", "email"},
		"token_endpoint_auth_methods_supported": p.authMethods(),
		"code_challenge_methods_supported":      []string{"S256"},
		"claims_supported":                      []string{"sub", "iss", "aud", "exp", "iat", "nonce", "name", "email", "preferred_username", "oid", "tid"},
	})
}

func (p *provider) authMethods() []string {
	if p.idp.cfg.ClientKeysURI != "" {
		return []string{"private_key_jwt"}
	}
	return []string{"client_secret_basic", "client_secret_post"}
}

func (p *provider) keys(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, p.public)
}

// issue makes a single-use code and the address that carries it.
func (p *provider) issue(person Person, q url.Values, now time.Time) string {
	code := rand.Text()
	p.mu.Lock()
	sweep(p.codes, func(c pendingCode) bool { return now.Sub(c.at) >= codeLife })
	p.codes[code] = pendingCode{
		person: person.ObjectID, redirectURI: q.Get("redirect_uri"), challenge: q.Get("code_challenge"),
		nonce: q.Get("nonce"), scope: q.Get("scope"), at: now,
	}
	p.mu.Unlock()
	return withQuery(q.Get("redirect_uri"), url.Values{"code": {code}, "state": {q.Get("state")}})
}

// sweep drops what is over, and everything when too much is pending: a demo that
// forgets beats one that fills up.
func sweep[V any](m map[string]V, over func(V) bool) {
	for k, v := range m {
		if over(v) {
			delete(m, k)
		}
	}
	if len(m) >= maxPending {
		clear(m)
	}
}

func withQuery(uri string, add url.Values) string {
	for name, values := range add {
		if len(values) == 1 && values[0] == "" {
			delete(add, name)
		}
	}
	if strings.Contains(uri, "?") {
		return uri + "&" + add.Encode()
	}
	return uri + "?" + add.Encode()
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request", "the form cannot be read")
		return
	}
	if why := p.unauthenticated(r); why != "" {
		oauthError(w, http.StatusUnauthorized, "invalid_client", why)
		return
	}
	if r.PostForm.Get("grant_type") != "authorization_code" {
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type", "only authorization_code is offered")
		return
	}
	now := p.idp.cfg.Now()
	code, why := p.consume(r.PostForm, now)
	if why != "" {
		oauthError(w, http.StatusBadRequest, "invalid_grant", why)
		return
	}
	person, ok := p.idp.cfg.Directory.Find(code.person)
	if !ok || !person.Active {
		oauthError(w, http.StatusBadRequest, "invalid_grant", "the person is disabled")
		return
	}
	p.answer(w, code, person, now)
}

// unauthenticated says why a request is not the client's; "" if it is.
func (p *provider) unauthenticated(r *http.Request) string {
	if p.idp.cfg.ClientKeysURI != "" {
		return p.proven(r)
	}
	if !p.knowsSecret(r) {
		return "client id or secret is wrong"
	}
	return ""
}

func (p *provider) knowsSecret(r *http.Request) bool {
	id, sec, basic := r.BasicAuth()
	if basic { // RFC 6749 section 2.3.1: both are form-encoded inside
		var err1, err2 error
		id, err1 = url.QueryUnescape(id)
		sec, err2 = url.QueryUnescape(sec)
		if err1 != nil || err2 != nil {
			return false
		}
	} else {
		id, sec = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	sameID := subtle.ConstantTimeCompare([]byte(id), []byte(p.idp.cfg.ClientID))
	sameSecret := subtle.ConstantTimeCompare([]byte(sec), []byte(p.idp.cfg.ClientSecret.Reveal()))
	return sameID&sameSecret == 1
}

// consume takes the code, whatever follows: a code is tried once.
func (p *provider) consume(form url.Values, now time.Time) (pendingCode, string) {
	p.mu.Lock()
	code, ok := p.codes[form.Get("code")]
	delete(p.codes, form.Get("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	switch {
	case !ok || now.Sub(code.at) >= codeLife:
		return code, "the code is unknown, used or too old"
	case form.Get("redirect_uri") != code.redirectURI:
		return code, "redirect_uri is not the one of the authorization request"
	case base64.RawURLEncoding.EncodeToString(sum[:]) != code.challenge:
		return code, "code_verifier does not fit the code_challenge"
	}
	return code, ""
}

func (p *provider) answer(w http.ResponseWriter, code pendingCode, person Person, now time.Time) {
	access := rand.Text() + rand.Text()
	idToken, err := jwt.Signed(p.signer).Claims(p.claims(code, person, access, now)).Serialize()
	if err != nil {
		oauthError(w, http.StatusInternalServerError, "server_error", "the ID token cannot be signed")
		return
	}
	p.mu.Lock()
	sweep(p.tokens, func(t issued) bool { return now.Sub(t.at) >= tokenLife })
	p.tokens[access] = issued{person: person.ObjectID, at: now}
	p.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int(tokenLife / time.Second),
		"scope": code.scope, "id_token": idToken,
	})
}

func (p *provider) claims(code pendingCode, person Person, access string, now time.Time) map[string]any {
	half := sha256.Sum256([]byte(access))
	c := map[string]any{
		"iss": p.idp.Issuer(), "aud": p.idp.cfg.ClientID, "iat": now.Unix(), "nbf": now.Unix(),
		"exp": now.Add(tokenLife).Unix(), "auth_time": code.at.Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(half[:sha256.Size/2]),
		"name":    person.DisplayName, "preferred_username": person.UserName,
	}
	if code.nonce != "" {
		c["nonce"] = code.nonce
	}
	if slices.Contains(strings.Fields(code.scope), "email") {
		c["email"] = person.Email
	}
	if p.idp.vendor == "okta" {
		c["sub"], c["ver"], c["amr"], c["idp"] = person.ObjectID, 1, []string{"pwd"}, "00o1demo"
		c["jti"] = "ID." + rand.Text()
		return c
	}
	c["sub"], c["ver"], c["uti"] = p.pairwise(person), "2.0", rand.Text()
	if slices.Contains(strings.Fields(code.scope), "profile") { // Entra tells who it is only to those who ask for it
		c["oid"], c["tid"] = person.ObjectID, p.idp.cfg.TenantID
	}
	return c
}

// pairwise is Entra's sub: another one for each application.
func (p *provider) pairwise(person Person) string {
	sum := sha256.Sum256([]byte(p.idp.cfg.TenantID + "|" + p.idp.cfg.ClientID + "|" + person.ObjectID))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p *provider) userinfo(w http.ResponseWriter, r *http.Request) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	t, ok := p.tokens[bearer]
	p.mu.Unlock()
	person, known := p.idp.cfg.Directory.Find(t.person)
	if !ok || !known || !person.Active || p.idp.cfg.Now().Sub(t.at) >= tokenLife {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		oauthError(w, http.StatusUnauthorized, "invalid_token", "the access token is not valid")
		return
	}
	sub := person.ObjectID
	if p.idp.vendor == "entra" {
		sub = p.pairwise(person)
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"sub": sub, "name": person.DisplayName, "given_name": person.GivenName, "family_name": person.FamilyName,
		"email": person.Email, "preferred_username": person.UserName,
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "this answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) //nolint:errcheck // the client went away
}

func oauthError(w http.ResponseWriter, status int, code, description string) {
	writeJSON(w, status, map[string]string{"error": code, "error_description": description})
}
