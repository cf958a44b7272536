package credential

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// CursorKey seals where a client stands in a list, so that nothing of it can be
// read, changed or used elsewhere. A cursor opens nothing: whoever sends it is
// authenticated as for any other request. The zero CursorKey opens nothing.
type CursorKey struct{ key hidden }

// CursorKey derives the key that seals cursors.
func (d DataKey) CursorKey() (CursorKey, error) {
	k, err := d.derive("drawbridge list cursors v1")
	if err != nil {
		return CursorKey{}, err
	}
	return CursorKey{hide(k)}, nil
}

// Format redacts for every verb.
func (k CursorKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// Seal encrypts a place in the list that bound describes. The text is made of
// letters, digits, "-" and "_" (RFC 9865 section 2 asks for RFC 3986's unreserved
// characters). It panics without a key, as RefreshKey.Seal does.
func (k CursorKey) Seal(place []byte, bound string) string {
	a, err := k.aead(bound)
	if err != nil {
		panic(err.Error()) // no key, or an AES without 256-bit keys
	}
	return base64.RawURLEncoding.EncodeToString(a.Seal(nil, nil, place, nil))
}

// Open gives back the place that was sealed for the same list under this key.
// Everything else is one and the same fault.Unauthenticated.
func (k CursorKey) Open(cursor, bound string) ([]byte, error) {
	const op = "credential.CursorKey.Open"
	raw, ok := canonicalBase64(cursor)
	if !ok || k.key == nil {
		return nil, malformed(op)
	}
	a, err := k.aead(bound)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, op, err)
	}
	place, err := a.Open(nil, nil, raw, nil)
	if err != nil {
		return nil, malformed(op)
	}
	return place, nil
}

// aead gives every list a key of its own: a cursor of one does not open as
// another's, and random nonces never run out.
func (k CursorKey) aead(bound string) (cipher.AEAD, error) {
	if k.key == nil {
		return nil, errors.New("credential: there is no cursor key")
	}
	own, err := hkdf.Key(sha256.New, k.key()[:], nil, bound, 32)
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	block, err := aes.NewCipher(own)
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
