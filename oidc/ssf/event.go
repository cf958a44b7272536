package ssf

import "slices"

// Type is the URI of an event type.
type Type string

// The event types of the framework itself: they reach every stream, asked for or not
// (SSF 1.0 sections 8.1.4 and 8.1.5).
const (
	Verification  Type = "https://schemas.openid.net/secevent/ssf/event-type/verification"
	StreamUpdated Type = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
)

// The event types of CAEP 1.0 and RISC 1.0 that this transmitter has.
const (
	SessionRevoked     Type = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	SessionEstablished Type = "https://schemas.openid.net/secevent/caep/event-type/session-established"
	TokenClaimsChange  Type = "https://schemas.openid.net/secevent/caep/event-type/token-claims-change"
	AccountDisabled    Type = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	AccountEnabled     Type = "https://schemas.openid.net/secevent/risc/event-type/account-enabled"
	AccountPurged      Type = "https://schemas.openid.net/secevent/risc/event-type/account-purged"
	IdentifierChanged  Type = "https://schemas.openid.net/secevent/risc/event-type/identifier-changed"
)

// The event types of RFC 9967 that this transmitter has: the notices, which name what
// changed and carry none of it.
const (
	SCIMCreate     Type = "urn:ietf:params:scim:event:prov:create:notice"
	SCIMPatch      Type = "urn:ietf:params:scim:event:prov:patch:notice"
	SCIMPut        Type = "urn:ietf:params:scim:event:prov:put:notice"
	SCIMDelete     Type = "urn:ietf:params:scim:event:prov:delete"
	SCIMActivate   Type = "urn:ietf:params:scim:event:prov:activate"
	SCIMDeactivate Type = "urn:ietf:params:scim:event:prov:deactivate"
	SCIMAsync      Type = "urn:ietf:params:scim:event:misc:asyncresp"
)

// Supported are the types that a stream may ask for, in the order they are shown in. What
// happens to resources is for receivers alone that may hear of everybody.
func Supported(wide bool) []Type {
	all := []Type{SessionRevoked, TokenClaimsChange, AccountDisabled, AccountEnabled, AccountPurged, IdentifierChanged}
	if wide {
		all = append(all, SessionEstablished, SCIMCreate, SCIMPatch, SCIMPut, SCIMDelete, SCIMActivate, SCIMDeactivate)
	}
	return all
}

// SCIMEvents are the types of RFC 9967 that this bridge makes: those of streams, and the
// end of an asynchronous request, which its own client fetches.
func SCIMEvents() []string {
	return []string{string(SCIMCreate), string(SCIMPatch), string(SCIMPut), string(SCIMDelete), string(SCIMActivate), string(SCIMDeactivate), string(SCIMAsync)}
}

// ByDefault are the types that a stream gets which asks for none by name: all that ends
// or changes access.
func ByDefault() []Type {
	return []Type{SessionRevoked, TokenClaimsChange, AccountDisabled, AccountEnabled, AccountPurged, IdentifierChanged}
}

// delivered is what a stream that asks for those types is sent; nil: it did not say. Types
// that are not supported are ignored (SSF 1.0 section 8.1.1).
func delivered(requested []string, wide bool) []Type {
	if requested == nil {
		return ByDefault()
	}
	out := []Type{}
	for _, t := range Supported(wide) {
		if slices.Contains(requested, string(t)) {
			out = append(out, t)
		}
	}
	return out
}
