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

// meView is a person's own access.
type meView struct {
	Customer    Public
	Active      *card // nil: a choice is due
	Others      []card
	Contact     Public
	ContactLink href
	Support     Public
	Since       Public
	Sessions    []ownSession
	Several     bool // there are sessions beside this one
	Kept        bool // some of them applications keep, beyond the browser
}

// me is GET /me/: the active grant, and the others to switch to.
func (c *Console) me(w http.ResponseWriter, r *http.Request) {
	b, err := c.browser(w, r)
	if fault.Is(err, fault.Unauthenticated) {
		c.awaySign(w, err)
		return
	}
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	at := c.about(r, hot.AuthRequest{}, b.Session.Connection)
	v := meView{Customer: Public(at.connection.Name), Support: c.Support, Since: instant(b.Session.Created)}
	v.Contact, v.ContactLink = contact(at.connection.Contact)
	for _, a := range slices.Concat(b.Choices, b.Guarded) {
		k := ownCard(b, a, c.Now())
		if k.Active {
			v.Active = &k
			continue
		}
		v.Others = append(v.Others, k)
	}
	if v.Sessions, err = c.ownSessions(r, b); err != nil {
		c.refuse(w, r, err, at)
		return
	}
	v.Several = len(v.Sessions) > 1
	v.Kept = slices.ContainsFunc(v.Sessions, func(s ownSession) bool { return s.Offline })
	title := Public("Your access")
	if v.Active == nil {
		title = "Choose your access"
	}
	c.page(w, r, http.StatusOK, pageMe, title, v)
}

// awaySign sends a browser without a session on: to the page that says why an
// earlier one ended, or to sign in.
func (c *Console) awaySign(w http.ResponseWriter, err error) {
	if fault.ReasonOf(err) != "" {
		see(w, pathEnded)
		return
	}
	see(w, pathSignIn)
}

// switchGrant is POST /me/switch.
func (c *Console) switchGrant(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		c.refuse(w, r, fault.Wrap(fault.Invalid, "console.switch", err), place{})
		return
	}
	b, err := c.browser(w, r)
	if fault.Is(err, fault.Unauthenticated) {
		c.awaySign(w, err)
		return
	}
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	to := access.AssignmentID(r.PostForm.Get("assignment"))
	if b.Guards(to) {
		c.signInFor(w, r, b, to)
		return
	}
	if !standsOn(b, to) {
		_, err = c.move(w, r, c.sessionCookie(r), to)
	}
	if err != nil {
		at := c.about(r, hot.AuthRequest{}, b.Session.Connection)
		at.signedIn = true
		c.refuse(w, r, heldNoMore(err), at)
		return
	}
	see(w, pathMe)
}

// signInFor begins the sign-in that a grant demands, whose end is the switch to it.
func (c *Console) signInFor(w http.ResponseWriter, r *http.Request, b oidc.Browser, to access.AssignmentID) {
	req, err := c.newRequest(w, r, b.Session.Connection)
	if err != nil {
		c.refuse(w, r, err, place{signedIn: true})
		return
	}
	c.stepUp(w, r, req, b, to)
}

// heldNoMore words a refused switch, where nobody gave a better reason.
func heldNoMore(err error) error {
	if fault.ReasonOf(err) != "" || !fault.Is(err, fault.Denied) && !fault.Is(err, fault.NotFound) {
		return err
	}
	e := fault.New(fault.Denied, "console.switch", "the assignment is not held now").Because(session.ReasonNotHeld)
	e.Err = err
	return e
}

// signOut is POST /me/sign-out. A session that has ended already is no error.
func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	b, err := c.browser(w, r)
	if err == nil {
		err = c.SignIns.SignOut(r.Context(), b.Session.ID, session.EndSignedOut)
	}
	if err != nil && !fault.Is(err, fault.Unauthenticated) {
		c.refuse(w, r, err, place{})
		return
	}
	if err != nil {
		c.clearSession(w)
		see(w, pathSignedOut)
		return
	}
	c.goodbye(w, r, b.Session)
}

// ended is GET /me/ended: why the browser's session is no more. The reason comes
// from the session that the cookie names, so that nobody can word one in a link.
func (c *Console) ended(w http.ResponseWriter, r *http.Request) {
	_, err := c.browser(w, r)
	if err == nil {
		see(w, pathMe)
		return
	}
	if !fault.Is(err, fault.Unauthenticated) {
		c.refuse(w, r, err, place{})
		return
	}
	reason := fault.ReasonOf(err)
	if reason == "" {
		reason = session.EndExpired
	}
	s := sentence(reason, names{Product: c.Product})
	c.clearSession(w)
	c.page(w, r, http.StatusOK, pageNotice, s.Title, notice{Sentence: s.Sentence, Support: c.Support,
		Reference: Public(c.observe(r, err)), Retry: pathSignIn})
}

// confirmView asks whether to sign out, with the fields of the endpoint that asks.
type confirmView struct {
	Action href
	Fields []hidden
	Stay   href
}

type hidden struct {
	Name  opaque
	Value opaque
}

// ConfirmSignOut asks whether to sign out; the answer is a POST of the form.
func (c *Console) ConfirmSignOut(w http.ResponseWriter, r *http.Request, f oidc.SignOutForm) {
	v := confirmView{Action: href(f.Action), Stay: pathMe}
	next := ""
	for _, field := range f.Fields {
		if field.Name == "post_logout_redirect_uri" {
			next = origin(field.Value)
		}
		v.Fields = append(v.Fields, hidden{opaque(field.Name), opaque(field.Value)})
	}
	setHeaders(w.Header(), c.secure, next) // the answer to the form goes back to the application
	c.page(w, r, http.StatusOK, pageConfirm, "Sign out?", v)
}
