package console

import (
	"net/http"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// consentView asks whether an application may have what it asks for.
type consentView struct {
	Request     opaque
	Application Public
	Sees        []Public
	May         []Public
	Access      *card // what is in use, which the application will see
	Another     href
}

// appsView lists the applications that the person has agreed to.
type appsView struct {
	Apps   []app
	Access href
}

type app struct {
	ID     opaque
	Name   Public
	Agreed []Public
	Since  Public
}

func asksForConsent(req hot.AuthRequest) bool { return slices.Contains(req.Prompt, oidc.PromptConsent) }

// consent is GET /me/consent?request=…: what the application will see and may do.
func (c *Console) consent(w http.ResponseWriter, r *http.Request) {
	req, err := c.open(r, r.URL.Query().Get("request"))
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	b, client, ok := c.asked(w, r, req)
	if !ok {
		return
	}
	scopes, err := oidc.ConsentTo(req)
	if err != nil {
		c.refuse(w, r, fault.Wrap(fault.Internal, "console.consent", err), c.about(r, req, b.Session.Connection))
		return
	}
	k := newCard(b.Catalogue, b.Assignment, true, c.Now())
	v := consentView{Request: opaque(req.ID), Application: Public(client.Name), Access: &k, Another: href(ofRequest(pathSignIn, req.ID) + "&another=1")}
	v.Sees, v.May = agreement(scopes)
	setHeaders(w.Header(), c.secure, origin(req.RedirectURI))
	c.page(w, r, http.StatusOK, pageConsent, "Allow "+v.Application+"?", v)
}

// asked gives the session that is asked, and the application that asks. A session that
// must choose first goes to do that.
func (c *Console) asked(w http.ResponseWriter, r *http.Request, req hot.AuthRequest) (oidc.Browser, oidc.Client, bool) {
	b, ok := c.chooser(w, r, req)
	if !ok {
		return oidc.Browser{}, oidc.Client{}, false
	}
	client, err := c.Clients.Client(r.Context(), req.Client)
	if err != nil {
		c.refuse(w, r, err, place{request: req, signedIn: true})
		return oidc.Browser{}, oidc.Client{}, false
	}
	if b.Session.State != session.Active || !client.Accepts(b.Assignment.Grant) || b.Guards(b.Session.Active) {
		see(w, ofRequest(pathChoose, req.ID))
		return oidc.Browser{}, oidc.Client{}, false
	}
	return b, client, true
}

// answered is POST /me/consent: yes is remembered and leads back with a code, no leads
// back without.
func (c *Console) answered(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		c.refuse(w, r, fault.Wrap(fault.Invalid, "console.consent", err), place{})
		return
	}
	req, err := c.open(r, r.PostForm.Get("request"))
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	b, _, ok := c.asked(w, r, req)
	if !ok {
		return
	}
	if r.PostForm.Get("answer") != "allow" {
		c.endRequest(w, req)
		see(w, oidc.ErrorRedirect(req, c.Base, "access_denied", "The person did not agree."))
		return
	}
	if err := c.SignIns.Agree(r.Context(), c.sessionCookie(r), req); err != nil {
		c.refuse(w, r, err, c.about(r, req, b.Session.Connection))
		return
	}
	c.finish(w, r, req, b)
}

// apps is GET /me/applications.
func (c *Console) apps(w http.ResponseWriter, r *http.Request) {
	cookie := c.sessionCookie(r)
	if cookie == "" {
		see(w, pathSignIn)
		return
	}
	all, err := c.SignIns.Consents(r.Context(), cookie)
	if fault.Is(err, fault.Unauthenticated) {
		c.awaySign(w, err)
		return
	}
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	v := appsView{Access: pathMe}
	for _, a := range all {
		sees, may := agreement(a.OAuthScopes)
		v.Apps = append(v.Apps, app{ID: opaque(a.Client), Name: Public(a.Name), Agreed: append(sees, may...), Since: instant(a.At)})
	}
	c.page(w, r, http.StatusOK, pageApps, "Applications you have allowed", v)
}

// withdraw is POST /me/applications.
func (c *Console) withdraw(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		c.refuse(w, r, fault.Wrap(fault.Invalid, "console.withdraw", err), place{})
		return
	}
	err := c.SignIns.Withdraw(r.Context(), c.sessionCookie(r), access.ClientID(r.PostForm.Get("application")))
	if fault.Is(err, fault.Unauthenticated) {
		c.awaySign(w, err)
		return
	}
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	see(w, pathApps)
}

// agreement says OAuth scopes in plain words: what is seen of a person, and what may be
// done for them.
func agreement(oauthScopes []string) (sees, may []Public) {
	about := map[string]Public{
		"openid":  "That it is you, by an id that says nothing else, and the access you are using",
		"profile": "Your name, user name, language and time zone",
		"email":   "Your e-mail address",
		"phone":   "Your phone number",
		"address": "Your postal address",
	}
	for _, s := range oauthScopes {
		switch text, personal := about[s]; {
		case personal:
			sees = append(sees, text)
		case s == "offline_access":
			may = append(may, "Go on while you are away, until you take that back")
		default:
			if name := workflowName(access.Workflow(s)); name != "" {
				may = append(may, name)
			}
		}
	}
	return sees, may
}
