package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/steward"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// ReasonOperatorOnly is why a person is refused whatever they are: the route is not open
// to people.
const ReasonOperatorOnly = "operator_only"

// personPace is how much one person may ask.
var personPace = admission.Pace{Every: 50 * time.Millisecond, Burst: 200}

// actorKey is where a request's context has who acts.
type actorKey struct{}

// actor is who acts. The operator is called by what the request says, "operator" if it
// says nothing.
func actor(ctx context.Context, author string) steward.Actor {
	a, _ := ctx.Value(actorKey{}).(steward.Actor)
	if a.Operator != "" && strings.TrimSpace(author) != "" {
		a.Operator = strings.TrimSpace(author)
	}
	return a
}

// byOperator reports whether the operator acts.
func byOperator(ctx context.Context) bool { return actor(ctx, "").Operator != "" }

// people opens a route to people, who act by their own access tokens. Every other is
// closed to them. What one does for others is judged where it is done.
func people(o *huma.Operation) {
	o.Security = []map[string][]string{{"admin": {}}, {"person": {}}}
}

func openToPeople(o huma.Operation) bool {
	return slices.ContainsFunc(o.Security, func(s map[string][]string) bool { return s["person"] != nil })
}

// operatorOnly turns people away before anything of the request is read.
func operatorOnly(c huma.Context, next func(huma.Context)) {
	if byOperator(c.Context()) {
		next(c)
		return
	}
	c.SetHeader("Content-Type", "application/problem+json")
	c.SetStatus(http.StatusForbidden)
	_, _ = c.BodyWriter().Write(problemBody(http.StatusForbidden, "only the operator of this bridge may do this", ReasonOperatorOnly)) //nolint:errcheck // the client has gone
}

// person says who shows an access token; it has answered if the token is not good.
func (a *api) person(w http.ResponseWriter, r *http.Request) (steward.Actor, bool) {
	if a.Proofs == nil {
		a.unknown(w, r)
		return steward.Actor{}, false
	}
	a.Proofs.Announce(w)
	shown, err := a.Proofs.Present(r)
	if e, ok := errors.AsType[*oidc.Error](err); ok {
		a.notProved(w, r, e)
		return steward.Actor{}, false
	}
	acting, err := a.Bridge.Acting(r.Context(), shown)
	if err != nil {
		a.notAccepted(w, r, err)
		return steward.Actor{}, false
	}
	sub := acting.Bound.Subject
	if wait := a.pace.Take(who{sub.Connection, sub.Person}, personPace, time.Now()); wait > 0 {
		tooMany(w, wait)
		return steward.Actor{}, false
	}
	return steward.Actor{Connection: sub.Connection, Person: sub.Person, Assignment: acting.Assignment, Token: acting.Bound,
		Manages: slices.Contains(acting.OAuthScopes, string(access.UsersManage))}, true
}

type who struct {
	connection access.ConnectionID
	person     access.PersonID
}

// notProved answers a request without a token, or with a proof that proves nothing: the
// latter in OAuth's words, with what its client must know to try again.
func (a *api) notProved(w http.ResponseWriter, r *http.Request, e *oidc.Error) {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "DPoP") {
		a.unknown(w, r)
		return
	}
	if a.flooded(w, r) {
		return
	}
	e.Write(w)
}

// notAccepted answers a request whose token does not count.
func (a *api) notAccepted(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*oidc.Error](err); ok {
		a.notProved(w, r, e)
		return
	}
	if a.Observe != nil {
		a.Observe(r.Context(), err)
	}
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Internal, fault.Limited:
		refuse(w, http.StatusServiceUnavailable, "the access token cannot be looked at now; try again in a moment")
		return
	}
	if up, ok := errors.AsType[*oidc.StepUp](err); ok {
		w.Header().Set("WWW-Authenticate", up.Challenge())
		refuseBecause(w, http.StatusUnauthorized, "your grant demands another sign-in", session.ReasonStepUp)
		return
	}
	a.unknown(w, r)
}

// unknown is the one answer to whoever shows nothing that counts.
func (a *api) unknown(w http.ResponseWriter, r *http.Request) {
	if a.flooded(w, r) {
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="drawbridge admin API", error="invalid_token"`)
	refuse(w, http.StatusUnauthorized, `Nobody is known by that token. Send the operator's as "Authorization: Bearer <token>" (it stands in server.json in the data folder), or a person's own access token: it lives for minutes, and ends with the access that it stands on; then sign in again.`)
}

// flooded counts that somebody did not prove who they are, and answers whoever fails too
// often from their network.
func (a *api) flooded(w http.ResponseWriter, r *http.Request) bool {
	if a.Failed == nil {
		return false
	}
	wait := a.Failed(r)
	if wait > 0 {
		tooMany(w, wait)
	}
	return wait > 0
}

func tooMany(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	refuse(w, http.StatusTooManyRequests, "ask less often")
}
