package credential

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// DataKey is the secret under which a deployment's private keys and others' secrets are
// sealed, and from which the keys of all other uses are derived: refresh tokens, cookies,
// cursors and so on. It is at rest only wrapped by a root (Envelope). The zero DataKey opens
// nothing and seals nothing.
type DataKey struct{ key hidden }

// NewDataKey makes a data key.
func NewDataKey() DataKey { return DataKey{hide(randomKey())} }

func randomKey() (k [32]byte) {
	if _, err := rand.Read(k[:]); err != nil {
		panic("credential: no randomness: " + err.Error()) // documented never to happen
	}
	return k
}

// ParseDataKey reads the text of Text.
func ParseDataKey(text string) (DataKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(raw) != text {
		return DataKey{}, errors.New("credential: a data key is base64, which this is not")
	}
	if len(raw) != 32 {
		return DataKey{}, fmt.Errorf("credential: a data key has 32 bytes, not %d", len(raw))
	}
	return DataKey{hide([32]byte(raw))}, nil
}

// Text is the key in base64, for what wraps it.
func (d DataKey) Text() (secret.String, error) {
	if d.key == nil {
		return secret.String{}, errors.New("credential: there is no data key")
	}
	return secret.New(base64.StdEncoding.EncodeToString(d.key()[:])), nil
}

// ID names the key, and tells nothing about it. Another key has another name, so that
// whatever unwraps a key is held to what was wrapped.
func (d DataKey) ID() (string, error) {
	k, err := d.derive("drawbridge data key name v1")
	if err != nil {
		return "", err
	}
	return nameOf(dataNamePrefix, k), nil
}

// nameOf is a public name that was derived from a key: half of it is enough to tell two apart.
func nameOf(prefix string, k [32]byte) string {
	return prefix + base64.RawURLEncoding.EncodeToString(k[:16])
}

// Format redacts for every verb.
func (d DataKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// RefreshKey derives the key that seals refresh tokens.
func (d DataKey) RefreshKey() (RefreshKey, error) {
	k, err := d.derive("drawbridge refresh tokens v1")
	if err != nil {
		return RefreshKey{}, err
	}
	return RefreshKey{hide(k)}, nil
}

// seal encrypts under AES-256-GCM. place says where the result will be stored
// (a row's key and column): moved elsewhere, it does not open.
func (d DataKey) seal(plain []byte, place string) ([]byte, error) {
	a, err := d.aead(atRest)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nil, plain, []byte(place)), nil
}

// atRest is the use of the key that seals what is ours and stored.
const atRest = "drawbridge secrets at rest v1"

func (d DataKey) open(sealed []byte, place string) ([]byte, error) {
	a, err := d.aead(atRest)
	if err != nil {
		return nil, err
	}
	plain, err := a.Open(nil, nil, sealed, []byte(place))
	if err != nil {
		return nil, fmt.Errorf("credential: %s does not open under this data key: %w", place, err)
	}
	return plain, nil
}

// aead seals for one use. Random nonces last for 2^32 texts.
func (d DataKey) aead(use string) (cipher.AEAD, error) {
	k, err := d.derive(use)
	if err != nil {
		return nil, err
	}
	return gcm(k)
}

// gcm is AES-256-GCM, each text with a nonce of its own.
func gcm(k [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// derive gives each use its own key, so that none tells anything about another.
func (d DataKey) derive(use string) (k [32]byte, err error) {
	if d.key == nil {
		return k, errors.New("credential: there is no data key")
	}
	return derived(d.key, use)
}

func derived(from hidden, use string) (k [32]byte, err error) {
	b, err := hkdf.Key(sha256.New, from()[:], nil, use, len(k))
	if err != nil {
		return k, fmt.Errorf("credential: %w", err)
	}
	return [32]byte(b), nil
}
