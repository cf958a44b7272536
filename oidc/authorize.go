package oidc

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// RequestLife is how long a person has to finish a sign-in.
const RequestLife = 10 * time.Minute

// authorize is the authorization endpoint (RFC 6749 section 3.1). Its phases: what was
// sent ahead, client and redirect URI, request, browser, decision.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	if p.Doors != nil {
		if wait := p.Doors.SignIn(r); wait > 0 {
			p.Interaction.TooMany(w, r, wait)
			return
		}
	}
	f, err := parameters(w, r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	if p.mustComeBack(r) {
		redirect(w, p.Issuer+pathAuthorize+"?"+f.encode())
		return
	}
	f, pushed, err := p.sentAhead(r.Context(), f)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	client, uri, err := p.registered(r.Context(), f)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	req, err := p.request(f, client, uri)
	if err == nil && client.RequirePAR && !pushed {
		err = invalid("This application must push its requests: send the parameters to the pushed_authorization_request_endpoint first (RFC 9126).")
	}
	if err != nil {
		p.answerError(w, r, req, err)
		return
	}
	if err := p.proceed(w, r, f, facts{req: req, client: client}); err != nil {
		p.answerError(w, r, req, err)
	}
}

// request is parseRequest with the grant by our own id.
func (p *Provider) request(f form, c Client, redirectURI string) (hot.AuthRequest, error) {
	req, err := parseRequest(f, c, redirectURI)
	if err == nil {
		err = p.readGrant(c, &req)
	}
	return req, err
}

// readGrant takes the assignment that was asked for by the client's own name for it.
func (p *Provider) readGrant(c Client, req *hot.AuthRequest) error {
	asked := req.Grant
	if req.Grant = p.Clients.Assignment(c, asked); asked != "" && req.Grant == "" {
		return &Error{Code: "invalid_target", Description: notHeld}
	}
	return nil
}

// mustComeBack reports whether the request is a POST from another site. Browsers
// send no SameSite=Lax cookie with those, so the same request is made again as a GET.
func (p *Provider) mustComeBack(r *http.Request) bool {
	return r.Method == http.MethodPost && r.Header.Get("Sec-Fetch-Site") == "cross-site" && p.sessionCookie(r) == ""
}

// proceed reads what the decision needs, decides, and does it.
func (p *Provider) proceed(w http.ResponseWriter, r *http.Request, f form, x facts) (err error) {
	if x.hint, err = p.readHint(r.Context(), f, x.client); err != nil {
		return err
	}
	if x.wants, err = StoredClaims(x.req.Claims); err != nil {
		return err
	}
	if x.browser, err = p.browser(w, r); err != nil {
		return err
	}
	x.subject = p.Clients.SubjectFor(x.client, x.browser.Session.Person)
	switch a := decide(x, p.Now()); a.do {
	case begin:
		return p.begin(w, r, x, a.ask)
	case issue:
		err = p.issue(w, r, x)
	case switchTo:
		err = p.switchAndIssue(w, r, x)
	default:
		return &Error{Code: a.code, Description: a.why}
	}
	if fault.ReasonOf(err) == ReasonConsent && !slices.Contains(x.req.Prompt, PromptNone) {
		return p.begin(w, r, x, PromptConsent)
	}
	return err
}

// browser is the browser's session; the zero Browser if it has none that is good. A
// cookie that the browser missed is set again.
func (p *Provider) browser(w http.ResponseWriter, r *http.Request) (Browser, error) {
	cookie := p.sessionCookie(r)
	if cookie == "" {
		return Browser{}, nil
	}
	b, err := p.Browsers.Browser(r.Context(), cookie)
	if err != nil && !cannotAnswer(err) {
		return Browser{}, nil
	}
	if err == nil && !b.Renewed.Empty() {
		http.SetCookie(w, Cookie(p.secure, p.CookieName, b.Renewed.Reveal(), b.Session.Expires))
	}
	return b, err
}

func (p *Provider) issue(w http.ResponseWriter, r *http.Request, x facts) error {
	to, err := p.Codes.Issue(r.Context(), x.req, x.browser.Session)
	if err != nil {
		return err
	}
	redirect(w, to)
	return nil
}

// switchAndIssue moves the session to the grant that was asked for, which is only decided on
// where nothing is left that could refuse the code: Consent is not asked of these clients. A
// renewed cookie is set whatever follows: the old one does not count any more.
func (p *Provider) switchAndIssue(w http.ResponseWriter, r *http.Request, x facts) error {
	renewed, after, err := p.Switcher.Switch(r.Context(), p.sessionCookie(r), x.req.Grant)
	if !renewed.Empty() {
		http.SetCookie(w, Cookie(p.secure, p.CookieName, renewed.Reveal(), after.Session.Expires))
	}
	if fault.ReasonOf(err) == session.ReasonStepUp { // since the decision
		return &Error{Code: "login_required", Description: "The grant demands another sign-in."}
	}
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
		return &Error{Code: "invalid_target", Description: notHeld}
	}
	if err != nil {
		return err
	}
	x.browser = after
	if !x.accepted(x.req.Grant) {
		return &Error{Code: "invalid_target", Description: notHeld}
	}
	return p.issue(w, r, x)
}

// Begun is req as a sign-in of the browser that sends r: with an id, an end, and the network
// that its room is accounted to. value is for its RequestCookie. at may be nil: all is one network then.
func Begun(req hot.AuthRequest, at Networks, r *http.Request, now time.Time) (_ hot.AuthRequest, value string) {
	value = credential.NewOpaque(credential.KindRequest).Reveal()
	req.ID, req.Browser, req.From = credential.NewID("req"), credential.DigestOf(value), networkOf(at, r)
	req.Created, req.Expires = now, now.Add(RequestLife)
	return req, value
}

func networkOf(at Networks, r *http.Request) string {
	if at == nil {
		return ""
	}
	return at.Network(r)
}

// begin stores the request, binds it to the browser and hands over to the pages.
func (p *Provider) begin(w http.ResponseWriter, r *http.Request, x facts, ask string) error {
	req, value := Begun(x.req, p.Doors, r, p.Now())
	req.Prompt = slices.Concat(req.Prompt, x.pages(ask))
	if err := p.Requests.PutAuthRequest(r.Context(), req); err != nil {
		return err
	}
	http.SetCookie(w, Cookie(p.secure, RequestCookie(p.secure, req.ID), value, req.Expires))
	p.Interaction.Begin(w, r, req)
	return nil
}

// fail shows what must not be redirected.
func (p *Provider) fail(w http.ResponseWriter, r *http.Request, err error) {
	p.failPage(w, r, "This sign-in cannot start", err)
}

// failPage shows an error to the person, and tells the observer if it is not theirs.
func (p *Provider) failPage(w http.ResponseWriter, r *http.Request, title string, err error) {
	var e *Error
	if !errors.As(err, &e) {
		p.observe(r.Context(), err)
		e = oauthError(err)
	}
	p.Interaction.Fail(w, r, e.Status, title, e.Description)
}

// answerError tells the application at its redirect URI.
func (p *Provider) answerError(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, err error) {
	var ours *Error
	if !errors.As(err, &ours) {
		p.observe(r.Context(), err)
	}
	code, description := authorizeError(err)
	redirect(w, ErrorRedirect(req, p.Issuer, code, description))
}
