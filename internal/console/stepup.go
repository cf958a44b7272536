package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// targetGrant is the grant that a request is to be answered on, as far as nobody has to
// choose it; "" if somebody has to.
func targetGrant(req hot.AuthRequest, b oidc.Browser) access.AssignmentID {
	switch {
	case asksForChooser(req):
		return ""
	case req.Grant != "":
		return req.Grant
	case b.Session.State == session.Active:
		return b.Session.Active
	}
	return ""
}

// mustStepUp gives the grant that a request is to be answered on, if it demands another
// sign-in than the person has.
func mustStepUp(req hot.AuthRequest, b oidc.Browser, client oidc.Client) (access.AssignmentID, bool) {
	to := targetGrant(req, b)
	return to, holds(acceptedBy(client, b.Guarded), to)
}

// departFor starts the trip on which the identity provider is asked for the sign-in that a
// guarded grant demands, and gives the address it begins at. A provider that is asked for
// a younger sign-in is asked for a new one: its clock is not ours.
func (c *Console) departFor(r *http.Request, req hot.AuthRequest, b oidc.Browser, to access.AssignmentID) (string, error) {
	at := slices.IndexFunc(b.Guarded, func(g oidc.ActiveGrant) bool { return g.ID == to })
	if at < 0 {
		return "", fault.New(fault.Denied, "console.stepUp", "the assignment is not held now").Because(session.ReasonNotHeld)
	}
	d := b.Catalogue.Demands(b.Guarded[at].Grant)
	acr, err := acrFor(req, d.ACR)
	if err != nil {
		return "", err
	}
	up := c.trip(b.Session.Connection)
	up.Grant, up.ACRValues, up.Login = to, strings.Join(acr, " "), !d.Fresh(b.Session.AuthTime, up.Started)
	leg := c.leg(req, up)
	leg.LoginHint = req.LoginHint
	return c.depart(r, req, up, leg)
}

// acrFor are the kinds of sign-in that a grant demands and that the application takes.
func acrFor(req hot.AuthRequest, demanded []string) ([]string, error) {
	wants, err := oidc.StoredClaims(req.Claims)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, "console.stepUp", err)
	}
	taken, essential := wants.ACR()
	if !essential || len(demanded) == 0 {
		return demanded, nil
	}
	left := slices.DeleteFunc(slices.Clone(demanded), func(acr string) bool { return !slices.Contains(taken, acr) })
	if len(left) == 0 {
		return nil, fault.New(fault.Denied, "console.stepUp", "no kind of sign-in is what both the application and the grant demand").Because(oidc.ReasonUnmet)
	}
	return left, nil
}

// stepUp leads to the identity provider from a form that was sent to us: an answer to
// that cannot redirect there.
func (c *Console) stepUp(w http.ResponseWriter, r *http.Request, req hot.AuthRequest, b oidc.Browser, to access.AssignmentID) {
	at := c.about(r, req, b.Session.Connection)
	at.signedIn = true
	link, err := c.departFor(r, req, b, to)
	if err != nil {
		c.refuse(w, r, err, at)
		return
	}
	v := continueView{Customer: Public(at.connection.Name), Link: href(link), Restart: pathMe, StepUp: true}
	if req.Client != "" {
		v.Restart = href(ofRequest(pathChoose, req.ID))
	}
	w.Header().Set("Refresh", "0; url="+link)
	c.page(w, r, http.StatusOK, pageContinue, "Going to your sign-in page", v)
}

// confirmed holds what an identity provider has confirmed against what this trip was
// for. A provider that did not do what it was asked once would not do it the next time:
// whoever sent the person there again would send them round in circles.
func confirmed(req hot.AuthRequest, acr string) error {
	const op = "console.callback"
	wants, err := oidc.StoredClaims(req.Claims)
	if err != nil {
		return fault.Wrap(fault.Internal, op, err)
	}
	demanded := strings.Fields(req.Upstream.ACRValues)
	switch {
	case len(demanded) > 0 && !slices.Contains(demanded, acr):
		return fault.New(fault.Denied, op, "the identity provider did not confirm the sign-in that the grant demands").Because(session.ReasonStepUp)
	case !wants.ACRWillDo(acr), slices.Contains(req.Prompt, oidc.PromptStepUp) && !slices.Contains(req.ACRValues, acr):
		return fault.New(fault.Denied, op, "the identity provider did not confirm the sign-in that the application demands").Because(oidc.ReasonUnmet)
	}
	return nil
}
