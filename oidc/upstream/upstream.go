// Package upstream is the relying-party side: it sends people to their own
// identity provider and verifies what comes back, over coreos/go-oidc and
// x/oauth2. Identity is (connection, issuer, stable subject), never an address.
package upstream

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// Provider is how one connection's identity provider is reached.
type Provider struct {
	Connection   access.ConnectionID
	Issuer       string
	ClientID     string
	ClientSecret secret.String
	SubjectClaim string   // the claim that equals the SCIM externalId: "oid" for Entra, "sub" for Okta
	TenantID     string   // Entra: the tid that must be present and equal; "" elsewhere
	OAuthScopes  []string // beside openid
}

// Identity is a verified sign-in.
type Identity struct {
	Connection access.ConnectionID
	Issuer     string
	Subject    string // the value of SubjectClaim
	Session    string // the upstream's sid, "" if none
	AuthTime   time.Time
	AMR        []string
	ACR        string
}
