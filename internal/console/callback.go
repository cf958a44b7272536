package console

import (
	"errors"
	"net/http"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

const stateMax = 512

// goAfresh sends the person back to their provider once, to sign in anew there.
func (c *Console) goAfresh(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, conn access.ConnectionID, cause error) {
	to, err := c.afresh(r, req, conn)
	if err != nil {
		c.refuse(w, r, errors.Join(err, cause), c.about(r, req, conn))
		return
	}
	c.observe(r, cause)
	see(w, to)
}

// callback is where an identity provider sends people back to. The state is taken
// first, so that it works once whatever happens next.
func (c *Console) callback(w http.ResponseWriter, r *http.Request) {
	conn, q := access.ConnectionID(r.PathValue("connection")), r.URL.Query()
	req, err := c.take(r, conn, q.Get("state"))
	if err != nil {
		c.refuse(w, r, err, place{})
		return
	}
	id, err := c.Upstream.Finish(r.Context(), conn, c.leg(req, req.Upstream), q)
	if err == nil {
		err = confirmed(req, id.ACR)
	}
	if err != nil {
		c.refuse(w, r, errors.Join(err, c.SignIns.Refused(r.Context(), conn, err)), c.about(r, req, conn))
		return
	}
	id.Device = deviceOf(r.UserAgent())
	cookie, b, err := c.enter(w, r, req, id)
	if fault.ReasonOf(err) == upstream.ReasonStale && !id.Fresh {
		c.goAfresh(w, r, req, conn, err)
		return
	}
	if err != nil {
		c.refuse(w, r, err, c.about(r, req, conn))
		return
	}
	c.remember(w, conn)
	c.arrive(w, r, req, cookie, b)
}

// take finds the request by the state, once, for the browser that made it.
func (c *Console) take(r *http.Request, conn access.ConnectionID, state string) (hot.AuthRequest, error) {
	const op = "console.callback"
	if state == "" || len(state) > stateMax {
		return hot.AuthRequest{}, fault.New(fault.NotFound, op, "the answer names no sign-in")
	}
	req, err := c.Requests.TakeUpstream(r.Context(), conn, state, c.Now())
	if err != nil {
		return hot.AuthRequest{}, err
	}
	if !c.bound(r, req) {
		return hot.AuthRequest{}, fault.New(fault.NotFound, op, "the sign-in was begun in another browser")
	}
	return req, nil
}

// enter gives the browser its session for a verified identity. A browser has one
// session: a second tab that signs the same person in shares it, anything else
// replaces it.
func (c *Console) enter(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, id upstream.Identity) (string, oidc.Browser, error) {
	old, err := c.browser(w, r)
	had := err == nil
	if err != nil && !fault.Is(err, fault.Unauthenticated) {
		return "", oidc.Browser{}, err
	}
	if had && req.Upstream.Grant == "" && serves(old.Session, req, id) {
		return c.sessionCookie(r), old, nil
	}
	cookie, b, err := c.SignIns.SignIn(r.Context(), id)
	if err != nil {
		return "", oidc.Browser{}, err
	}
	if had && old.Session.ID != b.Session.ID {
		if err := c.SignIns.SignOut(r.Context(), old.Session.ID, session.EndReplaced); err != nil {
			return "", oidc.Browser{}, err
		}
	}
	c.setSession(w, cookie, b)
	return cookie.Reveal(), b, nil
}

// serves reports whether a session that the browser has is as good as a new one:
// the same identity, what the request asks for, and no longer than the provider lets it
// last now.
func serves(s session.Session, req hot.AuthRequest, id upstream.Identity) bool {
	longer := !id.Until.IsZero() && s.Expires.After(id.Until)
	return s.Connection == id.Connection && s.Upstream.Issuer == id.Issuer && s.Upstream.Subject == id.Subject && !longer && suits(s, req)
}

// arrive ends the sign-in: at the person's own page, at the chooser, or back in the
// application, on the grant that it asked for.
func (c *Console) arrive(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, cookie string, b oidc.Browser) {
	if req.Client == "" {
		c.arriveHome(w, r, req, cookie, b)
		return
	}
	client, err := c.Clients.Client(r.Context(), req.Client)
	if err != nil {
		c.refuse(w, r, err, place{request: req, signedIn: true})
		return
	}
	if asked := signedInFor(req); asked != "" && !standsOn(b, asked) && holds(acceptedBy(client, b.Choices), asked) {
		if b, err = c.move(w, r, cookie, asked); err != nil {
			c.refuse(w, r, heldNoMore(err), c.about(r, req, b.Session.Connection))
			return
		}
	}
	if grant, must := mustStepUp(req, b, client); must && req.Upstream.Grant == "" {
		to, err := c.departFor(r, req, b, grant)
		if err != nil {
			c.refuse(w, r, err, c.about(r, req, b.Session.Connection))
			return
		}
		see(w, to)
		return
	}
	if mustChoose(req, b, client) {
		see(w, ofRequest(pathChoose, req.ID))
		return
	}
	c.deliver(w, r, req, b)
}

// arriveHome ends a sign-in to the person's own page, on the grant that it was for.
func (c *Console) arriveHome(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, cookie string, b oidc.Browser) {
	if to := req.Upstream.Grant; to != "" && !standsOn(b, to) {
		if _, err := c.move(w, r, cookie, to); err != nil {
			at := c.about(r, req, b.Session.Connection)
			at.signedIn = true
			c.refuse(w, r, heldNoMore(err), at)
			return
		}
	}
	c.endRequest(w, req)
	see(w, pathMe)
}

// signedInFor is the grant that the person signed in for: one that was chosen before and
// demanded it, or the one that the application asks for; "" if it is still to be chosen.
func signedInFor(req hot.AuthRequest) access.AssignmentID {
	if req.Upstream.Grant != "" || asksForChooser(req) {
		return req.Upstream.Grant
	}
	return req.Grant
}

func asksForChooser(req hot.AuthRequest) bool {
	return slices.Contains(req.Prompt, oidc.PromptSelectAccount)
}

// mustChoose reports whether a person has to say which grant to use: the
// application asks for the chooser or for a grant that is not the active one, the
// session stands on none that is good as it is, or the application does not accept it.
// Who has chosen one, and signed in for it, has chosen.
func mustChoose(req hot.AuthRequest, b oidc.Browser, client oidc.Client) bool {
	if b.Session.State != session.Active || !client.Accepts(b.Assignment.Grant) || b.Guards(b.Session.Active) {
		return true
	}
	asked := signedInFor(req)
	return asked == "" && asksForChooser(req) || asked != "" && asked != b.Session.Active
}

// deliver sends the person back to the application with a code, or first to agree.
func (c *Console) deliver(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, b oidc.Browser) {
	if asksForConsent(req) {
		see(w, ofRequest(pathConsent, req.ID))
		return
	}
	c.finish(w, r, req, b)
}

// finish sends the person back with a code. The request is over: its cookie goes, and
// with it the way back into it.
func (c *Console) finish(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, b oidc.Browser) {
	to, err := c.Codes.Issue(r.Context(), req, b.Session)
	if fault.ReasonOf(err) == oidc.ReasonConsent {
		see(w, ofRequest(pathConsent, req.ID))
		return
	}
	if err != nil {
		at := c.about(r, req, b.Session.Connection)
		at.signedIn = true
		c.refuse(w, r, err, at)
		return
	}
	c.endRequest(w, req)
	see(w, to)
}
