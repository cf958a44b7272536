package oidc

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// verb is what /authorize does with a good request. The zero verb refuses.
type verb uint8

const (
	refuse   verb = iota // redirect with an error
	begin                // hand over to the pages
	issue                // redirect with a code
	switchTo             // switch to the grant that was asked for, then issue
)

func (v verb) String() string {
	return [...]string{"refuse", "begin", "issue", "switch"}[min(v, switchTo)]
}

// action is a decision. Code and why go to the application when it refuses; ask is
// the prompt that the stored request carries when a page begins.
type action struct {
	do   verb
	code string
	why  string
	ask  string
}

// facts is all that a decision is made from.
type facts struct {
	req     hot.AuthRequest
	client  Client
	hint    Hint // zero: no id_token_hint
	wants   ClaimsRequest
	subject string  // what the client knows the browser's person by
	browser Browser // zero: no session
}

// decide says what becomes of a good request (OpenID Connect Core section 3.1.2.3).
// It first asks whether the person must sign in, then which grant counts.
func decide(f facts, now time.Time) action {
	silent := slices.Contains(f.req.Prompt, PromptNone)
	if f.mustSignIn(now) {
		if silent {
			return action{do: refuse, code: "login_required", why: "Send the person here again without prompt=none to sign in."}
		}
		return action{do: begin, ask: f.signInPrompt()}
	}
	if !f.wants.ACRWillDo(f.browser.Session.Upstream.ACR) {
		if silent {
			return action{do: refuse, code: ReasonUnmet, why: "The person has not signed in in a way that the claims parameter demands. Send them here again without prompt=none."}
		}
		return action{do: begin, ask: PromptStepUp}
	}
	if slices.Contains(f.req.Prompt, PromptSelectAccount) {
		return action{do: begin, ask: PromptSelectAccount}
	}
	if slices.Contains(f.req.Prompt, PromptConsent) {
		return action{do: begin, ask: PromptConsent}
	}
	if f.req.Grant != "" {
		return f.chosen(silent)
	}
	if f.browser.Session.State == session.Active && f.client.Accepts(f.browser.Assignment.Grant) {
		return f.unless(f.browser.Session.Active, silent, issue)
	}
	return pick(silent)
}

// pick lets the person choose a grant on a page of ours.
func pick(silent bool) action {
	if silent {
		return action{do: refuse, code: "interaction_required", why: "Send the person here again without prompt=none to choose a grant."}
	}
	return action{do: begin, ask: PromptSelectAccount}
}

// pages are the prompts that a stored request carries beside its own: what it begins for, and
// the chooser where an application that people must agree to asks for a grant. Whoever
// agrees, agrees to the access that they see: no other site's request chooses it for them.
func (f facts) pages(ask string) []string {
	all := []string{ask}
	if f.client.Consent && f.req.Grant != "" {
		all = append(all, PromptSelectAccount)
	}
	return slices.DeleteFunc(slices.Compact(all), func(p string) bool { return p == "" || slices.Contains(f.req.Prompt, p) })
}

// mustSignIn reports whether the session, if there is one, is not enough: it has
// ended, it is another customer's than the one named, a new sign-in was asked for,
// it is too old, or somebody else was meant.
func (f facts) mustSignIn(now time.Time) bool {
	s := f.browser.Session
	return s.State == session.Ended || f.elsewhere() ||
		slices.Contains(f.req.Prompt, PromptLogin) ||
		f.req.MaxAge >= 0 && now.Sub(s.AuthTime) >= f.req.MaxAge ||
		f.hint.Person != "" && f.hint.Person != s.Person ||
		!f.wants.MeantFor(f.subject)
}

// The reasons for which Codes.Issue refuses what a request demands of the sign-in itself.
const (
	// ReasonUnmet is an error code too (OpenID Connect Core Unmet Authentication
	// Requirements 1.0): there is no such sign-in as the request demands.
	ReasonUnmet       = "unmet_authentication_requirements"
	ReasonOtherPerson = "other_person" // its claims parameter names somebody else
)

// elsewhere reports whether the request names another connection than the session's.
func (f facts) elsewhere() bool {
	return f.req.Connection != "" && f.req.Connection != f.browser.Session.Connection
}

// signInPrompt tells the pages not to reuse a session that is not enough. One of
// another connection they do not reuse anyway.
func (f facts) signInPrompt() string {
	if f.browser.Session.State == session.Ended || f.elsewhere() {
		return ""
	}
	return PromptLogin
}

// unless does what a grant is good for, unless it demands another sign-in first: the pages
// then go to the identity provider, and a request that may show none is refused.
func (f facts) unless(grant access.AssignmentID, silent bool, do verb) action {
	switch {
	case !f.browser.Guards(grant):
		return action{do: do}
	case silent:
		return action{do: refuse, code: "login_required", why: "The grant demands another sign-in. Send the person here again without prompt=none."}
	}
	return action{do: begin}
}

// chosen decides about scope=grant:<id>. What the person does not hold and what
// does not exist are answered alike. A switch is decided on last: a request that is
// refused, for whatever reason, has changed nothing.
func (f facts) chosen(silent bool) action {
	all := slices.Concat(f.browser.Choices, f.browser.Guarded)
	held := slices.IndexFunc(all, func(g ActiveGrant) bool { return g.ID == f.req.Grant })
	active := f.browser.Session.State == session.Active && f.browser.Session.Active == f.req.Grant
	switch {
	case active && f.client.Accepts(f.browser.Assignment.Grant):
		return f.unless(f.req.Grant, silent, issue)
	case !active && held >= 0 && f.client.Accepts(all[held].Grant) && f.client.Consent:
		return pick(silent)
	case !active && held >= 0 && f.client.Accepts(all[held].Grant):
		return f.unless(f.req.Grant, silent, switchTo)
	}
	return action{do: refuse, code: "invalid_target", why: notHeld}
}

const notHeld = "The person does not hold this grant now, or this application does not accept it."

// accepted reports whether the client may be given a code for the assignment that
// a switch has led to.
func (f facts) accepted(to access.AssignmentID) bool {
	return f.browser.Session.State == session.Active && f.browser.Session.Active == to && f.client.Accepts(f.browser.Assignment.Grant)
}
