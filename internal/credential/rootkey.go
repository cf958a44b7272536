package credential

import (
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// RootKey is the one secret of a deployment that is not in its database: the key of a
// root key file. It wraps the data key, and is used for nothing else. The zero RootKey
// wraps and unwraps nothing.
type RootKey struct{ key hidden }

// What the text of a root key, and the names of keys, begin with.
const (
	rootPrefix     = "drb_root_"
	dataNamePrefix = "dk_"
	rootNamePrefix = "rk_"
)

// NewRootKey makes the text of a new root key, for its file.
func NewRootKey() secret.String {
	b := randomKey()
	return secret.New(rootPrefix + base64.RawURLEncoding.EncodeToString(b[:]) + "\n")
}

// ParseRootKey reads the text of a root key file. A key that is too short, or that
// repeats one byte (a disk that answers with zeros), is refused.
func ParseRootKey(text []byte) (RootKey, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(string(text)), rootPrefix)
	if !ok {
		return RootKey{}, fmt.Errorf("credential: the root key does not begin with %s", rootPrefix)
	}
	raw, ok := canonicalBase64(body)
	if !ok {
		return RootKey{}, errors.New("credential: the root key is not base64url without padding")
	}
	if len(raw) != 32 {
		return RootKey{}, fmt.Errorf("credential: the root key has %d bytes, not 32", len(raw))
	}
	if strings.Count(string(raw), string(raw[:1])) == len(raw) {
		return RootKey{}, errors.New("credential: the root key is one byte repeated")
	}
	return RootKey{hide([32]byte(raw))}, nil
}

// Format redacts for every verb.
func (r RootKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// ID names the key, and tells nothing about it.
func (r RootKey) ID() (string, error) {
	k, err := r.derive("drawbridge root key name v1")
	if err != nil {
		return "", err
	}
	return nameOf(rootNamePrefix, k), nil
}

// Wrap encrypts a data key. context says what is wrapped: with another one it does not open.
func (r RootKey) Wrap(d DataKey, context string) (string, error) {
	text, err := d.Text()
	if err != nil {
		return "", err
	}
	a, err := r.aead()
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(a.Seal(nil, nil, []byte(text.Reveal()), []byte(context))), nil
}

// Unwrap gives back what was wrapped in the same context under this key.
func (r RootKey) Unwrap(wrapped, context string) (DataKey, error) {
	a, err := r.aead()
	if err != nil {
		return DataKey{}, err
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(wrapped)
	if err != nil {
		return DataKey{}, errors.New("credential: the wrapped data key is not base64")
	}
	plain, err := a.Open(nil, nil, sealed, []byte(context))
	if err != nil {
		return DataKey{}, fmt.Errorf("credential: the data key does not open under this root key: %w", err)
	}
	return ParseDataKey(string(plain))
}

// Former is the data key of a database that has no envelope yet: there, what is in the
// root key file was itself what all was sealed under.
func (r RootKey) Former() DataKey { return DataKey(r) }

// aead wraps data keys.
func (r RootKey) aead() (cipher.AEAD, error) {
	k, err := r.derive("drawbridge data key wrapping v1")
	if err != nil {
		return nil, err
	}
	return gcm(k)
}

func (r RootKey) derive(use string) (k [32]byte, err error) {
	if r.key == nil {
		return k, errors.New("credential: there is no root key")
	}
	return derived(r.key, use)
}
