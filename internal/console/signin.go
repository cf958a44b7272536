package console

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// addressView is the page that asks for a work e-mail address.
type addressView struct {
	Request     opaque
	Another     bool
	Email       Public // as typed, to be corrected
	Problem     Public
	Application Public
	Unknown     bool // nothing was found for the address
}

// severalView asks which customer, where a domain belongs to several.
type severalView struct {
	Request opaque
	Another bool
	Email   Public
	Choices []customer
	Restart href
}

type customer struct {
	ID   opaque
	Name Public
}

// continueView leads to the identity provider. A form's answer may not redirect
// there (form-action), so this is a page with a link that follows itself, unless it asks.
type continueView struct {
	Customer    Public
	Application Public
	Link        href
	Restart     href
	Again       bool // it asks whether the company is that of the last time
	Leaves      bool // it asks whether to leave another company's session
	StepUp      bool // a grant demands another sign-in
}

// Begin answers with what the stored request needs next. The browser's binding was
// made just now, so there is nothing to check yet.
func (c *Console) Begin(w http.ResponseWriter, r *http.Request, req hot.AuthRequest) {
	setHeaders(w.Header(), c.secure, "")
	c.proceed(w, r, req, false)
}

// proceed goes to the chooser where the browser's session will do, else to the
// identity provider where it is known, else to the address page.
func (c *Console) proceed(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, another bool) {
	if !another {
		to, err := c.signedIn(w, r, req)
		if err != nil {
			c.refuse(w, r, err, c.about(r, req, req.Connection))
			return
		}
		if to != "" {
			see(w, to)
			return
		}
	}
	conn, err := c.connectionOf(r, req, another)
	if err != nil {
		c.refuse(w, r, err, c.about(r, req, ""))
		return
	}
	if conn == "" {
		see(w, c.addressPath(req, another))
		return
	}
	to, err := c.leave(r, req, conn, req.LoginHint, another)
	if err != nil {
		c.refuse(w, r, err, c.about(r, req, conn))
		return
	}
	see(w, to)
}

// pageOf is where somebody who is signed in goes on: to agree, where there is nothing to
// choose first, else to the chooser.
func pageOf(req hot.AuthRequest) string {
	if asksForConsent(req) && !asksForChooser(req) && req.Grant == "" {
		return pathConsent
	}
	return pathChoose
}

func (c *Console) addressPath(req hot.AuthRequest, another bool) string {
	path := ofRequest(pathSignIn, req.ID) + "&ask=1"
	if another {
		path += "&another=1"
	}
	return path
}

// signedIn is where a request goes on whose browser has a session that may serve it: to
// the identity provider, if the grant demands another sign-in, else to a page of ours; ""
// if it has none.
func (c *Console) signedIn(w http.ResponseWriter, r *http.Request, req hot.AuthRequest) (string, error) {
	b, err := c.browser(w, r)
	if fault.Is(err, fault.Unauthenticated) {
		return "", nil
	}
	if err != nil || !suits(b.Session, req) {
		return "", err
	}
	if req.Client == "" {
		return ofRequest(pageOf(req), req.ID), nil
	}
	client, err := c.Clients.Client(r.Context(), req.Client)
	if err != nil {
		return "", err
	}
	if grant, must := mustStepUp(req, b, client); must {
		return c.departFor(r, req, b, grant)
	}
	return ofRequest(pageOf(req), req.ID), nil
}

// skew is how far the clock of an identity provider may be from ours.
const skew = 60 * time.Second

// suits reports whether a session is what the request asks for: of its connection,
// and as fresh. Every page asks, also those that come after a sign-in: otherwise a
// chooser that is opened by hand would be a way around prompt=login.
func suits(s session.Session, req hot.AuthRequest) bool {
	login := slices.Contains(req.Prompt, oidc.PromptLogin)
	switch {
	case req.Connection != "" && s.Connection != req.Connection:
		return false
	case login && (s.Created.Before(req.Created.Truncate(time.Millisecond)) || // the store keeps milliseconds
		s.AuthTime.Before(req.Created.Add(-skew))):
		return false
	case slices.Contains(req.Prompt, oidc.PromptStepUp) && !slices.Contains(req.ACRValues, s.Upstream.ACR):
		return false
	case req.MaxAge >= 0 && s.AuthTime.Before(req.Created.Add(-req.MaxAge-skew)):
		return false
	}
	return true
}

// browser is the browser's session. A cookie that the browser missed is set again.
func (c *Console) browser(w http.ResponseWriter, r *http.Request) (oidc.Browser, error) {
	cookie := c.sessionCookie(r)
	if cookie == "" {
		return oidc.Browser{}, fault.New(fault.Unauthenticated, "console.browser", "there is no session cookie")
	}
	b, err := c.SignIns.Browser(r.Context(), cookie)
	if err == nil && !b.Renewed.Empty() {
		c.setSession(w, b.Renewed, b)
	}
	return b, err
}

// connectionOf is the connection that the application or a link named, or the only one
// that the hint's domain finds, or the one of those that the browser was last signed in
// through; "" means that the person must be asked.
func (c *Console) connectionOf(r *http.Request, req hot.AuthRequest, another bool) (access.ConnectionID, error) {
	if req.Connection != "" {
		found, err := c.named(r, req.Connection)
		return found.ID, err
	}
	domain, err := domainOf(req.LoginHint)
	if err != nil || another { // a hint that is no address is no hint
		return "", nil
	}
	found, err := c.ofDomain(r, domain)
	if err != nil || len(found) == 0 {
		return "", err
	}
	if len(found) == 1 {
		return found[0].ID, nil
	}
	last, err := c.remembered(r)
	if err != nil || !slices.ContainsFunc(found, func(k access.Connection) bool { return k.ID == last.ID }) {
		return "", err
	}
	return last.ID, nil
}

// leave starts the trip to the identity provider and gives the address it begins at.
func (c *Console) leave(r *http.Request, req hot.AuthRequest, conn access.ConnectionID, hint string, another bool) (string, error) {
	up := c.trip(conn)
	leg := c.leg(req, up)
	if leg.LoginHint = hint; another {
		leg.LoginHint = ""
		if leg.Prompt == "" {
			leg.Prompt = "select_account"
		}
	}
	return c.depart(r, req, up, leg)
}

// afresh starts another trip, on which the provider must let the person sign in anew:
// what it vouched for is older than its own word that all of it has ended.
func (c *Console) afresh(r *http.Request, req hot.AuthRequest, conn access.ConnectionID) (string, error) {
	up := c.trip(conn)
	up.Login = true
	leg := c.leg(req, up)
	leg.LoginHint = req.LoginHint
	return c.depart(r, req, up, leg)
}

func (c *Console) trip(conn access.ConnectionID) hot.Upstream {
	return hot.Upstream{Connection: conn, State: newSecret(), Nonce: newSecret(), CodeVerifier: newSecret() + newSecret(), Started: c.Now()}
}

func (c *Console) depart(r *http.Request, req hot.AuthRequest, up hot.Upstream, leg upstream.Leg) (string, error) {
	to, err := c.Upstream.Start(r.Context(), up.Connection, leg)
	if err != nil {
		return "", err
	}
	return to, c.Requests.BindUpstream(r.Context(), req.ID, up, up.Started)
}

// leg is what the trip out and the trip home agree on. A new sign-in that was asked
// for is asked of the provider, and then proven by it.
func (c *Console) leg(req hot.AuthRequest, up hot.Upstream) upstream.Leg {
	leg := upstream.Leg{
		State: up.State, Nonce: up.Nonce, CodeVerifier: up.CodeVerifier, Started: up.Started,
		RedirectURL: c.Base + "/connect/" + string(up.Connection) + "/callback", MaxAge: req.MaxAge,
		ACRValues: req.ACRValues, UILocales: req.UILocales,
	}
	if up.ACRValues != "" {
		leg.ACRValues = strings.Fields(up.ACRValues)
	}
	if up.Login || slices.Contains(req.Prompt, oidc.PromptLogin) {
		leg.Prompt, leg.MaxAge = "login", -1
	}
	return leg
}

// open finds the request that a page belongs to, if this browser made it.
func (c *Console) open(r *http.Request, id string) (hot.AuthRequest, error) {
	const op = "console.open"
	if id == "" || len(id) > 64 {
		return hot.AuthRequest{}, fault.New(fault.NotFound, op, "no sign-in is named")
	}
	req, err := c.Requests.AuthRequest(r.Context(), id, c.Now())
	if err == nil && !c.bound(r, req) {
		err = fault.New(fault.NotFound, op, "the sign-in was begun in another browser")
	}
	if err != nil {
		return hot.AuthRequest{}, err
	}
	return req, nil
}

// signIn is GET /sign-in: with a request the next step of it, without one the
// beginning of a sign-in to these pages themselves.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !q.Has("request") {
		c.begin(w, r)
		return
	}
	req, err := c.open(r, q.Get("request"))
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	if q.Has("connection") && req.Connection == "" {
		c.pick(w, r, req, access.ConnectionID(q.Get("connection")))
		return
	}
	another := q.Get("another") == "1"
	if q.Get("ask") != "1" || req.Connection != "" { // what the application chose is not asked
		c.proceed(w, r, req, another)
		return
	}
	v := addressView{Another: another, Email: hinted(req, another)}
	if v.Email == "" && !another {
		last, err := c.remembered(r)
		if err != nil {
			c.refuse(w, r, err, c.about(r, req, ""))
			return
		}
		if last.ID != "" {
			c.welcome(w, r, req, last)
			return
		}
	}
	c.ask(w, r, http.StatusOK, req, v)
}

func hinted(req hot.AuthRequest, another bool) Public {
	if _, err := domainOf(req.LoginHint); err != nil || another {
		return ""
	}
	return Public(req.LoginHint)
}

// begin starts a sign-in whose end is the person's own access page.
func (c *Console) begin(w http.ResponseWriter, r *http.Request) {
	req, err := c.newRequest(w, r, "")
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	see(w, c.addressPath(req, false))
}

func (c *Console) ask(w http.ResponseWriter, r *http.Request, status int, req hot.AuthRequest, v addressView) {
	v.Request = opaque(req.ID)
	v.Application = Public(c.about(r, req, "").client.Name)
	title := Public("Sign in")
	if v.Problem != "" || v.Unknown {
		title = "Sign in: check your address"
	}
	c.page(w, r, status, pageAddress, title, v)
}

// address is POST /sign-in: the address leads to a connection, or the same page
// says what to do, in the same words for every address that leads nowhere.
func (c *Console) address(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		c.refuse(w, r, fault.Wrap(fault.Invalid, "console.address", err), place{})
		return
	}
	req, err := c.open(r, r.PostForm.Get("request"))
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	if req.Connection != "" {
		see(w, ofRequest(pathSignIn, req.ID))
		return
	}
	email, another := r.PostForm.Get("email"), r.PostForm.Get("another") == "1"
	domain, err := domainOf(email)
	if err != nil {
		c.ask(w, r, http.StatusUnprocessableEntity, req, addressView{Another: another, Email: typed(email),
			Problem: "Type your whole work e-mail address, such as name@company.example."})
		return
	}
	found, err := c.ofDomain(r, domain)
	if err != nil {
		c.refuse(w, r, err, c.about(r, req, ""))
		return
	}
	c.lead(w, r, req, found, addressView{Another: another, Email: typed(email)}, access.ConnectionID(r.PostForm.Get("connection")))
}

// typed gives back what was typed, as far as a person would type it.
func typed(email string) Public { return Public(email[:min(len(email), addressMax)]) }

// lead follows what the domain found: nothing, one, or several to choose from.
func (c *Console) lead(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, found []access.Connection, v addressView, picked access.ConnectionID) {
	if i := slices.IndexFunc(found, func(k access.Connection) bool { return k.ID == picked }); i >= 0 {
		found = found[i : i+1]
	}
	switch len(found) {
	case 0:
		v.Unknown = true
		c.ask(w, r, http.StatusOK, req, v)
	case 1:
		c.goOn(w, r, req, found[0], v)
	default:
		several := severalView{Request: opaque(req.ID), Another: v.Another, Email: v.Email, Restart: href(c.addressPath(req, v.Another))}
		for _, k := range found {
			several.Choices = append(several.Choices, customer{opaque(k.ID), Public(k.Name)})
		}
		c.page(w, r, http.StatusOK, pageSeveral, "Choose your company", several)
	}
}

func (c *Console) goOn(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, conn access.Connection, v addressView) {
	to, err := c.leave(r, req, conn.ID, string(v.Email), v.Another)
	if err != nil {
		c.refuse(w, r, err, c.about(r, req, conn.ID))
		return
	}
	w.Header().Set("Refresh", "0; url="+to)
	c.page(w, r, http.StatusOK, pageContinue, "Going to your sign-in page",
		continueView{Customer: Public(conn.Name), Link: href(to), Restart: href(c.addressPath(req, true))})
}
