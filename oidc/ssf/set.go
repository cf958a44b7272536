package ssf

import (
	"encoding/json"
	"time"
)

// SET is a security event token before it is signed (RFC 8417): exactly one event, and
// never a sub or an exp (SSF 1.0 section 4.1).
type SET struct {
	Issuer   string
	Audience string
	JTI      string
	IssuedAt time.Time
	Happened time.Time // toe (RFC 8417 section 2.2); zero: when it was issued
	Txn      string    // what caused it: the same for all that one request did
	Subject  Subject
	Type     Type
	Event    any // the event's own members; nil: none
}

// Claims is the token's payload.
func (s SET) Claims() ([]byte, error) {
	happened := s.Happened
	if happened.IsZero() {
		happened = s.IssuedAt
	}
	event := s.Event
	if event == nil {
		event = struct{}{}
	}
	return json.Marshal(struct {
		Issuer   string       `json:"iss"`
		Audience string       `json:"aud"`
		JTI      string       `json:"jti"`
		IssuedAt int64        `json:"iat"`
		Happened int64        `json:"toe"`
		Txn      string       `json:"txn,omitzero"`
		Subject  Subject      `json:"sub_id"`
		Events   map[Type]any `json:"events"`
	}{s.Issuer, s.Audience, s.JTI, s.IssuedAt.Unix(), happened.Unix(), s.Txn, s.Subject, map[Type]any{s.Type: event}})
}

// TypeOf is the event type of a payload that Claims made; "" if it is none.
func TypeOf(claims []byte) Type {
	var set struct {
		Events map[Type]json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(claims, &set); err != nil || len(set.Events) != 1 {
		return ""
	}
	for t := range set.Events {
		return t
	}
	return ""
}

// Initiator says who stood behind an event (CAEP 1.0 section 2).
type Initiator string

// The initiators.
const (
	ByAdmin  Initiator = "admin"
	ByUser   Initiator = "user"
	ByPolicy Initiator = "policy"
	BySystem Initiator = "system"
)

// Cause is what every CAEP event may say beside its own members, and what ours of RISC say
// as well.
type Cause struct {
	At          int64             `json:"event_timestamp"`
	Initiator   Initiator         `json:"initiating_entity"`
	ReasonAdmin map[string]string `json:"reason_admin,omitempty"` // by language
	ReasonUser  map[string]string `json:"reason_user,omitempty"`  // by language
}

// SessionEnd are the members of a session-revoked.
type SessionEnd struct {
	Cause
	EndReason string `json:"end_reason,omitzero"` // a stable code of ours (docs/applications.md)
}

// ClaimsChange are the members of a token-claims-change.
type ClaimsChange struct {
	Cause
	Claims map[string]any `json:"claims"`
}

// SessionBegun are the members of a session-established.
type SessionBegun struct {
	Cause
	ACR string   `json:"acr,omitzero"`
	AMR []string `json:"amr,omitempty"`
}

// IdentifierChange are the members of an identifier-changed.
type IdentifierChange struct {
	Cause
	NewValue string `json:"new-value,omitzero"`
}

// VerificationState are the members of a verification.
type VerificationState struct {
	State string `json:"state,omitzero"`
}

// StatusChange are the members of a stream-updated.
type StatusChange struct {
	Status Status `json:"status"`
	Reason string `json:"reason,omitzero"`
}

// SCIMNotice are the members of a notice of RFC 9967.
type SCIMNotice struct {
	Attributes []string `json:"attributes"`
	Version    string   `json:"version,omitzero"`
}

// SCIMDone are the members of an asyncresp: what a bulk operation's answer says
// (RFC 7644 section 3.7.3).
type SCIMDone struct {
	Method   string `json:"method"`
	Location string `json:"location,omitzero"`
	Version  string `json:"version,omitzero"`
	Status   string `json:"status"`
}
