package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
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
)

// world is everything behind the ports, in memory: small, but it keeps the promises
// that the ports make.
type world struct {
	mu            sync.Mutex
	issuer        string
	now           time.Time
	down          error // what every port answers while it is set
	clients       map[access.ClientID]Client
	requests      map[string]hot.AuthRequest
	pushes        map[string]hot.Pushed
	browsers      map[string]Browser // by cookie
	codes         map[string]*codeRow
	tokens        map[string]Accepted // access tokens
	refresh       map[string]Accepted
	hints         map[string]Hint
	n             int
	observed      []error
	begun         []hot.AuthRequest
	asked         []SignOutForm
	services      []ServiceExchange
	proved        []string // the endpoints at which assertions were shown
	serviceTokens map[string]AcceptedService
	exchanges     []TokenExchange
	redeemed      []CodeExchange
	proofs        *Proofs
	change        func(*Config) // nil: all ports are the world

	left    []Leaving // how SignedOut was called
	reached []Reached // whom every session reached
}

type codeRow struct {
	req    hot.AuthRequest
	s      session.Session
	active json.RawMessage
	used   bool
	key    string // of DPoP
}

const (
	verifier   = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
	challenge  = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	webURI     = "https://fleet.example/callback"
	webSecret  = "web-secret"
	cookieName = "drawbridge_session"
)

func newWorld() *world {
	w := &world{
		issuer: "https://id.drawbridge.example",
		now:    time.Unix(1_800_000_000, 0),
		clients: map[access.ClientID]Client{
			"fleet-web": {ID: "fleet-web", SecretDigest: credential.DigestOf(webSecret), RedirectURIs: []string{webURI, "https://fleet.example/cb?app=1"},
				PostLogoutRedirectURIs: []string{"https://fleet.example/bye"}, Audience: "fleet-api", Resources: []string{"https://api.fleet.example/v1", "urn:fleet:video"},
				GrantTypes: []string{GrantTypeCode, GrantTypeRefresh, GrantTypeTokenExchange}},
			"fleet-api":   {ID: "fleet-api", SecretDigest: credential.DigestOf("api-secret")},
			"other-web":   {ID: "other-web", SecretDigest: credential.DigestOf("a +:%secret"), RedirectURIs: []string{"https://other.example/callback"}},
			"native":      {ID: "native", RedirectURIs: []string{"http://127.0.0.1:7777/cb", "example.fleet:/cb"}, OAuthScopes: []string{"live_view"}},
			"technicians": {ID: "technicians", RedirectURIs: []string{"https://tech.example/cb"}, Grants: []access.Grant{access.Technician}},
		},
		requests: map[string]hot.AuthRequest{}, pushes: map[string]hot.Pushed{}, browsers: map[string]Browser{}, codes: map[string]*codeRow{},
		tokens: map[string]Accepted{}, refresh: map[string]Accepted{}, hints: map[string]Hint{},
		serviceTokens: map[string]AcceptedService{},
	}
	w.proofs = NewProofs(ProofConfig{Issuer: w.issuer, Nonces: nonceKey(), Now: func() time.Time { return w.now }})
	return w
}

func nonceKey() credential.NonceKey {
	root := credential.NewDataKey()
	k, err := root.NonceKey()
	if err != nil {
		panic(err)
	}
	return k
}

// person puts a signed-in browser into the world and gives its cookie.
func (w *world) person(name string) string {
	home := ActiveGrant{ID: "asg_home", Grant: access.Standard, Standing: access.Primary,
		Scope: ClaimScope{ID: "scp_c41", Level: access.Fleet, Path: "coral/reefline/cairns", AncestorIDs: []access.ScopeID{"scp_a0", "scp_b7", "scp_host"}, Names: []string{"Coral Telematics", "Reefline Coaches", "Cairns"}}}
	visit := home
	visit.ID, visit.Grant, visit.Standing = "asg_visit", access.Technician, access.Guest
	w.browsers["cookie-"+name] = Browser{
		Session: session.Session{ID: session.ID("ses_" + name), Person: access.PersonID("per_" + name), State: session.Active,
			Active: home.ID, Version: 1, AuthTime: w.now.Add(-time.Minute), Expires: w.now.Add(8 * time.Hour)},
		Assignment: home, Choices: []ActiveGrant{home, visit},
	}
	return "cookie-" + name
}

// mustChoose takes the active assignment away.
func (w *world) mustChoose(cookie string) {
	b := w.browsers[cookie]
	b.Session.State, b.Session.Active, b.Assignment, b.Choices = session.MustChoose, "", ActiveGrant{}, b.Choices[1:]
	w.browsers[cookie] = b
}

func (w *world) serial(kind string) string {
	w.n++
	return fmt.Sprintf("%s-%d", kind, w.n)
}

func (w *world) Client(_ context.Context, id access.ClientID) (Client, error) {
	c, ok := w.clients[id]
	if !ok {
		return Client{}, fault.New(fault.NotFound, "world.Client", "no %q", id)
	}
	return c, w.down
}

func (w *world) HasOrigin(origin string) bool {
	for _, c := range w.clients {
		if slices.Contains(c.Origins, origin) {
			return true
		}
	}
	return false
}

// SubjectFor and Assignment know a sector's names by its prefix.
func (w *world) SubjectFor(c Client, p access.PersonID) string { return inSector(c, string(p)) }

func (w *world) Assignment(c Client, named access.AssignmentID) access.AssignmentID {
	id, known := strings.CutPrefix(string(named), inSector(c, ""))
	if !known {
		return ""
	}
	return access.AssignmentID(id)
}

func inSector(c Client, id string) string {
	if c.Sector == "" {
		return id
	}
	return c.Sector + ":" + id
}

// Prove believes the assertions "signed by <client>", made out to nobody in particular.
func (w *world) Prove(_ context.Context, c Client, text, endpoint string) error {
	w.proved = append(w.proved, endpoint)
	if w.down != nil {
		return w.down
	}
	if text != signedBy(c.ID) {
		return fault.New(fault.Unauthenticated, "world.Prove", "which it was, stays inside").Because("assertion")
	}
	return nil
}

// signedBy is a JWT that says who made it, and that nobody signed.
func signedBy(id access.ClientID) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"ES256"}`) + "." + part(fmt.Sprintf(`{"iss":%q,"sub":%q}`, id, id)) + "." + part("no signature")
}

func (w *world) ServiceToken(_ context.Context, x ServiceOrder) (TokenSet, error) {
	if w.down != nil {
		return TokenSet{}, w.down
	}
	scopes := x.OAuthScopes
	if len(scopes) == 0 {
		scopes = x.Client.ServiceScopes
	}
	for _, s := range scopes {
		if !slices.Contains(x.Client.ServiceScopes, s) {
			return TokenSet{}, fault.New(fault.Invalid, "world.ServiceToken", "not %s", s).Because("invalid_scope")
		}
	}
	token := w.serial("drb_service_")
	w.serviceTokens[token] = AcceptedService{Client: x.Client, OAuthScopes: scopes, JTI: "jti", IssuedAt: w.now, Expires: w.now.Add(5 * time.Minute)}
	return TokenSet{AccessToken: token, ExpiresIn: 5 * time.Minute, OAuthScopes: scopes}, nil
}

func (w *world) Service(_ context.Context, t string) (AcceptedService, error) {
	a, ok := w.serviceTokens[t]
	if w.down != nil {
		return AcceptedService{}, w.down
	}
	if !ok {
		return AcceptedService{}, fault.New(fault.Unauthenticated, "world.Service", "not ours")
	}
	return a, nil
}

// SignIntrospection writes who is told what.
func (w *world) SignIntrospection(c Client, answer json.RawMessage) (string, error) {
	return fmt.Sprintf("signed for %s: %s", c.ID, answer), w.down
}

func (w *world) PutAuthRequest(_ context.Context, r hot.AuthRequest) error {
	w.requests[r.ID] = r
	return w.down
}

func (w *world) PutPushed(_ context.Context, name string, p hot.Pushed) error {
	w.pushes[name] = p
	return w.down
}

func (w *world) TakePushed(_ context.Context, name string, client access.ClientID, now time.Time) (hot.Pushed, error) {
	p, ok := w.pushes[name]
	if w.down != nil {
		return hot.Pushed{}, w.down
	}
	if !ok || p.Client != client || !now.Before(p.Expires) {
		return hot.Pushed{}, fault.New(fault.NotFound, "world.TakePushed", "no such request")
	}
	delete(w.pushes, name)
	return p, nil
}

func (w *world) Browser(_ context.Context, cookie string) (Browser, error) {
	b, ok := w.browsers[cookie]
	if w.down != nil {
		return Browser{}, w.down
	}
	if !ok || b.Session.State == session.Ended {
		return Browser{}, fault.New(fault.Unauthenticated, "world.Browser", "no session")
	}
	return b, nil
}

func (w *world) Reached(context.Context, session.ID) ([]Reached, error) { return w.reached, w.down }

func (w *world) SignOut(_ context.Context, id session.ID, reason string) error {
	for c, b := range w.browsers {
		if b.Session.ID == id {
			b.Session.State, b.Session.EndReason = session.Ended, reason
			w.browsers[c] = b
		}
	}
	return w.down
}

func (w *world) Switch(_ context.Context, cookie string, to access.AssignmentID) (secret.String, Browser, error) {
	b := w.browsers[cookie]
	at := slices.IndexFunc(b.Choices, func(g ActiveGrant) bool { return g.ID == to })
	if at < 0 {
		return secret.String{}, Browser{}, fault.New(fault.Denied, "world.Switch", "not held")
	}
	delete(w.browsers, cookie)
	b.Session.State, b.Session.Active, b.Assignment = session.Active, to, b.Choices[at]
	b.Session.Version++
	renewed := w.serial(cookie)
	w.browsers[renewed] = b
	return secret.New(renewed), b, nil
}

func (w *world) Issue(_ context.Context, req hot.AuthRequest, s session.Session) (string, error) {
	if w.down != nil {
		return "", w.down
	}
	code := w.serial("code")
	row := &codeRow{req: req, s: s}
	for _, b := range w.browsers {
		if b.Session.ID == s.ID {
			claim, err := json.Marshal(b.Assignment)
			if err != nil {
				return "", err
			}
			row.active = claim
		}
	}
	w.codes[code] = row
	return CodeRedirect(req, w.issuer, code), nil
}

func stale(op string) error { return fault.New(fault.Stale, op, "it does not count any more") }

func (w *world) Redeem(_ context.Context, x CodeExchange) (TokenSet, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down != nil {
		return TokenSet{}, w.down
	}
	w.redeemed = append(w.redeemed, x)
	row, sum := w.codes[x.Code], sha256.Sum256([]byte(x.CodeVerifier))
	if row == nil || row.used || row.req.Client != x.Client.ID || row.req.RedirectURI != x.RedirectURI {
		return TokenSet{}, stale("world.Redeem")
	}
	without := row.req.CodeChallenge == "" && x.CodeVerifier == "" && x.Client.MayOmitPKCE()
	if !without && row.req.CodeChallenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		return TokenSet{}, stale("world.Redeem")
	}
	row.used = true
	if row.req.DPoPKey != "" && row.req.DPoPKey != x.DPoPKey {
		return TokenSet{}, stale("world.Redeem")
	}
	row.key = x.DPoPKey
	return w.mint(row, x.Client), nil
}

func (w *world) mint(row *codeRow, c Client) TokenSet {
	a := Accepted{Sub: inSector(c, string(row.s.Person)), SID: inSector(c, string(row.s.ID)), Grant: row.active, OAuthScopes: row.req.OAuthScopes, Audience: c.TokenAudience(), DPoPKey: row.key, IssuedAt: w.now,
		AuthTime: row.s.AuthTime, JTI: w.serial("jti"),
		Bound: credential.Bound{Subject: credential.Subject{Client: c.ID, Person: row.s.Person, Session: row.s.ID}, Expires: w.now.Add(5 * time.Minute)}}
	set := TokenSet{AccessToken: w.serial("access"), RefreshToken: w.serial("refresh"), IDToken: w.serial("id"),
		ExpiresIn: 5 * time.Minute, DPoPKey: row.key, OAuthScopes: append(row.req.OAuthScopes, "grant:asg_home")}
	w.tokens[set.AccessToken], w.refresh[set.RefreshToken] = a, a
	w.hints[set.IDToken] = Hint{Session: row.s.ID, Person: row.s.Person, Client: c.ID}
	return set
}

func (w *world) Refresh(_ context.Context, x RefreshExchange) (TokenSet, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down != nil {
		return TokenSet{}, w.down
	}
	a, ok := w.refresh[x.RefreshToken]
	if !ok || a.Bound.Subject.Client != x.Client.ID || a.DPoPKey != "" && (x.DPoPKey == "" || x.Client.Public() && x.DPoPKey != a.DPoPKey) {
		return TokenSet{}, stale("world.Refresh")
	}
	scopes := a.OAuthScopes
	for _, s := range x.OAuthScopes {
		if !slices.Contains(scopes, s) {
			return TokenSet{}, fault.New(fault.Invalid, "world.Refresh", "%s was not granted", s).Because("invalid_scope")
		}
	}
	if x.OAuthScopes != nil {
		scopes = x.OAuthScopes
	}
	delete(w.refresh, x.RefreshToken)
	row := &codeRow{key: x.DPoPKey, req: hot.AuthRequest{OAuthScopes: scopes}, active: a.Grant,
		s: session.Session{ID: a.Bound.Subject.Session, Person: a.Bound.Subject.Person, AuthTime: a.AuthTime}}
	return w.mint(row, x.Client), nil
}

// Exchange knows the tokens it gave, and who may be switched to what.
func (w *world) Exchange(_ context.Context, x TokenExchange) (TokenSet, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.exchanges = append(w.exchanges, x)
	a, ok := w.tokens[x.SubjectToken]
	switch {
	case w.down != nil:
		return TokenSet{}, w.down
	case !ok || a.Bound.Subject.Client != x.Client.ID || a.DPoPKey != "" && a.DPoPKey != x.DPoPKey:
		return TokenSet{}, fault.New(fault.NotFound, "world.Exchange", "the subject_token does not count")
	case x.Grant == "asg_guarded":
		e := fault.New(fault.Denied, "world.Exchange", "another sign-in").Because(session.ReasonStepUp)
		e.Err = &StepUp{access.Demand{ACR: []string{"phr"}}}
		return TokenSet{}, e
	case x.Grant != "" && x.Grant != "asg_visit":
		return TokenSet{}, fault.New(fault.Denied, "world.Exchange", "not held").Because("invalid_target")
	}
	row := &codeRow{key: x.DPoPKey, req: hot.AuthRequest{OAuthScopes: a.OAuthScopes}, active: a.Grant,
		s: session.Session{ID: a.Bound.Subject.Session, Person: a.Bound.Subject.Person, AuthTime: a.AuthTime}}
	set := w.mint(row, x.Client)
	set.Active = x.Grant
	return set, nil
}

func (w *world) Accept(_ context.Context, t string) (Accepted, error) { return w.accept(w.tokens, t) }

func (w *world) AcceptRefresh(_ context.Context, t string) (Accepted, error) {
	return w.accept(w.refresh, t)
}

func (w *world) Profile(context.Context, Accepted) (Profile, error) {
	return Profile{Name: "Ada Field", GivenName: "Ada", FamilyName: "Field", UserName: "ada@reefline.example",
		Email: "ada@reefline.example", Phone: "+61 7 5550 0100", Address: Address{Locality: "Cairns", Country: "AU"}, Locale: "en-AU", ZoneInfo: "Australia/Brisbane", UpdatedAt: time.Unix(1_700_000_000, 0)}, w.down
}

func (w *world) accept(from map[string]Accepted, t string) (Accepted, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := from[t]
	if w.down != nil {
		return Accepted{}, w.down
	}
	if !ok {
		return Accepted{}, fault.New(fault.Unauthenticated, "world.accept", "not ours")
	}
	return a, nil
}

func (w *world) Revoke(_ context.Context, t string, c access.ClientID) error {
	if a, ok := w.refresh[t]; ok && a.Bound.Subject.Client == c {
		delete(w.refresh, t)
	}
	if a, ok := w.serviceTokens[t]; ok && a.Client.ID == c {
		delete(w.serviceTokens, t)
	}
	if a, ok := w.tokens[t]; ok && a.Bound.Subject.Client == c {
		delete(w.tokens, t)
	}
	return w.down
}

func (w *world) IDTokenHint(_ context.Context, t string) (Hint, error) {
	h, ok := w.hints[t]
	if !ok {
		return Hint{}, fault.New(fault.Unauthenticated, "world.IDTokenHint", "not ours")
	}
	return h, w.down
}

func (w *world) Begin(rw http.ResponseWriter, _ *http.Request, req hot.AuthRequest) {
	w.begun = append(w.begun, req)
	rw.WriteHeader(http.StatusOK)
}

func (w *world) Fail(rw http.ResponseWriter, _ *http.Request, status int, title, detail string) {
	rw.WriteHeader(status)
	_, _ = fmt.Fprintf(rw, "FAIL %s: %s", title, detail)
}

func (w *world) TooMany(rw http.ResponseWriter, _ *http.Request, wait time.Duration) {
	rw.WriteHeader(http.StatusTooManyRequests)
	_, _ = fmt.Fprintf(rw, "TOO MANY %s", wait)
}

func (w *world) ConfirmSignOut(rw http.ResponseWriter, _ *http.Request, f SignOutForm) {
	w.asked = append(w.asked, f)
	_, _ = fmt.Fprint(rw, "CONFIRM")
}

func (w *world) SignedOut(rw http.ResponseWriter, _ *http.Request, l Leaving) {
	w.left = append(w.left, l)
	if l.Next != "" && len(l.Frames) == 0 {
		redirect(rw, l.Next)
		return
	}
	_, _ = fmt.Fprint(rw, "SIGNED OUT")
}

// serve opens the endpoints on the world.
func (w *world) serve() *http.ServeMux {
	mux := http.NewServeMux()
	c := Config{Issuer: w.issuer, Clients: w, Requests: w, Browsers: w, Switcher: w, Tokens: w, Profiles: w, Codes: w, Interaction: w, Services: w, Applications: w, Proofs: w.proofs, ClientAddr: httpAddr,
		JWKS: func() []byte { return []byte(`{"keys":[]}`) }, Now: func() time.Time { return w.now }, CookieName: cookieName,
		Observe: func(_ context.Context, err error) { w.observed = append(w.observed, err) }}
	if w.change != nil {
		w.change(&c)
	}
	New(c).Routes(mux)
	return mux
}

// call is one request to the endpoints.
type call struct {
	method, path string
	query        string // raw
	form         url.Values
	body         string // raw, instead of form
	contentType  string // "" for a form
	cookie       string // of the session
	basic        [2]string
	header       http.Header
}

func (w *world) do(c call) *httptest.ResponseRecorder {
	body := c.body
	if c.form != nil {
		body = c.form.Encode()
	}
	target := c.path
	if c.query != "" {
		target += "?" + c.query
	}
	method := c.method
	if method == "" {
		method = http.MethodGet
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for k, vs := range c.header {
		r.Header[k] = vs
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.contentType != "" {
		r.Header.Set("Content-Type", c.contentType)
	}
	if c.cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: c.cookie})
	}
	if c.basic[0] != "" {
		r.SetBasicAuth(url.QueryEscape(c.basic[0]), url.QueryEscape(c.basic[1]))
	}
	rec := httptest.NewRecorder()
	w.serve().ServeHTTP(rec, r)
	return rec
}

// ask is a good authorization request, with changes: "name", "value" pairs; an
// empty value leaves the parameter out.
func ask(changes ...string) url.Values {
	q := url.Values{"client_id": {"fleet-web"}, "redirect_uri": {webURI}, "response_type": {"code"},
		"scope": {"openid profile live_view"}, "state": {"st&a=te"}, "nonce": {"n-1"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return q
}

func (w *world) authorize(cookie string, changes ...string) *httptest.ResponseRecorder {
	return w.do(call{path: pathAuthorize, query: ask(changes...).Encode(), cookie: cookie})
}

// sent gives the parameters of a redirect to the application, nil if it is none.
func sent(rec *httptest.ResponseRecorder) url.Values {
	u, err := rec.Result().Location()
	if rec.Code != http.StatusSeeOther || err != nil {
		return nil
	}
	return u.Query()
}

// tokens signs a person in and redeems the code for fleet-web.
func (w *world) signIn(t *testing.T, scope string) (set map[string]any, cookie string) {
	t.Helper()
	cookie = w.person("ada")
	code := sent(w.authorize(cookie, "scope", scope)).Get("code")
	rec := w.do(call{method: http.MethodPost, path: PathToken, basic: [2]string{"fleet-web", webSecret},
		form: url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {webURI}, "code_verifier": {verifier}}})
	if rec.Code != http.StatusOK {
		t.Fatalf("no tokens: %d %s", rec.Code, rec.Body)
	}
	return object(t, rec), cookie
}

func object(t *testing.T, rec *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil {
		t.Fatalf("not a JSON object: %v: %s", err, rec.Body)
	}
	return m
}

// failing is a Codes that cannot.
type failing struct{ err error }

func (f failing) Issue(context.Context, hot.AuthRequest, session.Session) (string, error) {
	return "", f.err
}

// lostInBetween is a world where the grant ends between the choice and the switch.
type lostInBetween struct{ *world }

func (lostInBetween) Switch(context.Context, string, access.AssignmentID) (secret.String, Browser, error) {
	return secret.String{}, Browser{}, fault.New(fault.Denied, "world.Switch", "not held")
}

// ClientCredentials knows one SCIM client, by one secret or one assertion.
func (w *world) ClientCredentials(_ context.Context, x ServiceExchange) (TokenSet, error) {
	w.services = append(w.services, x)
	switch {
	case w.down != nil:
		return TokenSet{}, w.down
	case x.Assertion == "" && (x.Client != scimClient || x.Secret.Reveal() != scimSecret), x.Assertion != "" && x.Assertion != "a.b.c" && x.Assertion != signedBy(scimClient):
		return TokenSet{}, fault.New(fault.Unauthenticated, "world", "which it was, stays inside")
	}
	return TokenSet{AccessToken: "drb_scimat_x", ExpiresIn: time.Hour, OAuthScopes: []string{ScopeSCIM}}, nil
}

const (
	scimClient = "drb_client_0123456789"
	scimSecret = "a +:%secret"
)

func httpAddr(*http.Request) netip.Addr { return netip.MustParseAddr("203.0.113.7") }
