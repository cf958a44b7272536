//go:build interop

package interop

import "strings"

// requestDifference is one thing in which node oidc-provider answers otherwise, and the
// sentence that decides. One that no request shows any more fails.
type requestDifference struct {
	name, why string
	applies   func(a asked, we, they string) bool
}

// The reviewed list. Every entry says which sentence it stands on; "theirs" means that it
// is on their side, and what holds us back.
var requestDifferences = []requestDifference{
	{"errors of other response types by fragment", "theirs, where such a type is supported: OAuth 2.0 Multiple Response Type Encoding Practices section 2.1 lets the type choose the default mode. We support no type with that default, and section 3.1.2.6 of OpenID Connect Core has errors of the code flow in the query (oidc/DIVERGENCES.md: only query)",
		func(a asked, we, they string) bool {
			return a.params.Get("response_type") != "code" && they == we+" by fragment"
		}},
	{"a mode that is not for the type", "no specification says which of the two is told: the type is unsupported whatever its mode (RFC 6749 section 4.1.2.1), and query is no mode for tokens (OAuth 2.0 Multiple Response Type Encoding Practices section 5)",
		func(a asked, we, they string) bool {
			return a.params.Get("response_type") != "code" && a.params.Get("response_mode") == "query" && we == "unsupported_response_type" && they == "invalid_request"
		}},
	{"a pushed request without client_id", "theirs by the letter of RFC 6749 section 4.1.1; RFC 9126 section 2.1 has the client authenticate before, so nothing is in doubt",
		func(a asked, we, they string) bool {
			return a.ahead && a.params.Get("client_id") == "" && we == "kept" && they == "invalid_request"
		}},
	{"code twice is code", "RFC 6749 section 3.1.1: a response type of several words is one that is registered as such, and code code is not",
		func(a asked, we, they string) bool {
			return a.only("response_type", "code code") && we == "unsupported_response_type" && goesOn(they)
		}},
	{"a request without openid", "RFC 6749 section 4.1.2.1: a scope that is invalid is invalid_scope; OpenID Connect Core section 3.1.2.1 leaves open what becomes of it",
		func(a asked, we, they string) bool {
			return !strings.Contains(a.params.Get("scope"), "openid") && we == "invalid_scope" && (they == "invalid_request" || they == "access_denied" || goesOn(they))
		}},
	{"none twice", "no specification: OpenID Connect Core section 3.1.2.1 forbids none with any other value. A list that repeats itself is refused rather than read",
		func(a asked, we, they string) bool {
			return a.only("prompt", "none none") && we == "invalid_request" && (goesOn(they) || they == "login_required")
		}},
	{"max_age with a sign", "OpenID Connect Core section 3.1.2.1: an age in seconds; as JSON has numbers (RFC 8259 section 6), they begin with no plus",
		func(a asked, we, they string) bool {
			return a.only("max_age", "+100000") && we == "invalid_request" && goesOn(they)
		}},
	{"a challenge that no SHA-256 can have", "RFC 7636 section 4.2: with S256 it is the base64url of a SHA-256 digest, which has 43 characters",
		func(a asked, we, they string) bool {
			return a.only("code_challenge", strings.Repeat("a", 128)) && we == "invalid_request" && goesOn(they)
		}},
	{"a pushed request that is unknown", "RFC 9101 section 6.3: of a request with request_uri only what that holds counts, so redirect_uri beside one that is unknown is nobody's word",
		func(a asked, we, they string) bool {
			return strings.HasPrefix(a.params.Get("request_uri"), "urn:ietf:params:oauth:request_uri:") && we == "page" && strings.HasPrefix(they, "invalid_request")
		}},
	{"modes beside query", "OAuth 2.0 Multiple Response Type Encoding Practices section 2.1 and Form Post Response Mode are options; discovery announces query alone (oidc/DIVERGENCES.md)",
		func(a asked, we, they string) bool {
			mode := a.params.Get("response_mode")
			return (mode == "fragment" || mode == "form_post") && we == "invalid_request" && (goesOn(they) || strings.HasSuffix(they, " by "+mode))
		}},
	{"the name of the error for a mode that is unknown", "RFC 6749 section 4.1.2.1: a parameter with an invalid value is invalid_request; unsupported_response_mode is registered nowhere",
		func(a asked, we, they string) bool {
			return a.only("response_mode", "jwt", "unknown") && we == "invalid_request" && they == "unsupported_response_mode"
		}},
	{"claims that ask for nothing", "OpenID Connect Core section 5.5: userinfo and id_token are both optional members",
		func(a asked, we, they string) bool {
			return a.only("claims", "{}") && goesOn(we) && they == "invalid_request"
		}},
	{"consent to a claim beside its scope", "OpenID Connect Core section 3.1.2.4 leaves open how consent is had; who has agreed to the scope email has agreed to the claim",
		func(a asked, we, they string) bool {
			return a.only("claims", `{"userinfo":{"email":null}}`) && we == "code" && they == "ask"
		}},
	{"a key that no SHA-256 thumbprint can be", "RFC 9449 section 10: dpop_jkt is a SHA-256 thumbprint, which has 43 characters (RFC 7638)",
		func(a asked, we, they string) bool {
			return a.only("dpop_jkt", "short") && we == "invalid_request" && goesOn(they)
		}},
}
