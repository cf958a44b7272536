package credential

import (
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

const (
	servicePrefix = "drb_service_"
	maxService    = 2 << 10 // bytes of an access token's text
)

// ServiceAccess is what the access token of an application that acts for itself says.
// It stands for no person, and says nothing about now: the bridge compares all of it.
type ServiceAccess struct {
	ID          string          `json:"i"` // jti
	Client      access.ClientID `json:"c"`
	OAuthScopes []string        `json:"s"`
	Key         string          `json:"k,omitempty"` // RFC 9449: the thumbprint of the key that must be shown with it; "" for a bearer token
	Host        int64           `json:"h"`           // the host's epoch
	Epoch       int64           `json:"e"`           // the client's epoch
	Issued      time.Time       `json:"t"`
	Expires     time.Time       `json:"x"`
}

// ServiceKey seals such tokens. Nothing can be read from one, and no other key of ours
// opens it. The zero key opens nothing.
type ServiceKey struct{ aead func() cipher.AEAD }

// ServiceKey derives the key that seals the access tokens of applications that act for
// themselves.
func (d DataKey) ServiceKey() (ServiceKey, error) {
	a, err := d.aead("drawbridge service access tokens v1")
	if err != nil {
		return ServiceKey{}, err
	}
	return ServiceKey{func() cipher.AEAD { return a }}, nil
}

// Format redacts for every verb.
func (k ServiceKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// Seal gives the token's text. A token that does not name all it is bound to is never
// made.
func (k ServiceKey) Seal(a ServiceAccess) (secret.String, error) {
	const op = "credential.ServiceKey.Seal"
	if k.aead == nil || !a.whole() {
		return secret.String{}, fault.Wrap(fault.Internal, op, errors.New("credential: there is no key, or the token is bound to nothing"))
	}
	plain, err := json.Marshal(a)
	if err != nil {
		return secret.String{}, fault.Wrap(fault.Internal, op, err)
	}
	text := servicePrefix + base64.RawURLEncoding.EncodeToString(k.aead().Seal(nil, nil, plain, []byte(servicePrefix)))
	if len(text) > maxService {
		return secret.String{}, fault.New(fault.Internal, op, "the token is longer than %d bytes", maxService)
	}
	return secret.New(text), nil
}

func (a ServiceAccess) whole() bool {
	return a.ID != "" && a.Client != "" && len(a.OAuthScopes) > 0 && a.Host >= 1 && a.Epoch >= 1 && a.Expires.After(a.Issued) && !a.Issued.IsZero()
}

// IsService reports whether a token looks like one of an application that acts for itself.
func IsService(token string) bool { return strings.HasPrefix(token, servicePrefix) }

// Open gives what a token of this key says, unless it is past its end. Every refusal is
// fault.Unauthenticated.
func (k ServiceKey) Open(token string, now time.Time) (ServiceAccess, error) {
	const op = "credential.ServiceKey.Open"
	body, ok := strings.CutPrefix(token, servicePrefix)
	if !ok || len(token) > maxService || k.aead == nil {
		return ServiceAccess{}, malformed(op)
	}
	sealed, ok := canonicalBase64(body)
	if !ok {
		return ServiceAccess{}, malformed(op)
	}
	plain, err := k.aead().Open(nil, nil, sealed, []byte(servicePrefix))
	if err != nil {
		return ServiceAccess{}, malformed(op)
	}
	var a ServiceAccess
	if err := json.Unmarshal(plain, &a); err != nil || !a.whole() {
		return ServiceAccess{}, malformed(op)
	}
	if !now.Before(a.Expires) {
		return ServiceAccess{}, unauthenticated(op, ReasonExpired, "the access token has expired")
	}
	return a, nil
}
