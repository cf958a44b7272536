package credential

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// AccessClaims is what a verified access token says. It says nothing about now:
// hand its Bound to Accept.
type AccessClaims struct {
	Bound
	JTI         string
	Audience    string
	OAuthScopes []string
	Grant       json.RawMessage // the active_grant claim
	DPoPKey     string          // cnf.jkt (RFC 9449 section 6.1): the thumbprint of the key that must be proved with it; "" for a bearer token
	IssuedAt    time.Time
	AuthTime    time.Time
	ACR         string   // how the identity provider signed the person in; "" if it did not say
	Userinfo    []string // claims that userinfo was asked for by name
}

// IDClaims is what one of our ID tokens says, used as a hint.
type IDClaims struct {
	Person   access.PersonID
	Client   access.ClientID
	Session  session.ID
	Nonce    string
	IssuedAt time.Time
	AuthTime time.Time
	Expires  time.Time // may be past
}

// accessWire is the payload of an access token (RFC 9068 section 2.2, with sid, the
// connection, the five integers and the active grant).
type accessWire struct {
	Issuer     string              `json:"iss"`
	Audience   string              `json:"aud"`
	ClientID   access.ClientID     `json:"client_id"`
	Subject    access.PersonID     `json:"sub"`
	Session    session.ID          `json:"sid"`
	JTI        string              `json:"jti"`
	IssuedAt   int64               `json:"iat"`
	Expires    int64               `json:"exp"`
	AuthTime   int64               `json:"auth_time,omitempty"`
	Scope      string              `json:"scope,omitempty"`
	Connection access.ConnectionID `json:"connection"`
	Epochs     []int64             `json:"epochs"` // host, connection, client, person, session
	AMR        []string            `json:"amr,omitempty"`
	ACR        string              `json:"acr,omitempty"`
	Grant      json.RawMessage     `json:"active_grant,omitempty"`
	Family     string              `json:"family,omitempty"`
	Confirm    *confirmation       `json:"cnf,omitempty"`
	Userinfo   string              `json:"userinfo,omitempty"` // names of claims, as scope lists scopes
}

// confirmation is the cnf claim (RFC 7800) of a token that is bound to a DPoP key.
type confirmation struct {
	Thumbprint string `json:"jkt"`
}

func confirm(thumbprint string) *confirmation {
	if thumbprint == "" {
		return nil
	}
	return &confirmation{thumbprint}
}

func (w accessWire) epochs() Epochs {
	return Epochs{Host: w.Epochs[0], Connection: w.Epochs[1], Client: w.Epochs[2], Person: w.Epochs[3], Session: w.Epochs[4]}
}

func (e Epochs) wire() []int64 { return []int64{e.Host, e.Connection, e.Client, e.Person, e.Session} }

// complete reports whether every claim that we always write is there.
func (w accessWire) complete(issuer string) bool {
	return w.Issuer == issuer && w.Audience != "" && w.ClientID != "" && w.Subject != "" && w.Session != "" &&
		w.JTI != "" && w.IssuedAt > 0 && w.Expires > w.IssuedAt && w.Connection != "" && len(w.Epochs) == 5 &&
		(w.Confirm == nil || w.Confirm.Thumbprint != "")
}

func (w accessWire) claims() AccessClaims {
	var key string
	if w.Confirm != nil {
		key = w.Confirm.Thumbprint
	}
	return AccessClaims{
		Bound: Bound{
			Subject: Subject{Connection: w.Connection, Client: w.ClientID, Person: w.Subject, Session: w.Session, Family: w.Family},
			Epochs:  w.epochs(), Expires: instant(w.Expires)},
		JTI: w.JTI, Audience: w.Audience, OAuthScopes: strings.Fields(w.Scope), Grant: w.Grant, DPoPKey: key,
		IssuedAt: instant(w.IssuedAt), AuthTime: instant(w.AuthTime), ACR: w.ACR, Userinfo: list(w.Userinfo),
	}
}

// list is strings.Fields that gives nil for nothing.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Fields(s)
}

// own gives claims that share no memory with the cached ones.
func (c AccessClaims) own() AccessClaims {
	c.OAuthScopes, c.Grant, c.Userinfo = slices.Clone(c.OAuthScopes), slices.Clone(c.Grant), slices.Clone(c.Userinfo)
	return c
}

// idWire is the payload of an ID token (OpenID Connect Core section 2). What it
// names here is reserved: profile claims of the same name are left out.
type idWire struct {
	Issuer   string          `json:"iss"`
	Subject  access.PersonID `json:"sub"`
	Audience access.ClientID `json:"aud"`
	Expires  int64           `json:"exp"`
	IssuedAt int64           `json:"iat"`
	AuthTime int64           `json:"auth_time,omitempty"`
	Nonce    string          `json:"nonce,omitempty"`
	Session  session.ID      `json:"sid"`
	AtHash   string          `json:"at_hash,omitempty"`
	AMR      []string        `json:"amr,omitempty"`
	ACR      string          `json:"acr,omitempty"`
	Until    int64           `json:"session_expiry,omitempty"` // when the session ends at the latest (OpenID IPSIE SL1)
	Grant    json.RawMessage `json:"active_grant,omitempty"`
}

// reserved are the claims that only mint writes, in either token.
func reserved(claim string) bool {
	switch claim {
	case "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "sid", "session_expiry", "at_hash", "c_hash", "amr", "acr",
		"azp", "active_grant", "client_id", "scope", "epochs", "connection", "family", "events", "cnf", "act", "may_act":
		return true
	}
	return false
}

// payload is the ID token's JSON: our claims first, then the profile claims in the
// order of their names.
func (w idWire) payload(profile map[string]any) ([]byte, error) {
	ours, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	extra := make(map[string]any, len(profile))
	for name, value := range profile {
		if !reserved(name) {
			extra[name] = value
		}
	}
	if len(extra) == 0 {
		return ours, nil
	}
	theirs, err := json.Marshal(extra)
	if err != nil {
		return nil, err
	}
	return append(append(ours[:len(ours)-1], ','), theirs[1:]...), nil
}

func instant(unix int64) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
