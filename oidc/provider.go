package oidc

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Config is what a Provider uses. All fields but Proofs, Doors and Observe are needed.
type Config struct {
	Issuer       string // origin, without a trailing slash; https but on loopback
	Clients      Clients
	Requests     Requests
	Browsers     Browsers
	Switcher     Switcher
	Tokens       Tokens
	Profiles     Profiles
	Codes        Codes
	Services     Services
	Applications Applications
	Feed         Feed
	Proofs       *Proofs // nil: no DPoP
	// ClientAddr is the address that a request counts as coming from.
	ClientAddr  func(*http.Request) netip.Addr
	Doors       Doors // nil: nobody is made to wait
	Interaction Interaction
	JWKS        func() []byte // the public keys as a JSON document (RFC 7517)
	// ACRValues are the kinds of sign-in that are asked for anywhere; nil: none.
	ACRValues  func() []string
	Now        func() time.Time
	CookieName string // of the browser's session
	// Observe hears of every error once, where it is rendered. It may be nil.
	Observe func(ctx context.Context, err error)
}

// Provider serves the OpenID Provider's endpoints. It holds no state of its own but
// the proofs it has seen.
type Provider struct {
	Config
	secure bool // cookies are sent over https only
}

// New makes a Provider.
func New(c Config) *Provider {
	return &Provider{Config: c, secure: strings.HasPrefix(c.Issuer, "https://")}
}

// PathToken is the token endpoint, below the issuer: assertions are made out to it.
const PathToken = "/oauth2/token"

// PathKeys is where the public keys are, below the issuer.
const PathKeys = "/oauth2/keys"

// The paths of the other endpoints.
const (
	pathAuthorize  = "/oauth2/authorize"
	pathPush       = "/oauth2/par"
	pathIntrospect = "/oauth2/introspect"
	pathRevoke     = "/oauth2/revoke"
	pathUserinfo   = "/oauth2/userinfo"
	pathEndSession = "/oauth2/end_session"
	pathKeys       = PathKeys
	pathFeed       = "/oauth2/revocations"
	pathCheck      = "/oauth2/auth_request"
)

// Routes puts the endpoints on mux. The patterns name no method: a wrong one is
// answered here, and not by whatever else mux has.
func (p *Provider) Routes(mux *http.ServeMux) {
	get, post := []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}
	both := []string{http.MethodGet, http.MethodPost} // a HEAD must not sign anybody in or out
	for _, e := range []struct {
		path    string
		methods []string
		read    reading
		serve   http.HandlerFunc
	}{
		{pathAuthorize, both, byNobody, p.authorize},
		{pathPush, post, byRegistered, p.push},
		{PathToken, post, byRegistered, p.token},
		{pathIntrospect, post, byNobody, p.introspect},
		{pathRevoke, post, byRegistered, p.revoke},
		{pathUserinfo, both, byRegistered, p.userinfo},
		{pathEndSession, both, byNobody, p.endSession},
		{pathKeys, get, byEverybody, p.keys},
		{pathFeed, []string{http.MethodGet}, byNobody, p.revocations},
		{pathCheck, anyMethod, byNobody, p.authRequest},
		{pathCheck + "/", anyMethod, byNobody, p.authRequest},
		{"/.well-known/openid-configuration", get, byEverybody, p.metadata},
		{"/.well-known/oauth-authorization-server", get, byEverybody, p.metadata},
	} {
		mux.Handle(e.path, p.guard(e.methods, e.read, e.serve))
	}
}

// guard refuses other methods and sets the headers that every answer has.
func (p *Provider) guard(methods []string, read reading, next http.HandlerFunc) http.Handler {
	allow := strings.Join(methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		if read == byRegistered {
			h.Set("Vary", "Origin")
		}
		if p.preflight(w, r, methods, read) {
			return
		}
		if !slices.Contains(methods, r.Method) {
			h.Set("Allow", allow)
			writeError(w, &Error{Status: http.StatusMethodNotAllowed, Code: "invalid_request",
				Description: "This endpoint takes " + allow + "."})
			return
		}
		if read == byEverybody {
			letEverybodyRead(w)
		}
		next(w, r)
	})
}

func (p *Provider) observe(ctx context.Context, err error) {
	if p.Observe != nil && err != nil {
		p.Observe(ctx, err)
	}
}
