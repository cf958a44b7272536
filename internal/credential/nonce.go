package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// NonceKey makes the nonces that DPoP proofs carry (RFC 9449 section 8). A nonce is
// the MAC of a slice of time, so that every node knows every node's, and none is kept.
// The zero NonceKey makes none and finds none good.
type NonceKey struct{ key hidden }

// nonceSlice is how long one nonce is given out. It is good until the end of the
// next slice: between two and four minutes.
const nonceSlice = 2 * time.Minute

// NonceKey derives the key that makes nonces.
func (d DataKey) NonceKey() (NonceKey, error) {
	k, err := d.derive("drawbridge DPoP nonces v1")
	if err != nil {
		return NonceKey{}, err
	}
	return NonceKey{hide(k)}, nil
}

// Format redacts for every verb.
func (k NonceKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// Nonce is the nonce of that instant; "" without a key.
func (k NonceKey) Nonce(now time.Time) string { return k.ofSlice(slice(now)) }

// Good reports, in constant time, whether a nonce was given out in this slice of time
// or the one before.
func (k NonceKey) Good(nonce string, now time.Time) bool {
	if k.key == nil || nonce == "" {
		return false
	}
	this := hmac.Equal([]byte(nonce), []byte(k.ofSlice(slice(now))))
	last := hmac.Equal([]byte(nonce), []byte(k.ofSlice(slice(now)-1)))
	return this || last
}

func slice(now time.Time) int64 { return now.Unix() / int64(nonceSlice/time.Second) }

func (k NonceKey) ofSlice(n int64) string {
	if k.key == nil {
		return ""
	}
	mac := hmac.New(sha256.New, k.key()[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}
