package credential

import (
	"crypto/rand"
	"hash/crc32"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// Kind is what an opaque credential is for: lower-case letters. It is part of the
// text ("drb_code_…"), so that a leaked credential is recognised by eye and by
// secret scanners, and one kind is never taken for another.
type Kind string

// The opaque kinds of the bridge.
const (
	KindCode    Kind = "code"    // an authorization code
	KindSession Kind = "session" // a browser session's cookie
	KindRequest Kind = "request" // the per-request cookie of a sign-in
	KindAdmin   Kind = "admin"   // an administrator's API token
)

const (
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	crockford   = "0123456789abcdefghjkmnpqrstvwxyz" // no i, l, o, u: never spells "bulkid"
	secretLen   = 43                                 // 62^43 > 2^256
	checksumLen = 6                                  // 62^6 > 2^32
	publicLen   = 16                                 // 95 bits
	idLen       = 26                                 // 5 bits each: 130 bits
	timeLen     = 9                                  // 45 bits of milliseconds: beyond the year 3000
)

func (k Kind) prefix() string { return "drb_" + string(k) + "_" }

// NewOpaque makes a credential of 256 random bits: drb_<kind>_, 43 base62 digits
// and a checksum of six.
func NewOpaque(k Kind) secret.String {
	body := k.prefix() + random(base62, secretLen)
	return secret.New(body + checksum(body))
}

// ParseOpaque checks prefix, length, alphabet and checksum over the whole string
// and gives the digest to look it up by. Anything else is fault.Unauthenticated.
func ParseOpaque(k Kind, s string) (Digest, error) {
	const op = "credential.ParseOpaque"
	body, ok := strings.CutPrefix(s, k.prefix())
	if !ok || len(body) != secretLen+checksumLen || !only(base62, body) || !checked(s) {
		return Digest{}, malformed(op)
	}
	return DigestOf(s), nil
}

// NewSCIMToken makes a SCIM bearer token, drb_scim_<public id>_<secret><checksum>.
// The public id finds the row; the digest of the whole token is what is stored.
func NewSCIMToken() (token secret.String, publicID string) { return newNamed(scimPrefix) }

// newNamed makes a secret that carries the public id of its row.
func newNamed(prefix string) (text secret.String, publicID string) {
	publicID = random(base62, publicLen)
	body := prefix + publicID + "_" + random(base62, secretLen)
	return secret.New(body + checksum(body)), publicID
}

const scimPrefix = "drb_scim_"

// ParseSCIMToken checks the whole token and gives its public id and digest.
// Anything malformed is fault.Unauthenticated.
func ParseSCIMToken(s string) (publicID string, d Digest, err error) {
	return parseNamed("credential.ParseSCIMToken", scimPrefix, s)
}

func parseNamed(op, prefix, s string) (publicID string, d Digest, err error) {
	body, ok := strings.CutPrefix(s, prefix)
	if !ok || len(body) != publicLen+1+secretLen+checksumLen || body[publicLen] != '_' {
		return "", Digest{}, malformed(op)
	}
	if !only(base62, body[:publicLen]) || !only(base62, body[publicLen+1:]) || !checked(s) {
		return "", Digest{}, malformed(op)
	}
	return body[:publicLen], DigestOf(s), nil
}

// NewID makes an opaque lower-case id, prefix_ and 130 random bits: NewID("per")
// gives "per_…". An id is public; it opens nothing.
func NewID(prefix string) string { return prefix + "_" + random(crockford, idLen) }

// NewIDAt is NewID for rows that many are made of: nine digits of the millisecond,
// then 85 random bits. Ids made one after the other lie side by side in an index,
// so that a thousand new rows touch few of its pages. When a row was made is no
// secret: SCIM shows it (meta.created).
func NewIDAt(prefix string, at time.Time) string {
	ms := uint64(at.UnixMilli())
	var front [timeLen]byte
	for i := timeLen - 1; i >= 0; i-- {
		front[i] = crockford[ms%32]
		ms /= 32
	}
	return prefix + "_" + string(front[:]) + random(crockford, idLen-timeLen)
}

func malformed(op string) error {
	return fault.New(fault.Unauthenticated, op, "the credential is not one of ours").Because(ReasonMalformed)
}

// random draws n characters of the alphabet, uniformly: bytes above the largest
// multiple of its length are thrown away. crypto/rand never fails (Go 1.24).
func random(alphabet string, n int) string {
	limit := 256 - 256%len(alphabet)
	out := make([]byte, 0, n)
	for buf := make([]byte, 64); len(out) < n; {
		if _, err := rand.Read(buf); err != nil {
			panic("credential: no randomness: " + err.Error()) // documented never to happen
		}
		for _, b := range buf {
			if int(b) < limit && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

func only(alphabet, s string) bool {
	for i := range len(s) {
		if strings.IndexByte(alphabet, s[i]) < 0 {
			return false
		}
	}
	return true
}

// checksum is a CRC-32 (IEEE) in six base62 digits. It catches every typing
// mistake within four neighbouring bytes, and most others, before a lookup.
func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	var out [checksumLen]byte
	for i := checksumLen - 1; i >= 0; i-- {
		out[i] = base62[sum%62]
		sum /= 62
	}
	return string(out[:])
}

func checked(s string) bool {
	at := len(s) - checksumLen
	return at > 0 && checksum(s[:at]) == s[at:]
}
