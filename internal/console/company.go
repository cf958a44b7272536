package console

import (
	"net/http"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// rememberedFor is how long a browser is offered the company that its last sign-in
// was at.
const rememberedFor = 365 * 24 * time.Hour

// companyCookie holds the id of the connection that somebody signed in through last:
// no credential, and nothing that a page shows unless there is such a connection.
func companyCookie(secure bool) string {
	if secure {
		return "__Host-drawbridge_company"
	}
	return "drawbridge_company"
}

func (c *Console) remember(w http.ResponseWriter, conn access.ConnectionID) {
	c.setCookie(w, companyCookie(c.secure), string(conn), c.Now().Add(rememberedFor))
}

// forget is part of signing out here: whoever uses the browser next is offered nothing.
func (c *Console) forget(w http.ResponseWriter) {
	c.setCookie(w, companyCookie(c.secure), "", time.Time{})
}

// remembered is the connection that this browser was last signed in through, the zero
// connection if it was none or there is no such connection any more.
func (c *Console) remembered(r *http.Request) (access.Connection, error) {
	id := cookieValue(r, companyCookie(c.secure))
	if !access.ValidSlug(id) {
		return access.Connection{}, nil
	}
	found, err := c.Finder.Connection(r.Context(), access.ConnectionID(id))
	if fault.Is(err, fault.NotFound) {
		return access.Connection{}, nil
	}
	return found, err
}

// ofDomain lists the connections that name a domain. Where several do, those that nobody
// can sign in through are not among them: SCIM alone is set up for them.
func (c *Console) ofDomain(r *http.Request, domain string) ([]access.Connection, error) {
	all, err := c.Finder.ByDomain(r.Context(), domain)
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(slices.Clone(all), func(k access.Connection) bool { return !c.Upstream.Knows(k.ID) })
	if len(open) == 0 { // the page says that there is no way in
		return all, nil
	}
	return open, nil
}

// named is a connection that somebody else named: an application, or a link.
func (c *Console) named(r *http.Request, id access.ConnectionID) (access.Connection, error) {
	found, err := c.Finder.Connection(r.Context(), id)
	if fault.Is(err, fault.NotFound) {
		e := fault.New(fault.NotFound, "console.connection", "a connection is named that there is not").Because(upstream.ReasonUnknown)
		e.Err = err
		return found, e
	}
	return found, err
}

// newRequest begins a sign-in whose end is the person's own access page. conn is "" if
// it is still to be found.
func (c *Console) newRequest(w http.ResponseWriter, r *http.Request, conn access.ConnectionID) (hot.AuthRequest, error) {
	req, value := oidc.Begun(hot.AuthRequest{MaxAge: -1, Connection: conn}, c.Doors, r, c.Now())
	if err := c.Requests.PutAuthRequest(r.Context(), req); err != nil {
		return req, err
	}
	c.setCookie(w, oidc.RequestCookie(c.secure, req.ID), value, req.Expires)
	return req, nil
}

// companyLink is GET /sign-in/{connection}: one customer's own way in. A browser that
// is signed in at another customer is asked first, since signing in would end that.
func (c *Console) companyLink(w http.ResponseWriter, r *http.Request) {
	conn, err := c.named(r, access.ConnectionID(r.PathValue("connection")))
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	b, err := c.browser(w, r)
	signedIn := err == nil
	if err != nil && !fault.Is(err, fault.Unauthenticated) {
		c.refuse(w, r, err, place{connection: conn})
		return
	}
	req, err := c.newRequest(w, r, conn.ID)
	if err != nil {
		c.refuse(w, r, err, place{connection: conn})
		return
	}
	if signedIn && b.Session.Connection != conn.ID {
		c.page(w, r, http.StatusOK, pageContinue, "Sign in at another company?",
			continueView{Customer: Public(conn.Name), Link: href(ofRequest(pathSignIn, req.ID)), Leaves: true, Restart: pathMe})
		return
	}
	c.proceed(w, r, req, false)
}

// welcome offers the company that the browser was last signed in through.
func (c *Console) welcome(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, conn access.Connection) {
	link := ofRequest(pathSignIn, req.ID) + "&connection=" + string(conn.ID) // a slug
	c.page(w, r, http.StatusOK, pageContinue, "Sign in", continueView{Customer: Public(conn.Name), Link: href(link), Again: true,
		Application: Public(c.about(r, req, "").client.Name), Restart: href(c.addressPath(req, true))})
}

// pick goes to the connection that a page of ours offered.
func (c *Console) pick(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, id access.ConnectionID) {
	conn, err := c.named(r, id)
	if err != nil {
		c.refuse(w, r, err, c.about(r, req, ""))
		return
	}
	to, err := c.leave(r, req, conn.ID, req.LoginHint, false)
	if err != nil {
		c.refuse(w, r, err, c.about(r, req, conn.ID))
		return
	}
	see(w, to)
}
