package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// RefreshKey seals refresh tokens. A token names its family and number and proves
// them by an HMAC over both and the family's salt. Storage keeps only the number
// and the salt: a dump of it mints nothing, and the successor of a token can be
// computed again for a client that lost the answer. The zero RefreshKey verifies
// nothing.
type RefreshKey struct{ key hidden }

// Refresh is a refresh token taken apart. It proves nothing before Verify.
type Refresh struct {
	Family string
	N      int64
	mac    hidden
}

const (
	refreshPrefix = "drb_refresh_"
	maxFamily     = 64 // bytes
)

// Format prints family and number, never the proof.
func (r Refresh) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "refresh %q #%d", r.Family, r.N) }

// Format redacts for every verb.
func (k RefreshKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// Seal gives the text of token n of a family. Equal arguments give equal tokens. It
// panics without a key: a token that anybody could compute must not leave.
func (k RefreshKey) Seal(family string, n int64, salt string) secret.String {
	mac := k.mac(family, n, salt)
	raw := make([]byte, 0, len(family)+8+len(mac))
	raw = append(raw, family...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(n))
	raw = append(raw, mac[:]...)
	return secret.New(refreshPrefix + base64.RawURLEncoding.EncodeToString(raw))
}

// ParseRefresh takes a refresh token apart: fault.Unauthenticated unless the whole
// string is one canonical spelling of a family, a positive number and a proof.
func ParseRefresh(s string) (Refresh, error) {
	const op = "credential.ParseRefresh"
	body, ok := strings.CutPrefix(s, refreshPrefix)
	if !ok || len(body) > base64.RawURLEncoding.EncodedLen(maxFamily+8+sha256.Size) {
		return Refresh{}, malformed(op)
	}
	raw, ok := canonicalBase64(body)
	at := len(raw) - sha256.Size - 8
	if !ok || at < 1 {
		return Refresh{}, malformed(op)
	}
	n := binary.BigEndian.Uint64(raw[at:])
	if n == 0 || n > 1<<62 {
		return Refresh{}, malformed(op)
	}
	return Refresh{Family: string(raw[:at]), N: int64(n), mac: hide([sha256.Size]byte(raw[at+8:]))}, nil
}

// Verify reports, in constant time, whether the token was sealed by this key for a
// family with this salt. Only then do its family and number mean anything.
func (k RefreshKey) Verify(r Refresh, salt string) bool {
	if k.key == nil || r.mac == nil || salt == "" {
		return false
	}
	want := k.mac(r.Family, r.N, salt)
	return hmac.Equal(want[:], r.mac()[:])
}

// mac binds lengths too, so that no two (family, n, salt) give the same bytes.
func (k RefreshKey) mac(family string, n int64, salt string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, k.key()[:])
	b := make([]byte, 0, 16+len(family)+len(salt))
	b = binary.BigEndian.AppendUint32(b, uint32(len(family)))
	b = append(b, family...)
	b = binary.BigEndian.AppendUint64(b, uint64(n))
	b = append(b, salt...)
	h.Write(b)
	h.Sum(sum[:0])
	return sum
}

// hidden holds 32 secret bytes, nil for none. It is a function because fmt asks no
// Formatter of an unexported field, and follows pointers when the verb does not fit:
// whoever prints a struct that holds one prints an address.
type hidden func() *[32]byte

func hide(b [32]byte) hidden { return func() *[32]byte { return &b } }

// canonicalBase64 decodes unpadded base64url and refuses every spelling but the
// one we write: the standard decoder forgives line breaks and stray low bits.
func canonicalBase64(s string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || base64.RawURLEncoding.EncodeToString(raw) != s {
		return nil, false
	}
	return raw, true
}

func unauthenticated(op, reason, detail string) error {
	return fault.New(fault.Unauthenticated, op, "%s", detail).Because(reason)
}
