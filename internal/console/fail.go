package console

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/mail"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// notice is a page that says one thing and what may be done next.
type notice struct {
	Sentence    Public
	More        []Public
	Contact     Public // whom to ask at the customer
	ContactLink href
	Support     Public
	Reference   Public
	Since       Public // of a fault
	Retry       href   // try the same again
	Another     href   // sign in with another account
	Back        href   // back to the application
	Application Public
	Access      href // to the person's access
	SignOut     bool // offer to sign out
}

// place is what a refusal knows about where it happened. The zero place is a
// page by itself.
type place struct {
	request    hot.AuthRequest // zero: none
	connection access.Connection
	client     oidc.Client
	signedIn   bool
}

func (k place) names(product Public) names {
	return names{Customer: Public(k.connection.Name), Application: Public(k.client.Name), Product: product}
}

func (c *Console) reference(r *http.Request) string {
	if c.Reference != nil {
		if ref := c.Reference(r.Context()); ref != "" {
			return ref
		}
	}
	return rand.Text()[:12]
}

// Fail shows an error that must not be redirected.
func (c *Console) Fail(w http.ResponseWriter, r *http.Request, status int, title, detail string) {
	setHeaders(w.Header(), c.secure, "")
	c.page(w, r, status, pageNotice, Public(title), notice{Sentence: Public(detail), Support: c.Support, Reference: Public(c.reference(r)), Access: pathMe})
}

// refuse is the one place where an error becomes a page. What the page says comes
// from the error's kind and reason, never from its text.
func (c *Console) refuse(w http.ResponseWriter, r *http.Request, err error, at place) {
	ref := c.observe(r, err)
	status, s := c.wording(err, at)
	n := notice{Sentence: s.Sentence, Support: c.Support, Reference: Public(ref), SignOut: at.signedIn}
	n.Contact, n.ContactLink = contact(at.connection.Contact)
	c.waysOn(&n, at, fault.ReasonOf(err))
	if fault.ReasonOf(err) == hot.ReasonLegs {
		n.Another, n.Access = "", pathMe // another account would be one try more
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
		n.Retry = n.Another
		if at.request.ID != "" {
			n.Retry, n.Another = href(ofRequest(pathSignIn, at.request.ID)), ""
		}
		n.Since = since(err)
	}
	c.page(w, r, status, pageNotice, s.Title, n)
}

func (c *Console) waysOn(n *notice, at place, reason string) {
	if at.request.ID == "" {
		n.Access = pathMe
		return
	}
	n.Another = href(ofRequest(pathSignIn, at.request.ID) + "&another=1")
	if at.request.Client != "" && at.request.RedirectURI != "" {
		n.Application = Public(at.client.Name)
		code := "access_denied"
		if reason == oidc.ReasonUnmet || reason == session.ReasonStepUp {
			code = oidc.ReasonUnmet
		}
		n.Back = href(oidc.ErrorRedirect(at.request, c.Base, code, "The person could not sign in."))
	}
}

// wording picks the status and the sentence. Each kind has one, also those that
// should not reach a page.
func (c *Console) wording(err error, at place) (int, say) {
	reason, n := fault.ReasonOf(err), at.names(c.Product)
	switch fault.KindOf(err) {
	case fault.Denied, fault.Conflict:
		return http.StatusForbidden, sentence(reason, n)
	case fault.Unauthenticated:
		if reason == "" {
			return http.StatusUnauthorized, say{titleSignedOut, "Sign in again to go on."}
		}
		return http.StatusUnauthorized, sentence(reason, n)
	case fault.NotFound, fault.Stale:
		if reason != "" {
			return http.StatusForbidden, sentence(reason, n)
		}
		return http.StatusBadRequest, say{"This sign-in is no longer open",
			"It was finished already, took too long, or was started in another browser. Go back to the application and start again."}
	case fault.Invalid, fault.Unsupported:
		return http.StatusBadRequest, say{"That did not work", "The page you came from sent something unexpected. Go back and try again."}
	case fault.Limited:
		if reason != "" {
			return http.StatusTooManyRequests, sentence(reason, n)
		}
		return http.StatusTooManyRequests, say{"Too many tries", "Wait a minute, then try again."}
	case fault.Unavailable:
		if reason != "" {
			return http.StatusServiceUnavailable, sentence(reason, n)
		}
		return http.StatusServiceUnavailable, say{"We cannot answer at the moment", "Something {product} needs is not reachable. Nothing is lost; try again in a moment."}.filled(n)
	}
	return http.StatusInternalServerError, say{"Something went wrong here", "This is our fault, not yours. Nothing was changed."}
}

func (s say) filled(n names) say { return say{s.Title, fill(s.Sentence, n)} }

// since names when an identity provider was first seen down.
func since(err error) Public {
	var o *upstream.Outage
	if errors.As(err, &o) && !o.Since.IsZero() {
		return Public("No answer from ") + Public(o.Host) + " since " + instant(o.Since)
	}
	return ""
}

// contact gives whom to ask, with a link if it is an address.
func contact(whom string) (Public, href) {
	if whom == "" {
		return "", ""
	}
	if a, err := mail.ParseAddress(whom); err == nil && a.Address == whom && !strings.ContainsAny(whom, "?&%") {
		return Public(whom), href("mailto:" + whom)
	}
	return Public(whom), ""
}

// about finds the names for a refusal. That one of them cannot be found must not
// hide why the person was refused, so it is observed and left out.
func (c *Console) about(r *http.Request, req hot.AuthRequest, conn access.ConnectionID) place {
	at := place{request: req}
	if conn != "" {
		found, err := c.Finder.Connection(r.Context(), conn)
		if err != nil {
			c.observe(r, err)
		}
		at.connection = found
	}
	if req.Client != "" {
		client, err := c.Clients.Client(r.Context(), req.Client)
		if err != nil {
			c.observe(r, err)
		}
		at.client = client
	}
	return at
}
