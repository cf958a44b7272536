package credential

import (
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// SCIMAccessLife is how long a SCIM client's access token lives at most, up to the
// next whole second. It is compared with the directory at every request, so its length
// decides nothing but how often the token endpoint is asked; Entra wants an hour at
// least.
const SCIMAccessLife = time.Hour

const (
	scimClientPrefix = "drb_client_"
	secretPrefix     = "drb_secret_"
	scimAccessPrefix = "drb_scimat_"
	maxSCIMAccess    = 1 << 10 // bytes of an access token's text
	maxSCIMField     = 128     // bytes of a text inside
)

// NewSCIMClientID makes the public id of a SCIM client. Its prefix is refused in the
// ids of applications, so that an id names one kind of client only.
func NewSCIMClientID() string { return scimClientPrefix + random(crockford, idLen) }

// NamesSCIMClient reports whether a client_id is one of a SCIM client's.
func NamesSCIMClient(id string) bool { return strings.HasPrefix(id, scimClientPrefix) }

// NewClientSecret makes a SCIM client's secret, drb_secret_<public id>_<secret>.
func NewClientSecret() (text secret.String, publicID string) { return newNamed(secretPrefix) }

// ParseClientSecret checks the whole secret and gives its public id and digest.
// Anything malformed is fault.Unauthenticated.
func ParseClientSecret(s string) (publicID string, d Digest, err error) {
	return parseNamed("credential.ParseClientSecret", secretPrefix, s)
}

// SCIMAccess is what a SCIM client's access token says: which connection it opens,
// who asked for it and by what, and the two integers it was made under. It says
// nothing about now: the gate compares all of it.
type SCIMAccess struct {
	Connection access.ConnectionID
	Client     string
	Proof      string // what the client proved itself with, as store and configuration name it
	Host       int64  // the host's epoch
	Epoch      int64  // the connection's epoch
	Expires    time.Time
}

// SCIMAccessKey seals SCIM access tokens. Nothing can be read from one, and no other
// key of ours opens it. The zero key opens nothing.
type SCIMAccessKey struct{ aead func() cipher.AEAD }

// SCIMAccessKey derives the key that seals SCIM access tokens.
func (d DataKey) SCIMAccessKey() (SCIMAccessKey, error) {
	a, err := d.aead("drawbridge SCIM access tokens v1")
	if err != nil {
		return SCIMAccessKey{}, err
	}
	return SCIMAccessKey{func() cipher.AEAD { return a }}, nil
}

// Format redacts for every verb.
func (k SCIMAccessKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// Seal gives the token's text. A token that does not name all it is bound to is
// never made.
func (k SCIMAccessKey) Seal(a SCIMAccess) (secret.String, error) {
	const op = "credential.SCIMAccessKey.Seal"
	if k.aead == nil || !a.whole() {
		return secret.String{}, fault.Wrap(fault.Internal, op, errors.New("credential: there is no key, or the token is bound to nothing"))
	}
	plain := []byte{1} // the version of what follows
	for _, n := range []int64{a.Host, a.Epoch, a.Expires.Unix()} {
		plain = binary.BigEndian.AppendUint64(plain, uint64(n))
	}
	for _, s := range []string{string(a.Connection), a.Client, a.Proof} {
		plain = append(append(plain, byte(len(s))), s...)
	}
	return secret.New(scimAccessPrefix + base64.RawURLEncoding.EncodeToString(k.aead().Seal(nil, nil, plain, []byte(scimAccessPrefix)))), nil
}

func (a SCIMAccess) whole() bool {
	for _, s := range []string{string(a.Connection), a.Client, a.Proof} {
		if s == "" || len(s) > maxSCIMField {
			return false
		}
	}
	return a.Host >= 1 && a.Epoch >= 1 && a.Expires.Unix() > 0
}

// IsSCIMAccess reports whether a bearer token looks like a SCIM client's.
func IsSCIMAccess(token string) bool { return strings.HasPrefix(token, scimAccessPrefix) }

// Open gives what a token of this key says, unless it is past its end. Every refusal
// is fault.Unauthenticated.
func (k SCIMAccessKey) Open(token string, now time.Time) (SCIMAccess, error) {
	const op = "credential.SCIMAccessKey.Open"
	body, ok := strings.CutPrefix(token, scimAccessPrefix)
	if !ok || len(token) > maxSCIMAccess || k.aead == nil {
		return SCIMAccess{}, malformed(op)
	}
	sealed, ok := canonicalBase64(body)
	if !ok {
		return SCIMAccess{}, malformed(op)
	}
	plain, err := k.aead().Open(nil, nil, sealed, []byte(scimAccessPrefix))
	if err != nil {
		return SCIMAccess{}, malformed(op)
	}
	a, ok := readSCIMAccess(plain)
	if !ok {
		return SCIMAccess{}, malformed(op)
	}
	if !now.Before(a.Expires) {
		return SCIMAccess{}, unauthenticated(op, ReasonExpired, "the access token has expired")
	}
	return a, nil
}

func readSCIMAccess(plain []byte) (a SCIMAccess, ok bool) {
	const head = 1 + 3*8
	if len(plain) < head || plain[0] != 1 {
		return SCIMAccess{}, false
	}
	number := func(i int) int64 { return int64(binary.BigEndian.Uint64(plain[1+8*i:])) }
	a.Host, a.Epoch, a.Expires = number(0), number(1), time.Unix(number(2), 0).UTC()
	rest := plain[head:]
	var texts [3]string
	for i := range texts {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return SCIMAccess{}, false
		}
		texts[i], rest = string(rest[1:1+int(rest[0])]), rest[1+int(rest[0]):]
	}
	a.Connection, a.Client, a.Proof = access.ConnectionID(texts[0]), texts[1], texts[2]
	return a, len(rest) == 0 && a.whole()
}
