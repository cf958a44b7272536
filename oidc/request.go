package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/planted"
)

// The prompts of OpenID Connect Core section 3.1.2.1. Consent is for clients that are
// registered to ask for it; for others it does nothing, since the vendor's own
// applications may have what configuration says.
const (
	PromptNone          = "none"
	PromptLogin         = "login"
	PromptSelectAccount = "select_account"
	PromptConsent       = "consent"
)

// PromptStepUp is ours, and no application may send it: the person must have signed in
// in one of the request's ACRValues.
const PromptStepUp = "step_up"

// The OAuth scopes that are not workflows.
const (
	scopeOpenID      = "openid"
	scopeProfile     = "profile"
	ScopeEmail       = "email"
	scopeAddress     = "address"
	scopePhone       = "phone"
	scopeGrantPrefix = "grant:"
)

// ScopeOffline asks for a session that outlives the browser's (OpenID Connect Core
// section 11). A client has it by its registration, which is the consent: without it
// the scope is left out of the answer.
const ScopeOffline = "offline_access"

// AboutPerson reports whether an OAuth scope is about the person: it names no
// workflow, so no grant opens it and every client may have it.
func AboutPerson(oauthScope string) bool {
	switch oauthScope {
	case scopeOpenID, scopeProfile, ScopeEmail, scopeAddress, scopePhone:
		return true
	}
	return false
}

// authorizeParams are the parameters that the endpoint knows: none may repeat.
var authorizeParams = [...]string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "prompt", "max_age", "login_hint", "id_token_hint", "connection",
	"request", "request_uri", "registration", "ui_locales", "acr_values", "claims", "claims_locales", "display", "dpop_jkt", "authorization_details"}

// registered finds the client and checks the redirect URI, byte for byte against
// the registered ones. Until both are good nothing is redirected (RFC 6749
// section 4.1.2.1), so that an error is never a way to send people elsewhere.
func (p *Provider) registered(ctx context.Context, f form) (Client, string, error) {
	if name := f.repeated("client_id", "redirect_uri"); name != "" {
		return Client{}, "", invalid("The parameter " + name + " is there more than once.")
	}
	id, uri := f.get("client_id"), f.get("redirect_uri")
	if id == "" || len(id) > maxClientID {
		return Client{}, "", invalid("The application did not say who it is: client_id is missing or too long.")
	}
	c, err := p.Clients.Client(ctx, access.ClientID(id))
	if fault.Is(err, fault.NotFound) {
		return Client{}, "", invalid("No application is registered under this client_id.")
	}
	if err != nil {
		return Client{}, "", err
	}
	if planted.Bug(planted.RedirectByPrefix) && slices.ContainsFunc(c.RedirectURIs, func(known string) bool { return strings.HasPrefix(uri, known) }) {
		return c, uri, nil
	}
	if uri == "" || !slices.Contains(c.RedirectURIs, uri) || CheckRedirectURI(uri) != nil {
		return Client{}, "", invalid("The redirect_uri is not one that is registered for this application. It must be the same, byte for byte.")
	}
	return c, uri, nil
}

// parseRequest checks everything about the request that the browser's session does
// not matter for. The client and redirect URI are good already: errors go there.
func parseRequest(f form, c Client, redirectURI string) (hot.AuthRequest, error) {
	req := hot.AuthRequest{Client: c.ID, RedirectURI: redirectURI, MaxAge: -1}
	if f.repeated("state") == "" && len(f.get("state")) <= maxState {
		req.State = f.get("state") // also for the errors below
	}
	for _, check := range []func(form, Client, *hot.AuthRequest) error{
		checkGrantType, checkShape, checkResponse, checkPKCE, checkDPoPKey, readScope, readDetails, readResources, readPrompt, readMaxAge, readClaims, readLocales,
	} {
		if err := check(f, c, &req); err != nil {
			return req, err
		}
	}
	req.Nonce = f.get("nonce")
	req.LoginHint = f.get("login_hint")
	req.Connection = access.ConnectionID(f.get("connection"))
	return req, nil
}

func checkGrantType(_ form, c Client, _ *hot.AuthRequest) error {
	if !c.MayUse(GrantTypeCode) {
		return &Error{Code: "unauthorized_client", Description: "This application is not registered for the grant type authorization_code: nobody signs in to it."}
	}
	return nil
}

func checkShape(f form, _ Client, _ *hot.AuthRequest) error {
	if f.get("request") != "" {
		return &Error{Code: "request_not_supported", Description: "Send the parameters themselves, not a request object."}
	}
	if f.get("request_uri") != "" {
		return &Error{Code: "request_uri_not_supported", Description: "Send the parameters themselves, or push them first (RFC 9126); no other request_uri is read."}
	}
	if f.get("registration") != "" {
		return &Error{Code: "registration_not_supported", Description: "Applications are registered in the configuration. Leave registration out."}
	}
	if err := f.once(authorizeParams[:]...); err != nil {
		return err
	}
	return f.within(limit{"state", maxState}, limit{"nonce", maxNonce}, limit{"scope", maxScope},
		limit{"prompt", maxPrompt}, limit{"login_hint", maxLoginHint}, limit{"connection", maxConnection},
		limit{"id_token_hint", maxToken}, limit{"claims", maxClaims}, limit{"acr_values", maxACRValues}, limit{"ui_locales", maxUILocales})
}

func checkResponse(f form, _ Client, _ *hot.AuthRequest) error {
	switch f.get("response_type") {
	case "code":
	case "":
		return invalid("The parameter response_type is missing. Send response_type=code.")
	default:
		return &Error{Code: "unsupported_response_type", Description: "Only response_type=code is supported."}
	}
	if m := f.get("response_mode"); m != "" && m != "query" {
		return invalid("Only response_mode=query is supported.")
	}
	return nil
}

// MayOmitPKCE reports whether the client may leave out code_challenge. A public client
// never may: nothing else would protect its codes.
func (c Client) MayOmitPKCE() bool { return c.InsecureNoPKCE && !c.Public() }

// checkPKCE requires S256 (RFC 9700 section 2.1.1), unless the client may go without
// and does. A method that is left out would mean plain (RFC 7636 section 4.3), so it is
// refused as well.
func checkPKCE(f form, c Client, req *hot.AuthRequest) error {
	req.CodeChallenge = f.get("code_challenge")
	if req.CodeChallenge == "" && f.get("code_challenge_method") == "" && c.MayOmitPKCE() {
		return nil
	}
	if req.CodeChallenge == "" {
		return invalid("PKCE is required: send code_challenge and code_challenge_method=S256.")
	}
	if planted.Bug(planted.PlainPKCE) && f.get("code_challenge_method") != "S256" {
		sum := sha256.Sum256([]byte(req.CodeChallenge))
		req.CodeChallenge = base64.RawURLEncoding.EncodeToString(sum[:])
		return nil
	}
	if f.get("code_challenge_method") != "S256" {
		return invalid("Only code_challenge_method=S256 is supported, and it must be there.")
	}
	if len(req.CodeChallenge) != 43 || strings.ContainsFunc(req.CodeChallenge, notBase64URL) {
		return invalid("The code_challenge is not the base64url of a SHA-256 digest: 43 characters without padding.")
	}
	return nil
}

// checkDPoPKey reads the thumbprint of the key that must redeem the code (RFC 9449
// section 10), if the request names one.
func checkDPoPKey(f form, _ Client, req *hot.AuthRequest) error {
	req.DPoPKey = f.get("dpop_jkt")
	if req.DPoPKey != "" && (len(req.DPoPKey) != 43 || strings.ContainsFunc(req.DPoPKey, notBase64URL)) {
		return invalid("The dpop_jkt is not the base64url of a SHA-256 thumbprint: 43 characters without padding.")
	}
	return nil
}

func notBase64URL(r rune) bool { return !alphanumeric(r) && r != '-' && r != '_' }

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// readScope keeps what we know and the client may have; the rest is ignored
// (OpenID Connect Core section 3.1.2.1). grant:<id> asks for an assignment and
// never becomes an OAuth scope.
func readScope(f form, c Client, req *hot.AuthRequest) error {
	for s := range strings.SplitSeq(f.get("scope"), " ") {
		if id, ok := strings.CutPrefix(s, scopeGrantPrefix); ok {
			if id == "" || req.Grant != "" && string(req.Grant) != id {
				return &Error{Code: "invalid_scope", Description: "Ask for one grant: scope=openid grant:<id>."}
			}
			req.Grant = access.AssignmentID(id)
			continue
		}
		if c.MayHave(s) && !slices.Contains(req.OAuthScopes, s) {
			req.OAuthScopes = append(req.OAuthScopes, s)
		}
	}
	if !slices.Contains(req.OAuthScopes, scopeOpenID) {
		return &Error{Code: "invalid_scope", Description: "The scope must contain openid."}
	}
	return nil
}

func readPrompt(f form, c Client, req *hot.AuthRequest) error {
	for _, s := range strings.Fields(f.get("prompt")) {
		switch s {
		case PromptNone, PromptLogin, PromptSelectAccount, PromptConsent:
		default:
			return invalid("The prompt is none, login, select_account or consent.")
		}
		if s == PromptConsent && !c.Consent {
			continue
		}
		if !slices.Contains(req.Prompt, s) {
			req.Prompt = append(req.Prompt, s)
		}
	}
	if slices.Contains(req.Prompt, PromptNone) && len(strings.Fields(f.get("prompt"))) > 1 {
		return invalid("prompt=none goes with no other prompt.")
	}
	return nil
}

func readMaxAge(f form, _ Client, req *hot.AuthRequest) error {
	s := f.get("max_age")
	if s == "" {
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return invalid("The max_age is a number of seconds.")
	}
	req.MaxAge = time.Duration(n) * time.Second
	return nil
}

// readClaims keeps what the claims parameter and acr_values ask for. Ways of signing in
// that are essential are the only ones that are of use upstream.
func readClaims(f form, c Client, req *hot.AuthRequest) error {
	req.ACRValues = strings.Fields(f.get("acr_values"))
	text := f.get("claims")
	if text == "" {
		return nil
	}
	q, err := ParseClaims(text)
	if err != nil {
		return invalid("The claims parameter does not hold (OpenID Connect Core section 5.5): " + err.Error() + ".")
	}
	q = q.allowed(c)
	req.Claims = q.stored()
	switch values, essential := q.ACR(); {
	case essential:
		req.ACRValues = values
	case len(values) > 0:
		req.ACRValues = append(slices.Clone(values), req.ACRValues...)
	}
	return nil
}

// readLocales keeps the languages that look like language tags (RFC 5646), which the
// identity provider may read; a wish that cannot be read is none.
func readLocales(f form, _ Client, req *hot.AuthRequest) error {
	req.UILocales = slices.DeleteFunc(strings.Fields(f.get("ui_locales")), func(tag string) bool {
		return len(tag) > 35 || strings.ContainsFunc(tag, func(r rune) bool { return !alphanumeric(r) && r != '-' })
	})
	return nil
}

// readHint verifies the id_token_hint, if there is one.
func (p *Provider) readHint(ctx context.Context, f form, c Client) (Hint, error) {
	token := f.get("id_token_hint")
	if token == "" {
		return Hint{}, nil
	}
	h, err := p.Tokens.IDTokenHint(ctx, token)
	if err != nil && cannotAnswer(err) {
		return Hint{}, err
	}
	if err != nil || h.Client != c.ID {
		return Hint{}, invalid("The id_token_hint is not an ID token that was issued to this application here.")
	}
	return h, nil
}

// cannotAnswer reports whether err says that nobody knows, rather than no.
func cannotAnswer(err error) bool {
	switch fault.KindOf(err) {
	case fault.Internal, fault.Unavailable, fault.Limited:
		return true
	}
	return false
}

// authorizeError gives the code and description for the redirect URI.
func authorizeError(err error) (code, description string) {
	var e *Error
	if !errors.As(err, &e) {
		e = oauthError(err)
	}
	switch fault.ReasonOf(err) {
	case ReasonConsent:
		return ReasonConsent, "The person must agree first. Send them here again without prompt=none."
	case ReasonUnmet:
		return ReasonUnmet, e.Description
	case ReasonOtherPerson:
		return "login_required", e.Description
	}
	switch e.Code {
	case "invalid_client", "invalid_grant": // not words of this endpoint: the session has moved or ended meanwhile
		return "login_required", "The session has changed or ended. Send the person to sign in."
	case "unsupported_grant_type":
		return "invalid_request", e.Description
	}
	if e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable {
		return "temporarily_unavailable", e.Description
	}
	return e.Code, e.Description
}
