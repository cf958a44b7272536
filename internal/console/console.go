package console

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// Config is what the pages use. All fields but Support, Doors, Reference and Observe are needed.
type Config struct {
	Base     string // the issuer: an origin without a trailing slash; https makes cookies Secure
	Product  Public // the service's name as customers know it
	Support  Public // how to reach the vendor's support; "" if there is none
	SignIns  SignIns
	Own      Own
	Finder   Finder
	Grants   Grants
	Proofs   *oidc.Proofs // judges how access tokens are shown; nil: no DPoP
	Requests Requests
	Clients  Clients
	Codes    oidc.Codes
	Upstream Upstream
	// Doors counts steps of sign-ins by where they come from; nil: nobody is made to wait.
	Doors Doors
	Now   func() time.Time
	// Reference is the request's id, shown on pages that say no, so that support
	// finds it in the log. nil: a random one is made, and Observe hears of it.
	Reference func(ctx context.Context) string
	// Observe hears of every error once, where it is rendered. It may be nil.
	Observe func(ctx context.Context, reference string, err error)
}

// Console serves the pages. It holds no state of its own; it implements
// oidc.Interaction.
type Console struct {
	Config
	secure bool
	pages  pages
	cross  *http.CrossOriginProtection
}

var _ oidc.Interaction = (*Console)(nil)

// New makes a Console. It panics if a template does not parse, which only a build
// can cause.
func New(c Config) *Console {
	return &Console{
		Config: c, secure: strings.HasPrefix(c.Base, "https://"),
		pages: parsePages(), cross: http.NewCrossOriginProtection(),
	}
}

// methods says what a path answers to, by method.
type methods map[string]http.HandlerFunc

// The paths that links and forms name. The callback's connection follows it.
const (
	pathSignIn    = "/sign-in"
	pathChoose    = "/me/choose"
	pathConsent   = "/me/consent"
	pathApps      = "/me/applications"
	pathMe        = "/me/"
	pathSwitch    = "/me/switch"
	pathSignOut   = "/me/sign-out"
	pathEnd       = "/me/end"
	pathEndOthers = "/me/end-others"
	pathEndAll    = "/me/end-all"
	pathEnded     = "/me/ended"
	pathSignedOut = "/signed-out"
	pathStyle     = "/assets/style.css"
	pathGrants    = "/me/grants"
)

func (c *Console) routes() map[string]methods {
	return map[string]methods{
		pathSignIn:                       {http.MethodGet: c.counted(c.signIn), http.MethodPost: c.counted(c.address)},
		pathSignIn + "/{connection}":     {http.MethodGet: c.counted(c.companyLink)},
		"/connect/{connection}/callback": {http.MethodGet: c.counted(c.callback)},
		pathMe + "{$}":                   {http.MethodGet: c.me},
		pathChoose:                       {http.MethodGet: c.choose, http.MethodPost: c.chosen},
		pathConsent:                      {http.MethodGet: c.consent, http.MethodPost: c.answered},
		pathApps:                         {http.MethodGet: c.apps, http.MethodPost: c.withdraw},
		pathSwitch:                       {http.MethodPost: c.switchGrant},
		pathSignOut:                      {http.MethodPost: c.signOut},
		pathEnd:                          {http.MethodPost: c.endOne},
		pathEndOthers:                    {http.MethodPost: c.endOthers},
		pathEndAll:                       {http.MethodPost: c.endAll},
		pathEnded:                        {http.MethodGet: c.ended},
		pathSignedOut:                    {http.MethodGet: c.signedOutPage},
		pathStyle:                        {http.MethodGet: c.style},
		pathGrants:                       {http.MethodGet: c.grants},
	}
}

// Routes puts the pages on mux. Patterns name no method, so that a wrong one gets a
// page; "/" answers whatever nobody else does.
func (c *Console) Routes(mux *http.ServeMux) {
	for path, m := range c.routes() {
		mux.Handle(path, c.guard(m))
	}
	mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header(), c.secure, "")
		c.Fail(w, r, http.StatusNotFound, "There is no such page", "Check the address, or go to your access.")
	}))
}

const formLimit = 16 << 10

// guard sets the headers that every answer has, refuses other methods, and refuses
// what another site makes a browser send.
func (c *Console) guard(m methods) http.Handler {
	var allowed []string
	for method := range m {
		allowed = append(allowed, method)
	}
	slices.Sort(allowed)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header(), c.secure, "")
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		serve := m[method]
		if serve == nil {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			c.Fail(w, r, http.StatusMethodNotAllowed, "This page does not work that way", "Open it from a link or a button of this service.")
			return
		}
		if err := c.cross.Check(r); err != nil {
			c.observe(r, fault.Wrap(fault.Denied, "console.guard", err))
			c.Fail(w, r, http.StatusForbidden, "That came from another site", "Nothing was changed. Open your access here and try again.")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, formLimit)
		serve(w, r)
	})
}

// setHeaders forbids everything that these pages do not need: script, frames,
// foreign content, caching. next is the one foreign origin that a form's answer
// may redirect to, "" if there is none.
func setHeaders(h http.Header, secure bool, next string) {
	action := "'self'"
	if next != "" {
		action += " " + next
	}
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action "+action+
		"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func (c *Console) observe(r *http.Request, err error) string {
	ref := c.reference(r)
	if c.Observe != nil {
		c.Observe(r.Context(), ref, err)
	}
	return ref
}
