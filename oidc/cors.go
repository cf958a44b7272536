package oidc

import (
	"net/http"
	"slices"
	"strings"
)

// reading says which scripts in browsers may read an endpoint's answers (CORS, as the
// Fetch standard has it). The zero value: none. Cookies are never allowed with it: what
// a script asks for, it asks for with what it holds.
type reading uint8

const (
	byNobody     reading = iota
	byEverybody          // public documents, the same for all
	byRegistered         // the origins that are registered for the client that asks
)

// preflight answers a browser that asks before it sends a script's request, and reports
// whether that was one. It names no client, so any registered origin may go on; what is
// answered then, the client's own origins alone may read.
func (p *Provider) preflight(w http.ResponseWriter, r *http.Request, methods []string, read reading) bool {
	if read == byNobody || r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	if read == byEverybody {
		letEverybodyRead(w)
	} else {
		p.letStrangerRead(w, r)
	}
	if h := w.Header(); h.Get(allowOrigin) != "" {
		h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
		h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, DPoP")
		h.Set("Access-Control-Max-Age", "600") // seconds
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// letRead lets the client's own origins read the answer, and no other.
func letRead(w http.ResponseWriter, r *http.Request, c Client) {
	if origin, ok := originOf(r); ok && slices.Contains(c.Origins, origin) {
		letOriginRead(w, origin)
	}
}

// letStrangerRead lets any registered origin read a preflight or a refusal of somebody
// who did not say who they are: it tells nothing of anybody.
func (p *Provider) letStrangerRead(w http.ResponseWriter, r *http.Request) {
	if origin, ok := originOf(r); ok && p.Clients.HasOrigin(origin) {
		letOriginRead(w, origin)
	}
}

func letEverybodyRead(w http.ResponseWriter) { w.Header().Set(allowOrigin, "*") }

func letOriginRead(w http.ResponseWriter, origin string) {
	w.Header().Set(allowOrigin, origin)
	w.Header().Set("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate")
}

const allowOrigin = "Access-Control-Allow-Origin"

// originOf is the one origin that a browser says a script is of.
func originOf(r *http.Request) (string, bool) {
	all := r.Header["Origin"]
	if len(all) != 1 {
		return "", false
	}
	return all[0], true
}

// refuseStranger refuses somebody who has not authenticated.
func (p *Provider) refuseStranger(w http.ResponseWriter, r *http.Request, err error) {
	p.letStrangerRead(w, r)
	p.refuse(w, r, err, oauthError)
}
