package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"math/big"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// CookieKey makes each secret of a browser session's cookie from the one before it: who
// lost the answer that brought the new one can be given it again, and a dump of the
// storage, which keeps digests alone, makes none. The zero CookieKey makes nothing.
type CookieKey struct{ key hidden }

// CookieKey derives the key that renews session cookies.
func (d DataKey) CookieKey() (CookieKey, error) {
	k, err := d.derive("drawbridge session cookies v1")
	if err != nil {
		return CookieKey{}, err
	}
	return CookieKey{hide(k)}, nil
}

// Format redacts for every verb.
func (k CookieKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// Next is the session cookie that follows another, always the same. It panics without a
// key: a cookie that anybody could compute must not leave.
func (k CookieKey) Next(cookie string) secret.String {
	mac := hmac.New(sha256.New, k.key()[:])
	_, _ = mac.Write([]byte(cookie)) // a hash never fails
	digits := new(big.Int).SetBytes(mac.Sum(nil)).Text(len(base62))
	body := KindSession.prefix() + strings.Repeat("0", secretLen-len(digits)) + digits
	return secret.New(body + checksum(body))
}
