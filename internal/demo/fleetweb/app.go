package fleetweb

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Config is what the application is registered with at the bridge.
type Config struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	BaseURL      string // its own origin; the redirect URI is BaseURL + "/callback"
	GrantsURL    string // the bridge's list of grants to choose from, GET /me/grants
	SessionFile  string // where sessions outlive a restart; "": nowhere
	Now          func() time.Time
	HTTP         *http.Client // default: 15 s for an answer
}

func (c Config) redirectURI() string { return c.BaseURL + "/callback" }

// signedOutURI is where the bridge may return people after sign-out.
func (c Config) signedOutURI() string { return c.BaseURL + "/" }

// App is the application.
type App struct {
	cfg      Config
	bridge   *bridge
	sessions *sessions
}

// New reads the sessions that were kept. It does not need the bridge to be up.
func New(cfg Config) (*App, error) {
	if cfg.Issuer == "" || cfg.ClientID == "" || cfg.BaseURL == "" {
		return nil, errors.New("fleetweb: an issuer, a client id and a base URL are needed")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client := cfg.HTTP
	if client == nil {
		client = &http.Client{Timeout: 15 * time.Second}
	}
	s, err := openSessions(cfg.SessionFile, cfg.Now)
	if err != nil {
		return nil, err
	}
	return &App{cfg: cfg, bridge: &bridge{cfg: cfg, http: client}, sessions: s}, nil
}

// Handler serves the application on the host of its base URL.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("GET /signin", a.signIn)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("POST /signout", a.signOut)
	mux.HandleFunc("GET /fleet-web.css", stylesheet)
	guarded := http.NewCrossOriginProtection().Handler(mux)
	own, far := origin(a.cfg.BaseURL), origin(a.cfg.Issuer)
	// The sign-out form is answered with a redirect to the bridge: form-action must name it.
	policy := "default-src 'none'; style-src 'self'; img-src data:; form-action 'self' " + far + "; base-uri 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if "http://"+r.Host != own && "https://"+r.Host != own {
			http.Error(w, "Fleet Web is at "+own, http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		guarded.ServeHTTP(w, r)
	})
}

func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// session gives the browser's session and its id; nil if it has none.
func (a *App) session(r *http.Request) (string, *browser) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return "", nil
	}
	return c.Value, a.sessions.find(c.Value)
}

func (a *App) setCookie(w http.ResponseWriter, id string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: id, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(a.cfg.BaseURL, "https:"),
	})
}

// signIn sends the browser to the bridge: ?grant=<id> switches to that grant,
// ?prompt=select_account shows the chooser, ?login_hint and ?connection skip the
// question for the address.
func (a *App) signIn(w http.ResponseWriter, r *http.Request) {
	provider, more, err := a.bridge.find(r.Context())
	if err != nil {
		a.unreachable(w)
		return
	}
	_, b := a.session(r)
	if b == nil {
		var id string
		id, b = a.sessions.open()
		a.setCookie(w, id, 0)
	}
	q := r.URL.Query()
	state, p := rand.Text(), pending{verifier: oauth2.GenerateVerifier(), nonce: rand.Text(), silent: q.Get("prompt") == "none", at: a.cfg.Now()}
	b.begin(state, p, a.cfg.Now())
	cfg := a.bridge.oauth(provider, more)
	if grant := q.Get("grant"); grant != "" {
		cfg.Scopes = append(cfg.Scopes, "grant:"+grant)
	}
	opts := []oauth2.AuthCodeOption{oidc.Nonce(p.nonce), oauth2.S256ChallengeOption(p.verifier)}
	for _, name := range []string{"prompt", "login_hint", "connection"} {
		if v := q.Get(name); v != "" {
			opts = append(opts, oauth2.SetAuthURLParam(name, v))
		}
	}
	http.Redirect(w, r, cfg.AuthCodeURL(state, opts...), http.StatusFound)
}

// begin remembers a sign-in that leaves; the oldest of too many is forgotten.
func (b *browser) begin(state string, p pending, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending == nil {
		b.pending = map[string]pending{}
	}
	oldest := state
	for s, other := range b.pending {
		if now.Sub(other.at) > pendingLife {
			delete(b.pending, s)
		} else if oldest == state || other.at.Before(b.pending[oldest].at) {
			oldest = s
		}
	}
	if len(b.pending) >= maxPending {
		delete(b.pending, oldest)
	}
	b.pending[state], b.seen = p, now
}

// take ends a pending sign-in: a state is good once.
func (b *browser) take(state string, now time.Time) (pending, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s, p := range b.pending {
		if subtle.ConstantTimeCompare(digest(s), digest(state)) == 1 {
			delete(b.pending, s)
			return p, now.Sub(p.at) <= pendingLife
		}
	}
	return pending{}, false
}

func digest(s string) []byte {
	d := sha256.Sum256([]byte(s))
	return d[:]
}

// callback is where the bridge sends the browser back to.
func (a *App) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id, b := a.session(r)
	if b == nil {
		a.message(w, http.StatusBadRequest, lostSignIn())
		return
	}
	p, ok := b.take(q.Get("state"), a.cfg.Now())
	switch {
	case !ok || q.Get("iss") != "" && q.Get("iss") != a.cfg.Issuer: // RFC 9207: another server's answer
		a.message(w, http.StatusBadRequest, lostSignIn())
		return
	case q.Get("error") != "":
		a.declined(w, b, p, q)
		return
	}
	t, err := a.bridge.redeem(r.Context(), q.Get("code"), p)
	if err != nil {
		a.message(w, http.StatusBadGateway, message{
			Title: "The sign-in could not be finished", Text: "The bridge did not accept it. Sign in again; if it happens again, tell your administrator.",
			Detail: err.Error(), SignIn: true,
		})
		return
	}
	t.Unproven = p.silent
	b.hold(t, a.cfg.Now())
	id = a.sessions.rotate(id, b)
	a.setCookie(w, id, 0)
	if !a.kept(w) {
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// kept writes the sessions, or says that this could not be done.
func (a *App) kept(w http.ResponseWriter) bool {
	if err := a.sessions.save(); err != nil {
		a.message(w, http.StatusInternalServerError, message{Title: "Your session cannot be kept", Text: "The data folder cannot be written.", Detail: err.Error()})
		return false
	}
	return true
}

// declined is the bridge's no. A silent attempt that fails means that access ended.
func (a *App) declined(w http.ResponseWriter, b *browser, p pending, q url.Values) {
	if !p.silent {
		a.message(w, http.StatusForbidden, declinedMessage(q.Get("error"), q.Get("error_description")))
		return
	}
	name := b.held().Name
	b.hold(tokens{}, a.cfg.Now())
	if !a.kept(w) {
		return
	}
	a.message(w, http.StatusForbidden, endedMessage(name, q.Get("error"), q.Get("error_description")))
}

// signOut forgets the session here and then at the bridge.
func (a *App) signOut(w http.ResponseWriter, r *http.Request) {
	id, b := a.session(r)
	a.sessions.drop(id)
	a.setCookie(w, "", -1)
	if !a.kept(w) {
		return
	}
	_, more, err := a.bridge.find(r.Context())
	if b == nil || err != nil || more.EndSession == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	hint := b.held().ID
	q := url.Values{"client_id": {a.cfg.ClientID}, "post_logout_redirect_uri": {a.cfg.signedOutURI()}}
	if hint != "" {
		q.Set("id_token_hint", hint)
	}
	http.Redirect(w, r, more.EndSession+"?"+q.Encode(), http.StatusSeeOther)
}

// errUnreachable says that nobody could answer whether access still holds.
var errUnreachable = errors.New("fleetweb: the bridge does not answer")

// errEnded says that the bridge no longer accepts what this session has.
var errEnded = errors.New("fleetweb: access ended")

// check asks the bridge about the session's token, refreshing it when it is about
// to end or is not accepted any more. Without an answer nothing is shown.
func (a *App) check(ctx context.Context, b *browser) (says, tokens, error) {
	b.renewing.Lock()
	defer b.renewing.Unlock()
	held, fresh := b.held(), false
	var err error
	if !held.Expires.IsZero() && held.Expires.Sub(a.cfg.Now()) < soon {
		if held, err = a.renew(ctx, b, held); err != nil {
			return says{}, held, err
		}
		fresh = true
	}
	s, err := a.bridge.introspect(ctx, held.Access)
	if err == nil && !s.Active && !fresh {
		if held, err = a.renew(ctx, b, held); err != nil {
			return says{}, held, err
		}
		s, err = a.bridge.introspect(ctx, held.Access)
	}
	switch {
	case err != nil:
		return says{}, held, fmt.Errorf("%w: %w", errUnreachable, err)
	case !s.Active:
		return says{}, held, errEnded
	case held.Unproven:
		held.Unproven = false
		b.hold(held, a.cfg.Now())
	}
	return s, held, nil
}

// renew is called with b.renewing held.
func (a *App) renew(ctx context.Context, b *browser, old tokens) (tokens, error) {
	if old.Refresh == "" {
		return old, errEnded
	}
	next, err := a.bridge.refresh(ctx, old)
	switch {
	case refused(err):
		return old, errEnded
	case err != nil:
		return old, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	b.hold(next, a.cfg.Now())
	return next, a.sessions.save()
}
