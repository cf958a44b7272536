package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// world is a console on loopback with small real implementations behind its ports.
type world struct {
	*httptest.Server
	console *Console

	mu       sync.Mutex // guards what follows
	now      time.Time
	requests map[string]hot.AuthRequest
	sessions map[string]*oidc.Browser // by cookie
	endedBy  map[string]string        // cookie → reason
	people   map[string][]oidc.ActiveGrant
	refusals map[string]error // subject → why SignIn refuses
	startErr error
	until    time.Time // the provider's end of a session
	acr      string    // what it confirms
	demands  access.Catalogue
	missed   map[string]secret.String     // the cookie whose successor a browser did not see → that
	noWayIn  map[access.ConnectionID]bool // that have no provider to sign in with
	stale    bool                         // only a sign-in that was asked for anew will do
	refused  []string
	reached  map[session.ID][]oidc.Client
	there    string // where people sign out at the identity provider
	observed []error
	clients  map[access.ClientID]oidc.Client
	agreed   map[access.ClientID]bool
	n        int
	last     string // the id of the last request
}

const canary = `"><script>alert(1)</script><img src=x onerror=alert(2)>'{{.}}javascript:`

var (
	perth  = oidc.ActiveGrant{ID: "asg_perth", Grant: access.Standard, Standing: access.Primary, Scope: oidc.ClaimScope{ID: "scp_1", Level: access.Fleet, Path: "pacific/ironbark/perth", Names: []string{"Pacific Telematics", "Ironbark Haulage", "Perth"}}, Flags: access.Flags{Events: access.EventsStandard, Video: true}}
	cairns = oidc.ActiveGrant{ID: "asg_cairns", Grant: access.Technician, Standing: access.Guest, Scope: oidc.ClaimScope{ID: "scp_2", Level: access.Account, Path: "coral/reefline", Names: []string{"Coral Telematics", "Reefline Coaches"}}, Until: 4004773260}
)

// newWorld starts far in the future: cookies that carry the clock of the test must
// not be over by the clock of the machine.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		now: time.Date(2096, 11, 21, 12, 0, 0, 0, time.UTC), requests: map[string]hot.AuthRequest{},
		sessions: map[string]*oidc.Browser{}, agreed: map[access.ClientID]bool{}, endedBy: map[string]string{}, refusals: map[string]error{},
		people: map[string][]oidc.ActiveGrant{"kim": {perth, cairns}, "sam": {perth}, "visitor": {cairns}},
		clients: map[access.ClientID]oidc.Client{
			"fleet-web": {ID: "fleet-web", Name: "Fleet Web"},
			"atlas":     {ID: "atlas", Name: "Atlas Maps", Consent: true},
			"installer": {ID: "installer", Name: "Installer App", Grants: []access.Grant{access.Technician}},
			"admin-app": {ID: "admin-app", Name: "Admin App", Grants: []access.Grant{access.Administrator}},
		},
	}
	mux := http.NewServeMux()
	w.Server = httptest.NewServer(mux)
	t.Cleanup(w.Close)
	w.console = New(Config{
		Base: w.URL, Product: "Sentinel Access", Support: "support@sentinel.example", SignIns: w, Own: w, Finder: w, Grants: bearers{w},
		Requests: w, Clients: clients{w}, Codes: w, Upstream: w, Now: w.clock,
		Reference: func(context.Context) string { return "ref-4711" },
		Observe: func(_ context.Context, _ string, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.observed = append(w.observed, err)
		},
	})
	w.console.Routes(mux)
	mux.HandleFunc("GET /test/begin", w.begin)
	return w
}

func (w *world) clock() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }

// begin is /oauth2/authorize for tests: it stores a request, binds it and hands over.
func (w *world) begin(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.now = w.now.Add(time.Second)
	w.mu.Unlock()
	q := r.URL.Query()
	value := credential.NewOpaque(credential.KindRequest).Reveal()
	req := hot.AuthRequest{
		ID: credential.NewID("req"), Browser: credential.DigestOf(value), Client: access.ClientID(q.Get("client")), RedirectURI: "https://fleet.example/callback",
		State: "app-state", MaxAge: -1, LoginHint: q.Get("hint"), Connection: access.ConnectionID(q.Get("connection")),
		Grant: access.AssignmentID(q.Get("grant")), Claims: json.RawMessage(q.Get("claims")), ACRValues: strings.Fields(q.Get("acr")), Created: w.clock(), Expires: w.clock().Add(10 * time.Minute),
	}
	if p := q.Get("prompt"); p != "" {
		req.Prompt = strings.Fields(p)
	}
	if n, err := strconv.Atoi(q.Get("max_age")); err == nil {
		req.MaxAge = time.Duration(n) * time.Second
	}
	if err := w.PutAuthRequest(r.Context(), req); err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	http.SetCookie(rw, &http.Cookie{Name: oidc.RequestCookie(false, req.ID), Value: value, Path: "/", HttpOnly: true})
	w.console.Begin(rw, r, req)
}

func (w *world) PutAuthRequest(_ context.Context, r hot.AuthRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests[r.ID] = r
	w.last = r.ID
	return nil
}

func (w *world) lastRequest() string { w.mu.Lock(); defer w.mu.Unlock(); return w.last }

func (w *world) AuthRequest(_ context.Context, id string, now time.Time) (hot.AuthRequest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.requests[id]
	if !ok || !now.Before(r.Expires) {
		return hot.AuthRequest{}, fault.New(fault.NotFound, "world", "no request")
	}
	return r, nil
}

func (w *world) BindUpstream(_ context.Context, id string, u hot.Upstream, _ time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.requests[id]
	if r.Legs >= hot.MaxLegs {
		return fault.New(fault.Limited, "world", "INTERNAL too often").Because(hot.ReasonLegs)
	}
	r.Upstream = u
	r.Legs++
	w.requests[id] = r
	return nil
}

func (w *world) TakeUpstream(_ context.Context, c access.ConnectionID, state string, now time.Time) (hot.AuthRequest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, r := range w.requests {
		if r.Upstream.State == state && r.Upstream.Connection == c && now.Before(r.Expires) {
			found := r
			r.Upstream = hot.Upstream{}
			w.requests[id] = r
			return found, nil
		}
	}
	return hot.AuthRequest{}, fault.New(fault.NotFound, "world", "no such state")
}

// Start leads to a provider that exists only in the test's head.
func (w *world) Start(_ context.Context, c access.ConnectionID, leg upstream.Leg) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.startErr != nil {
		return "", w.startErr
	}
	return "https://idp.example/authorize?" + url.Values{"connection": {string(c)}, "state": {leg.State}, "login_hint": {leg.LoginHint}, "prompt": {leg.Prompt}, "acr_values": {strings.Join(leg.ACRValues, " ")},
		"redirect_uri": {leg.RedirectURL}}.Encode(), nil
}

func (w *world) Finish(_ context.Context, c access.ConnectionID, leg upstream.Leg, q url.Values) (upstream.Identity, error) {
	if q.Get("state") != leg.State || leg.Nonce == "" || len(leg.CodeVerifier) < 43 {
		return upstream.Identity{}, fault.New(fault.Denied, "world", "mixed up").Because(upstream.ReasonMixUp)
	}
	if q.Has("error") {
		return upstream.Identity{}, fault.New(fault.Denied, "world", "INTERNAL %s", q.Get("error")).Because(upstream.ReasonIdP)
	}
	return upstream.Identity{Connection: c, Issuer: "https://idp.example", Subject: q.Get("code"), AuthTime: w.clock(), ACR: w.acr, Until: w.until, Started: leg.Started, Fresh: leg.Prompt == "login"}, nil
}

func (w *world) SignIn(_ context.Context, id upstream.Identity) (secret.String, oidc.Browser, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.refusals[id.Subject]; err != nil {
		return secret.String{}, oidc.Browser{}, err
	}
	if w.stale && !id.Fresh {
		return secret.String{}, oidc.Browser{}, fault.New(fault.Denied, "world", "INTERNAL too old").Because(upstream.ReasonStale)
	}
	choices, ok := w.people[id.Subject]
	if !ok {
		return secret.String{}, oidc.Browser{}, fault.New(fault.Denied, "world", "INTERNAL nobody").Because("not_provisioned")
	}
	w.n++
	b := &oidc.Browser{Choices: choices, Session: session.Session{ID: session.ID(fmt.Sprint("ses_", w.n)), Connection: id.Connection, Person: access.PersonID("per_" + id.Subject),
		State: session.MustChoose, Version: 1, AuthTime: id.AuthTime, Created: w.now, Expires: w.now.Add(8 * time.Hour),
		Upstream: session.Upstream{Issuer: id.Issuer, Subject: id.Subject, ACR: id.ACR}}}
	if choices[0].Standing == access.Primary && b.Session.Meets(w.demands.Demands(choices[0].Grant), w.now) {
		b.Session.State, b.Session.Active, b.Assignment = session.Active, choices[0].ID, choices[0]
	}
	cookie := credential.NewOpaque(credential.KindSession)
	w.sessions[cookie.Reveal()] = b
	return cookie, w.viewLocked(b), nil
}

// viewLocked splits what a session's person may use by what it demands.
func (w *world) viewLocked(b *oidc.Browser) oidc.Browser {
	out := *b
	out.Choices, out.Catalogue = nil, w.demands
	for _, a := range b.Choices {
		if b.Session.Meets(w.demands.Demands(a.Grant), w.now) {
			out.Choices = append(out.Choices, a)
		} else {
			out.Guarded = append(out.Guarded, a)
		}
	}
	return out
}

func (w *world) Browser(_ context.Context, cookie string) (oidc.Browser, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b := w.sessions[cookie]; b != nil {
		return w.viewLocked(b), nil
	}
	if next, is := w.missed[cookie]; is {
		b := w.viewLocked(w.sessions[next.Reveal()])
		b.Renewed = next
		return b, nil
	}
	return oidc.Browser{}, fault.New(fault.Unauthenticated, "world", "no session").Because(w.endedBy[cookie])
}

func (w *world) Switch(_ context.Context, cookie string, to access.AssignmentID) (secret.String, oidc.Browser, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.sessions[cookie]
	if b == nil {
		return secret.String{}, oidc.Browser{}, fault.New(fault.Unauthenticated, "world", "no session")
	}
	for _, a := range w.viewLocked(b).Choices {
		if a.ID == to {
			b.Session.State, b.Session.Active, b.Assignment = session.Active, to, a
			b.Session.Version++
			renewed := credential.NewOpaque(credential.KindSession)
			delete(w.sessions, cookie)
			w.sessions[renewed.Reveal()] = b
			return renewed, w.viewLocked(b), nil
		}
	}
	return secret.String{}, oidc.Browser{}, fault.New(fault.Denied, "world", "INTERNAL not held")
}

func (w *world) Reached(_ context.Context, id session.ID) ([]oidc.Reached, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []oidc.Reached
	for _, c := range w.reached[id] {
		all = append(all, oidc.Reached{Client: c, Session: string(id)})
	}
	return all, nil
}

func (w *world) OwnSessions(_ context.Context, cookie string) ([]oidc.OwnSession, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mine := w.sessions[cookie]
	if mine == nil {
		return nil, fault.New(fault.Unauthenticated, "world", "no session")
	}
	var all []oidc.OwnSession
	for _, b := range w.sessions {
		if b.Session.Person == mine.Session.Person {
			all = append(all, oidc.OwnSession{Session: b.Session, Assignment: b.Assignment, Applications: w.reached[b.Session.ID]})
		}
	}
	slices.SortFunc(all, func(a, b oidc.OwnSession) int { return strings.Compare(string(b.Session.ID), string(a.Session.ID)) })
	return all, nil
}

func (w *world) EndOwn(ctx context.Context, cookie string, id session.ID) error {
	all, err := w.OwnSessions(ctx, cookie)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(o oidc.OwnSession) bool { return o.Session.ID == id }) {
		return fault.New(fault.NotFound, "world", "not theirs")
	}
	return w.SignOut(ctx, id, session.EndElsewhere)
}

func (w *world) EndOwnSessions(ctx context.Context, cookie string, others bool) error {
	all, err := w.OwnSessions(ctx, cookie)
	if err != nil {
		return err
	}
	w.mu.Lock()
	mine := w.sessions[cookie].Session.ID
	w.mu.Unlock()
	for _, o := range all {
		if !others || o.Session.ID != mine {
			if err := w.SignOut(ctx, o.Session.ID, session.EndElsewhere); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) Knows(c access.ConnectionID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.noWayIn[c]
}

func (w *world) SignOutURL(access.ConnectionID) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.there
}

func (w *world) SignOut(_ context.Context, id session.ID, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for cookie, b := range w.sessions {
		if b.Session.ID == id {
			delete(w.sessions, cookie)
			w.endedBy[cookie] = reason
		}
	}
	return nil
}

func (w *world) Agree(ctx context.Context, cookie string, req hot.AuthRequest) error {
	_, err := w.Browser(ctx, cookie)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.agreed[req.Client] = true
	}
	return err
}

func (w *world) Consents(ctx context.Context, cookie string) (all []oidc.Consent, err error) {
	_, err = w.Browser(ctx, cookie)
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.agreed {
		all = append(all, oidc.Consent{Client: id, Name: w.clients[id].Name, OAuthScopes: []string{"email", "live_view", "openid"}, At: w.now})
	}
	return all, err
}

func (w *world) Withdraw(ctx context.Context, cookie string, id access.ClientID) error {
	_, err := w.Browser(ctx, cookie)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		delete(w.agreed, id)
	}
	return err
}

func (w *world) Refused(_ context.Context, c access.ConnectionID, cause error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = append(w.refused, string(c)+" "+fault.ReasonOf(cause))
	return nil
}

func (w *world) ByDomain(_ context.Context, domain string) ([]access.Connection, error) {
	var found []access.Connection
	for _, k := range connections() {
		for _, d := range k.Domains {
			if d == domain {
				found = append(found, k)
			}
		}
	}
	return found, nil
}

func (w *world) Connection(_ context.Context, id access.ConnectionID) (access.Connection, error) {
	for _, k := range connections() {
		if k.ID == id {
			return k, nil
		}
	}
	return access.Connection{}, fault.New(fault.NotFound, "world", "no connection")
}

func connections() []access.Connection {
	return []access.Connection{
		{ID: "ironbark-entra", Name: "Ironbark Haulage", Domains: []string{"ironbark.example", "shared.example"}, Contact: "it@ironbark.example"},
		{ID: "fjord-okta", Name: "Fjord Transport", Domains: []string{"fjord.example", "shared.example"}, Contact: "the service desk, extension 12"},
	}
}

// Issue gives a code only for what the session stands on now.
func (w *world) Issue(_ context.Context, req hot.AuthRequest, s session.Session) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.sessions {
		if b.Session.ID == s.ID && b.Session.Version == s.Version && b.Session.State == session.Active && !w.viewLocked(b).Guards(b.Session.Active) {
			if w.clients[req.Client].Consent && !w.agreed[req.Client] {
				return "", fault.New(fault.Denied, "world", "not agreed").Because(oidc.ReasonConsent)
			}
			return oidc.CodeRedirect(req, w.URL, "code-for-"+string(b.Session.Active)), nil
		}
	}
	return "", fault.New(fault.Stale, "world", "the session has moved")
}

type clients struct{ w *world }

func (c clients) Client(_ context.Context, id access.ClientID) (oidc.Client, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if k, ok := c.w.clients[id]; ok {
		return k, nil
	}
	return oidc.Client{}, fault.New(fault.NotFound, "world", "no client")
}

type bearers struct{ w *world }

func (b bearers) Grants(_ context.Context, shown oidc.Presented) (access.AssignmentID, []oidc.ActiveGrant, error) {
	switch shown.Token {
	case "good":
		return cairns.ID, []oidc.ActiveGrant{perth, cairns}, nil
	case "weak":
		e := fault.New(fault.Unauthenticated, "world", "weak").Because(session.ReasonStepUp)
		e.Err = &oidc.StepUp{Demand: access.Demand{ACR: []string{"phr"}, MaxAge: time.Hour}}
		return "", nil, e
	case "down":
		return "", nil, fault.New(fault.Unavailable, "world", "the database is down")
	}
	return "", nil, fault.New(fault.Unauthenticated, "world", "no")
}

// tab is one browser: cookies, no automatic redirects.
type tab struct {
	t *testing.T
	w *world
	*http.Client
}

func (w *world) browserTab(t *testing.T) *tab {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &tab{t, w, &http.Client{Jar: jar, Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// shown is an answer as a test looks at it.
type shown struct {
	status int
	header http.Header
	body   string
	to     string // Location
}

func (b *tab) send(req *http.Request) shown {
	b.t.Helper()
	resp, err := b.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return shown{resp.StatusCode, resp.Header, string(body), resp.Header.Get("Location")}
}

func (b *tab) get(path string) shown {
	b.t.Helper()
	return b.send(b.request(http.MethodGet, path, nil))
}

func (b *tab) post(path string, form url.Values) shown {
	b.t.Helper()
	req := b.request(http.MethodPost, path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.send(req)
}

func (b *tab) request(method, path string, body io.Reader) *http.Request {
	b.t.Helper()
	if strings.HasPrefix(path, "/") {
		path = b.w.URL + path
	}
	req, err := http.NewRequest(method, path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return req
}

// state is the state in a redirect to the provider.
func (s shown) state(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(s.to)
	if err != nil || u.Host != "idp.example" {
		t.Fatalf("not sent to the provider: %d %q\n%s", s.status, s.to, s.body)
	}
	return u.Query().Get("state")
}

// signIn signs somebody in through the Ironbark connection and gives the last answer.
func (b *tab) signIn(person, query string) shown {
	b.t.Helper()
	start := b.get("/test/begin?client=fleet-web&connection=ironbark-entra" + query)
	return b.get("/connect/ironbark-entra/callback?" + url.Values{"state": {start.state(b.t)}, "code": {person}}.Encode())
}

func requestID(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Query().Get("request") == "" {
		t.Fatalf("%q names no request", address)
	}
	return u.Query().Get("request")
}
