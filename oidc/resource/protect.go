package resource

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

type contextKey struct{}

// From gives the access token behind a request that Protect let through; the zero
// Token for another one.
func From(ctx context.Context) Token {
	t, _ := ctx.Value(contextKey{}).(Token)
	return t
}

// Protect lets a request through to next if its access token counts and suffices. What
// it answers otherwise is application/problem+json (RFC 9457) with a challenge
// (RFC 6750, RFC 9449, RFC 9470): 401, 403 with a switch_url where another grant may
// help, 404, or 503 where nobody knows.
func (g *Guard) Protect(next http.Handler, need Need) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, asDPoP, err := shownToken(r)
		if err != nil {
			g.refuse(w, refusal{status: http.StatusUnauthorized, detail: "Send one access token in the header Authorization.", bare: len(r.Header.Values("Authorization")) == 0})
			return
		}
		t, err := g.Check(r.Context(), text)
		if err == nil {
			err = g.shown(r, t, text, asDPoP)
		}
		switch {
		case errors.Is(err, errProof):
			g.refuse(w, refusal{status: http.StatusUnauthorized, code: "invalid_dpop_proof", dpop: true, detail: "The access token is bound to a key: send it as DPoP with a new proof for this address."})
		case errors.Is(err, ErrNobodyKnows):
			g.refuse(w, refusal{status: http.StatusServiceUnavailable, detail: "Whether the access token counts cannot be found out now. Try again."})
		case err != nil:
			g.refuse(w, refusal{status: http.StatusUnauthorized, code: "invalid_token", dpop: asDPoP, detail: "The access token does not count, or not any more. Refresh it, or sign in again."})
		default:
			g.serve(w, r, t, need, next)
		}
	})
}

func (g *Guard) serve(w http.ResponseWriter, r *http.Request, t Token, need Need, next http.Handler) {
	dpop := t.Key != ""
	switch need.missing(r, t, g.cfg.Now()) {
	case nothing:
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, t)))
	case lacksWorkflow:
		g.refuse(w, refusal{status: http.StatusForbidden, code: "insufficient_scope", dpop: dpop, grant: &t.Grant, params: param("scope", strings.Join(need.workflows, " ")),
			detail: "The access token lacks a workflow: ask for it, or act under a grant that opens it."})
	case lacksGrant:
		g.refuse(w, refusal{status: http.StatusForbidden, code: "insufficient_scope", dpop: dpop, grant: &t.Grant, detail: "The active grant does not reach this. Another one may."})
	case lacksSignIn:
		params := param("acr_values", strings.Join(need.acr, " "))
		if need.maxAge > 0 {
			params += param("max_age", strconv.Itoa(int(need.maxAge/time.Second)))
		}
		g.refuse(w, refusal{status: http.StatusUnauthorized, code: "insufficient_user_authentication", dpop: dpop, params: params, detail: "Sign in again, as the challenge says."})
	case outOfReach:
		g.refuse(w, refusal{status: http.StatusNotFound, detail: "There is no such thing, or it is out of reach."})
	}
}

// shownToken finds the access token, and how it came (RFC 6750 section 2.1, RFC 9449
// section 7.1).
func shownToken(r *http.Request) (text string, asDPoP bool, err error) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return "", false, ErrInvalid
	}
	scheme, text, _ := strings.Cut(headers[0], " ")
	text = strings.TrimSpace(text)
	asDPoP = strings.EqualFold(scheme, "DPoP")
	if text == "" || !asDPoP && !strings.EqualFold(scheme, "Bearer") {
		return "", false, ErrInvalid
	}
	return text, asDPoP, nil
}

// refusal is an answer to a request that was not let through.
type refusal struct {
	status int
	code   string // of the challenge and the problem; "": none
	detail string
	params string
	dpop   bool
	bare   bool   // nothing was tried: a challenge without a code (RFC 6750 section 3.1)
	grant  *Grant // the active one, where another may help
}

// problem is a refusal as RFC 9457 writes it.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code,omitempty"`
	SwitchURL string `json:"switch_url,omitempty"`
	Active    *Grant `json:"active_grant,omitempty"`
}

func (g *Guard) refuse(w http.ResponseWriter, x refusal) {
	h := w.Header()
	switch x.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		h.Set("WWW-Authenticate", x.challenge())
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1") // second
	}
	p := problem{Type: "about:blank", Title: http.StatusText(x.status), Status: x.status, Detail: x.detail, Code: x.code, Active: x.grant}
	if x.grant != nil {
		p.SwitchURL = g.cfg.SwitchURL
	}
	body, err := json.Marshal(p)
	if err != nil { // strings and numbers always encode
		body = []byte("{}")
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(x.status)
	_, _ = w.Write(body) // a failed write means that the reader has gone
}

func (x refusal) challenge() string {
	scheme := "Bearer"
	if x.dpop {
		scheme = "DPoP"
	}
	s := scheme + ` realm="api"`
	if x.code != "" && !x.bare {
		s += param("error", x.code)
	}
	return s + x.params
}

// param is a parameter of a challenge; "" if it has no value.
func param(name, value string) string {
	clean := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, value)
	if clean == "" {
		return ""
	}
	return ", " + name + `="` + clean + `"`
}
