package oidc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// anyMethod is what a proxy may ask with: nginx asks with GET, Envoy with the method of
// the request that it asks about.
var anyMethod = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// Need is what a proxy asks for: an access token of an audience, and each of what else
// is named.
type Need struct {
	Audience  string
	Grants    []access.Grant   // one of them; empty: any
	Workflows []string         // all of them
	Scope     access.ScopeID   // the active grant is at this scope or below; "": wherever
	Reaches   []access.ScopeID // the active grant is at one of these: a resource's scope, or those above it
	SignIn    access.Demand    // how and when the person signed in
}

// ParseNeed reads the query of an auth_request: audience is required.
func ParseNeed(query string) (Need, error) {
	values, err := url.ParseQuery(query)
	if err != nil || len(query) > maxNeed {
		return Need{}, invalid("The query cannot be read, or is longer than 4 KiB.")
	}
	n := Need{Audience: values.Get("audience"), Workflows: values["workflow"], Scope: access.ScopeID(values.Get("within"))}
	for name, list := range values {
		single := slices.Contains([]string{"audience", "within", "max_age"}, name)
		if !single && !slices.Contains([]string{"grant", "workflow", "reaches", "acr"}, name) || single && len(list) > 1 || slices.Contains(list, "") {
			return Need{}, invalid("Ask by audience, grant, workflow, within, reaches, acr and max_age; audience, within and max_age once.")
		}
	}
	for _, g := range values["grant"] {
		if !access.Grant(g).MaySignIn() {
			return Need{}, invalid("grant names no grant that may sign in.")
		}
		n.Grants = append(n.Grants, access.Grant(g))
	}
	for _, s := range values["reaches"] {
		n.Reaches = append(n.Reaches, access.ScopeID(s))
	}
	if n.SignIn, err = parseSignIn(values["acr"], values.Get("max_age")); err != nil {
		return Need{}, err
	}
	if n.Audience == "" {
		return Need{}, invalid("Say in audience whom the access tokens must be for.")
	}
	return n, nil
}

const maxNeed = 4 << 10

// parseSignIn reads how and when the person must have signed in: acr values, and an age in
// seconds.
func parseSignIn(acr []string, maxAge string) (d access.Demand, err error) {
	for _, value := range acr {
		if wrong := access.CheckACR(value); wrong != "" {
			return d, invalid("acr: " + wrong + ".")
		}
	}
	d.ACR = acr
	if maxAge == "" {
		return d, nil
	}
	const most = 10 * 365 * 24 * 60 * 60 // seconds: ten years
	n, err := strconv.ParseUint(maxAge, 10, 32)
	if err != nil || n == 0 || n > most {
		return d, invalid("max_age is a number of seconds, from 1 on.")
	}
	d.MaxAge = time.Duration(n) * time.Second
	return d, nil
}

// Missing says what an accepted token lacks at an instant; "" if nothing.
func (n Need) Missing(a Accepted, g ActiveGrant, now time.Time) string {
	for _, w := range n.Workflows {
		if !slices.Contains(a.OAuthScopes, w) {
			return "insufficient_scope"
		}
	}
	switch {
	case len(n.Grants) > 0 && !slices.Contains(n.Grants, g.Grant),
		n.Scope != "" && n.Scope != g.Scope.ID && !slices.Contains(g.Scope.AncestorIDs, n.Scope),
		len(n.Reaches) > 0 && !slices.Contains(n.Reaches, g.Scope.ID):
		return "insufficient_grant"
	case !n.SignIn.Met(a.ACR, a.AuthTime, now):
		return session.ReasonStepUp
	}
	return ""
}

// authRequest answers a proxy that asks about the access token of a request before it
// lets that through: 200, 401 or 403, as nginx's auth_request and Envoy's ext_authz take
// it. It reads nothing of the request's body.
func (p *Provider) authRequest(w http.ResponseWriter, r *http.Request) {
	need, err := ParseNeed(needOf(r))
	if err != nil {
		p.refuse(w, r, err, oauthError)
		return
	}
	a, err := p.acceptBearer(r)
	if err != nil {
		p.refuse(w, r, err, bearerError)
		return
	}
	var g ActiveGrant
	if err := json.Unmarshal(a.Grant, &g); err != nil {
		p.refuse(w, r, fault.Wrap(fault.Internal, "oidc.authRequest", err), bearerError)
		return
	}
	if a.Audience != need.Audience {
		p.refuse(w, r, noToken(), bearerError)
		return
	}
	code := need.Missing(a, g, p.Now())
	if code == session.ReasonStepUp {
		writeError(w, (&StepUp{need.SignIn}).stepUpError())
		return
	}
	if code != "" {
		w.Header().Set("X-Auth-Switch-URL", p.Issuer+"/me/")
		writeError(w, &Error{Status: http.StatusForbidden, Code: code, Description: "The active grant does not suffice.", challenge: bearerChallenge(code, need.Workflows)})
		return
	}
	show(w.Header(), a, g)
	w.WriteHeader(http.StatusOK)
}

// needOf finds what is asked for where the request that is asked about cannot have put
// it. nginx names the address, and passes all headers on; Envoy appends the path and
// query of that request to the address, and sets headers over those that came.
func needOf(r *http.Request) string {
	if r.URL.Path == pathCheck {
		return r.URL.RawQuery
	}
	if all := r.Header.Values("X-Auth-Need"); len(all) == 1 {
		return all[0]
	}
	return ""
}

// acceptBearer takes bearer tokens alone: a proof of possession is made for the address
// of the API, which the proxy does not tell.
func (p *Provider) acceptBearer(r *http.Request) (Accepted, error) {
	header := r.Header.Values("Authorization")
	if len(header) != 1 {
		return Accepted{}, &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: "Send one access token: Authorization: Bearer <token>.", challenge: `Bearer realm="oauth2"`}
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken {
		return Accepted{}, noToken()
	}
	a, err := p.Tokens.Accept(r.Context(), token)
	if err != nil {
		return Accepted{}, err
	}
	if err := a.Shows(Presented{Token: token}); err != nil {
		return Accepted{}, notShown(a, err)
	}
	return a, nil
}

func bearerChallenge(code string, workflows []string) string {
	if code == "insufficient_scope" {
		return `Bearer realm="oauth2", error="insufficient_scope", scope="` + printable(strings.Join(workflows, " ")) + `"`
	}
	return `Bearer realm="oauth2", error="insufficient_scope", error_description="another grant is needed"`
}

// show tells the proxy for whom it lets a request through.
func show(h http.Header, a Accepted, g ActiveGrant) {
	h.Set("X-Auth-Subject", a.Sub)
	h.Set("X-Auth-Session", a.SID)
	h.Set("X-Auth-Client", string(a.Bound.Subject.Client))
	h.Set("X-Auth-Grant", string(g.Grant))
	h.Set("X-Auth-Grant-ID", string(g.ID))
	h.Set("X-Auth-Standing", string(g.Standing))
	h.Set("X-Auth-Scope-ID", string(g.Scope.ID))
	h.Set("X-Auth-Scope-Level", g.Scope.Level.String())
	h.Set("X-Auth-Workflows", scopeText(workflowsOf(a.OAuthScopes)))
}

// workflowsOf are the OAuth scopes that are workflows, and not what a token tells of the
// person or how long it lives.
func workflowsOf(oauthScopes []string) []string {
	all := access.Workflows()
	return slices.DeleteFunc(slices.Clone(oauthScopes), func(s string) bool { return !slices.Contains(all, access.Workflow(s)) })
}
