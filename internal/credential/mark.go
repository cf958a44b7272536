package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// MarkKey makes marks: digests by which whoever knows a name finds what was noted
// about it, and by which nobody finds the name. The zero MarkKey makes no marks.
type MarkKey struct{ key hidden }

// MarkKey derives the key that makes marks.
func (d DataKey) MarkKey() (MarkKey, error) {
	k, err := d.derive("drawbridge marks of names v1")
	if err != nil {
		return MarkKey{}, err
	}
	return MarkKey{hide(k)}, nil
}

// Format redacts for every verb.
func (k MarkKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// markLen is the length of a mark in bytes: enough that two names of one connection
// do not share one.
const markLen = 12

// Mark is the mark of a folded name in one connection; the same name has another in
// another. "" without a key or a name. It is made of letters, digits, "-" and "_".
func (k MarkKey) Mark(conn access.ConnectionID, name string) string {
	if k.key == nil || name == "" {
		return ""
	}
	mac := hmac.New(sha256.New, k.key()[:])
	_, _ = fmt.Fprintf(mac, "%d:%s%s", len(conn), conn, name) // a hash never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:markLen])
}
