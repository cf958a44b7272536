package oidc

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/planted"
)

// metadataDocument is what both discovery documents say (OpenID Connect Discovery
// 1.0 section 3, RFC 8414 section 2). It promises only what the endpoints keep.
type metadataDocument struct {
	Issuer                string   `json:"issuer"`
	Authorization         string   `json:"authorization_endpoint"`
	PushedAuthorization   string   `json:"pushed_authorization_request_endpoint"`
	RequirePushed         bool     `json:"require_pushed_authorization_requests"`
	Token                 string   `json:"token_endpoint"`
	Userinfo              string   `json:"userinfo_endpoint"`
	JWKS                  string   `json:"jwks_uri"`
	Introspection         string   `json:"introspection_endpoint"`
	Revocation            string   `json:"revocation_endpoint"`
	EndSession            string   `json:"end_session_endpoint"`
	Feed                  string   `json:"revocation_feed_endpoint"` // our own
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	DetailTypes           []string `json:"authorization_details_types_supported"`
	ACRValues             []string `json:"acr_values_supported,omitempty"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgs           []string `json:"id_token_signing_alg_values_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs         []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAlgs     []string `json:"introspection_signing_alg_values_supported"` // RFC 9701 section 7
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	ProofAlgs             []string `json:"dpop_signing_alg_values_supported"`
	CodeChallengeMethods  []string `json:"code_challenge_methods_supported"`
	Prompts               []string `json:"prompt_values_supported"`
	ClaimTypes            []string `json:"claim_types_supported"`
	Claims                []string `json:"claims_supported"`
	ClaimsParameter       bool     `json:"claims_parameter_supported"`
	RequestParameter      bool     `json:"request_parameter_supported"`
	RequestURIParameter   bool     `json:"request_uri_parameter_supported"`
	IssParameterSupported bool     `json:"authorization_response_iss_parameter_supported"`
	FrontchannelLogout    bool     `json:"frontchannel_logout_supported"`
	FrontchannelSession   bool     `json:"frontchannel_logout_session_supported"`
	BackchannelLogout     bool     `json:"backchannel_logout_supported"`
	BackchannelSession    bool     `json:"backchannel_logout_session_supported"`
}

// discoveryDocument says nothing that changes while we run, but for the kinds of sign-in
// that the configuration names.
func discoveryDocument(issuer string, acrValues []string) []byte {
	confidential := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	withPublic := append([]string{"none"}, confidential...)
	d := metadataDocument{
		Issuer:        issuer,
		Authorization: issuer + pathAuthorize, PushedAuthorization: issuer + pathPush, Token: issuer + PathToken, Userinfo: issuer + pathUserinfo,
		JWKS: issuer + pathKeys, Introspection: issuer + pathIntrospect, Revocation: issuer + pathRevoke,
		EndSession:    issuer + pathEndSession,
		Feed:          issuer + pathFeed,
		Scopes:        []string{scopeOpenID, scopeProfile, ScopeEmail, scopeAddress, scopePhone, ScopeOffline, ScopeSCIM},
		ResponseTypes: []string{"code"}, ResponseModes: []string{"query"},
		GrantTypes: GrantTypes(), DetailTypes: []string{DetailActiveGrant},
		ACRValues: acrValues, SubjectTypes: []string{"public", "pairwise"}, IDTokenAlgs: []string{"ES256", "RS256"},
		TokenAuth: withPublic, TokenAuthAlgs: assertion.Algorithms(),
		IntrospectionAuth: confidential, IntrospectionAuthAlgs: assertion.Algorithms(), IntrospectionAlgs: []string{"ES256", "RS256"},
		RevocationAuth: withPublic, RevocationAuthAlgs: assertion.Algorithms(),
		ProofAlgs:             ProofAlgorithms(),
		CodeChallengeMethods:  []string{"S256"},
		Prompts:               []string{PromptNone, PromptLogin, PromptConsent, PromptSelectAccount},
		ClaimTypes:            []string{"normal"},
		ClaimsParameter:       true,
		Claims:                []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "nonce", "sid", "active_grant"},
		IssParameterSupported: true,
		FrontchannelLogout:    true, FrontchannelSession: true,
		BackchannelLogout: true, BackchannelSession: true,
	}
	for _, a := range aboutPerson {
		d.Claims = append(d.Claims, a.claim)
	}
	for _, w := range access.Workflows() {
		d.Scopes = append(d.Scopes, string(w))
	}
	d.Scopes = append(d.Scopes, ServiceScopes()...)
	body, err := json.Marshal(d)
	if err != nil { // strings and booleans always encode
		return []byte("{}")
	}
	return body
}

// KeysMaxAge is for how long everybody may keep the published keys and the discovery
// document: shorter than the time for which a new key is published before it signs.
const KeysMaxAge = 5 * time.Minute

func (p *Provider) metadata(w http.ResponseWriter, r *http.Request) {
	var acr []string
	if p.ACRValues != nil {
		acr = p.ACRValues()
	}
	issuer := p.Issuer
	if planted.Bug(planted.IssuerFromForwardedHost) && r.Header.Get("X-Forwarded-Host") != "" {
		issuer = "https://" + r.Header.Get("X-Forwarded-Host")
	}
	writePublic(w, r, discoveryDocument(issuer, acr))
}

func (p *Provider) keys(w http.ResponseWriter, r *http.Request) { writePublic(w, r, p.JWKS()) }

// writePublic writes a document that everybody may keep, or says that the one they
// have is the one there is (RFC 9110 section 13.1.2).
func writePublic(w http.ResponseWriter, r *http.Request, body []byte) {
	sum := sha256.Sum256(body)
	w.Header().Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:16])+`"`)
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(KeysMaxAge.Seconds())))
	w.Header().Set("Content-Type", "application/json")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
