package oidc

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// ReasonConsent is why Codes.Issue makes no code for an application that people must
// agree to. It is an error code too (OpenID Connect Core section 3.1.2.6).
const ReasonConsent = "consent_required"

// Consent is what a person has agreed that an application may know and do.
type Consent struct {
	Client      access.ClientID
	Name        string // the application's; its id if it is registered no more
	OAuthScopes []string
	At          time.Time
}

// ConsentTo is what a request needs a person's agreement to: its OAuth scopes, and those
// of the claims that it asks for by name. In order, each once.
func ConsentTo(req hot.AuthRequest) ([]string, error) {
	q, err := StoredClaims(req.Claims)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(req.OAuthScopes)
	for _, claim := range slices.Concat(q.AboutInIDToken(), q.AboutInUserinfo()) {
		all = append(all, scopeOf(claim))
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
