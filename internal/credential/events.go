package credential

import (
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// The types of tokens that tell others what happened. Nothing of ours accepts them.
const (
	typLogout = "logout+jwt"   // OpenID Connect Back-Channel Logout 1.0 section 2.4
	typEvent  = "secevent+jwt" // RFC 8417 section 2.3
)

// logoutLife is how long a logout token may be under way: it is signed when it is sent
// (Back-Channel Logout 1.0 section 2.4 advises two minutes).
const logoutLife = 2 * time.Minute

// backchannelLogout names the one event of a logout token.
const backchannelLogout = "http://schemas.openid.net/event/backchannel-logout"

// LogoutOrder asks for a logout token.
type LogoutOrder struct {
	Client  access.ClientID
	Subject string // the sub that the client knows the person by
	Session string // the sid that the client knows the session by
	JTI     string // stays the same when the token is signed again
	Alg     string // as the client's ID tokens; ES256 is also the zero value
	Reason  string // one of session's End reasons: the claim end_reason
	Now     time.Time
}

// LogoutToken signs a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4).
func (i *Issuer) LogoutToken(o LogoutOrder) (string, error) {
	const op = "credential.LogoutToken"
	if o.Client == "" || o.Subject == "" || o.Session == "" || o.JTI == "" || o.Now.IsZero() {
		return "", fault.New(fault.Internal, op, "a logout token names client, subject, session, jti and instant")
	}
	if o.Alg == "" {
		o.Alg = ES256
	}
	payload, err := json.Marshal(struct {
		Issuer   string                     `json:"iss"`
		Audience access.ClientID            `json:"aud"`
		IssuedAt int64                      `json:"iat"`
		Expires  int64                      `json:"exp"`
		JTI      string                     `json:"jti"`
		Events   map[string]json.RawMessage `json:"events"`
		Subject  string                     `json:"sub"`
		Session  string                     `json:"sid"`
		Reason   string                     `json:"end_reason,omitempty"`
	}{i.url, o.Client, o.Now.Unix(), o.Now.Add(logoutLife).Unix(), o.JTI, map[string]json.RawMessage{backchannelLogout: json.RawMessage("{}")}, o.Subject, o.Session, o.Reason})
	if err != nil {
		return "", fault.Wrap(fault.Internal, op, err)
	}
	return i.signFor(op, o.Alg, payload, func(k *signingKey) jose.Signer { return k.logout })
}

// EventOrder asks for a security event token.
type EventOrder struct {
	Audience  string
	JTI       string          // stays the same when the token is signed again
	Issued    time.Time       // when the event was recorded
	Happened  time.Time       // the toe claim (RFC 8417 section 2.2); zero: not said
	Txn       string          // what came of one request; "" if there was none
	SubjectID json.RawMessage // the sub_id claim (RFC 9493)
	Event     string          // the URI of its one event
	Says      json.RawMessage // what it says: one JSON object
}

// EventToken signs a security event token with RS256 (RFC 8417; Shared Signals 1.0
// wants no exp and no sub, and the CAEP interoperability profile RS256).
func (i *Issuer) EventToken(o EventOrder) (string, error) {
	const op = "credential.EventToken"
	if o.Audience == "" || o.JTI == "" || o.Event == "" || o.Issued.IsZero() || !object(o.Says) || len(o.SubjectID) > 0 && !object(o.SubjectID) {
		return "", fault.New(fault.Internal, op, "an event token names audience, jti, instant and one event, which is a JSON object")
	}
	var happened int64
	if !o.Happened.IsZero() {
		happened = o.Happened.Unix()
	}
	payload, err := json.Marshal(struct {
		Issuer    string                     `json:"iss"`
		Audience  string                     `json:"aud"`
		IssuedAt  int64                      `json:"iat"`
		JTI       string                     `json:"jti"`
		Happened  int64                      `json:"toe,omitzero"`
		Txn       string                     `json:"txn,omitempty"`
		SubjectID json.RawMessage            `json:"sub_id,omitempty"`
		Events    map[string]json.RawMessage `json:"events"`
	}{i.url, o.Audience, o.Issued.Unix(), o.JTI, happened, o.Txn, o.SubjectID, map[string]json.RawMessage{o.Event: o.Says}})
	if err != nil {
		return "", fault.Wrap(fault.Internal, op, err)
	}
	return i.signFor(op, RS256, payload, func(k *signingKey) jose.Signer { return k.event })
}

// assertionLife is how long an assertion of ours counts: it is made for one request.
const assertionLife = time.Minute

// ClientAssertion signs with RS256 by what the bridge proves itself as a client of another
// OAuth server (RFC 7523 section 3): its keys are those that are published for everybody.
// It works for an audience, the server's token endpoint or its issuer, and once. An ID
// token is of another issuer, and is never taken for one.
func (i *Issuer) ClientAssertion(clientID, audience string, now time.Time) (string, error) {
	const op = "credential.ClientAssertion"
	if clientID == "" || clientID == i.url || audience == "" || audience == i.url || now.IsZero() {
		return "", fault.New(fault.Internal, op, "an assertion names a client and an audience, neither of which is this issuer, and an instant")
	}
	payload, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
		JTI      string `json:"jti"`
	}{clientID, clientID, audience, now.Unix(), now.Add(assertionLife).Unix(), NewID("jti")})
	if err != nil {
		return "", fault.Wrap(fault.Internal, op, err)
	}
	return i.signFor(op, RS256, payload, func(k *signingKey) jose.Signer { return k.id })
}

func object(b json.RawMessage) bool { return len(b) > 0 && b[0] == '{' && json.Valid(b) }

func (i *Issuer) signFor(op, alg string, payload []byte, by func(*signingKey) jose.Signer) (string, error) {
	key, err := i.ring().signer(alg)
	if err != nil {
		return "", fault.Wrap(fault.Internal, op, err)
	}
	token, err := sign(by(key), payload)
	if err != nil {
		return "", fault.Wrap(fault.Internal, op, err)
	}
	return token, nil
}
