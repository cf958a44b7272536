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

// chooseView shows what the person may use in an application.
type chooseView struct {
	Request     opaque
	Application Public
	Problem     Public
	Cards       []card
	Another     href
}

// choose is GET /me/choose?request=…: cards of the grants that the application accepts.
func (c *Console) choose(w http.ResponseWriter, r *http.Request) {
	if !r.URL.Query().Has("request") {
		see(w, pathMe)
		return
	}
	req, err := c.open(r, r.URL.Query().Get("request"))
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	b, ok := c.chooser(w, r, req)
	if !ok {
		return
	}
	problem := Public("")
	if req.Grant != "" && !holds(b.Choices, req.Grant) && !b.Guards(req.Grant) {
		problem = "The access that was asked for is not yours to use now. Choose another one."
	}
	c.offer(w, r, http.StatusOK, req, b, problem)
}

// chooser gives the browser's session; without one that suits the request the
// person signs in first.
func (c *Console) chooser(w http.ResponseWriter, r *http.Request, req hot.AuthRequest) (oidc.Browser, bool) {
	b, err := c.browser(w, r)
	switch {
	case fault.Is(err, fault.Unauthenticated):
		see(w, c.addressPath(req, false))
	case err != nil:
		c.refuse(w, r, err, c.about(r, req, ""))
	case !suits(b.Session, req):
		see(w, ofRequest(pathSignIn, req.ID))
	case req.Client == "":
		see(w, pathMe)
	default:
		return b, true
	}
	return oidc.Browser{}, false
}

func holds(choices []oidc.ActiveGrant, id access.AssignmentID) bool {
	return slices.ContainsFunc(choices, func(a oidc.ActiveGrant) bool { return a.ID == id })
}

// offer shows the cards, or says that none of them is for the application. A grant
// that the application asked for comes first.
func (c *Console) offer(w http.ResponseWriter, r *http.Request, status int, req hot.AuthRequest, b oidc.Browser, problem Public) {
	at := c.about(r, req, b.Session.Connection)
	at.signedIn = true
	accepted := acceptedBy(at.client, slices.Concat(b.Choices, b.Guarded))
	if len(accepted) == 0 {
		c.refuse(w, r, fault.New(fault.Denied, "console.choose", "no choice is accepted by the application").Because(reasonNotForApplication), at)
		return
	}
	v := chooseView{Request: opaque(req.ID), Application: Public(at.client.Name), Problem: problem,
		Another: href(ofRequest(pathSignIn, req.ID) + "&another=1")}
	for _, a := range accepted {
		k := ownCard(b, a, c.Now())
		if a.ID == req.Grant {
			v.Cards = slices.Insert(v.Cards, 0, k)
			continue
		}
		v.Cards = append(v.Cards, k)
	}
	setHeaders(w.Header(), c.secure, origin(req.RedirectURI))
	c.page(w, r, status, pageChoose, "Choose your access", v)
}

func acceptedBy(client oidc.Client, choices []oidc.ActiveGrant) []oidc.ActiveGrant {
	var accepted []oidc.ActiveGrant
	for _, a := range choices {
		if client.Accepts(a.Grant) {
			accepted = append(accepted, a)
		}
	}
	return accepted
}

func standsOn(b oidc.Browser, id access.AssignmentID) bool {
	return b.Session.State == session.Active && b.Session.Active == id
}

// chosen is POST /me/choose: the session moves if it must, and the application gets
// its code.
func (c *Console) chosen(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		c.refuse(w, r, fault.Wrap(fault.Invalid, "console.choose", err), place{})
		return
	}
	req, err := c.open(r, r.PostForm.Get("request"))
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	b, ok := c.chooser(w, r, req)
	if !ok {
		return
	}
	client, err := c.Clients.Client(r.Context(), req.Client)
	if err != nil {
		c.refuse(w, r, err, place{request: req, signedIn: true})
		return
	}
	to := access.AssignmentID(r.PostForm.Get("assignment"))
	if holds(acceptedBy(client, b.Guarded), to) {
		c.stepUp(w, r, req, b, to)
		return
	}
	if !holds(acceptedBy(client, b.Choices), to) {
		c.offer(w, r, http.StatusConflict, req, b, sentence(session.ReasonNotHeld, names{}).Sentence)
		return
	}
	if !standsOn(b, to) {
		if b, err = c.move(w, r, c.sessionCookie(r), to); err != nil {
			c.refuse(w, r, err, c.about(r, req, ""))
			return
		}
	}
	c.deliver(w, r, req, b)
}

// move switches the session and sends the browser its new cookie, which is set
// whatever follows: the old one does not count any more.
func (c *Console) move(w http.ResponseWriter, r *http.Request, cookie string, to access.AssignmentID) (oidc.Browser, error) {
	renewed, b, err := c.SignIns.Switch(r.Context(), cookie, to)
	if !renewed.Empty() {
		c.setSession(w, renewed, b)
	}
	return b, err
}
