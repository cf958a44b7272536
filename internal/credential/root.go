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
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// RootKey is the one secret of a deployment that is not in the database: private
// keys at rest are sealed under it, and the keys for refresh tokens, cursors, marks
// and nonces are derived from it. The zero RootKey opens nothing and seals nothing.
type RootKey struct{ key hidden }

const rootPrefix = "drb_root_"

// NewRootKey makes the text of a new root key, for its file.
func NewRootKey() secret.String {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic("credential: no randomness: " + err.Error()) // documented never to happen
	}
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

// RefreshKey derives the key that seals refresh tokens.
func (r RootKey) RefreshKey() (RefreshKey, error) {
	k, err := r.derive("drawbridge refresh tokens v1")
	if err != nil {
		return RefreshKey{}, err
	}
	return RefreshKey{hide(k)}, nil
}

// seal encrypts under AES-256-GCM. place says where the result will be stored
// (a row's key and column): moved elsewhere, it does not open.
func (r RootKey) seal(plain []byte, place string) ([]byte, error) {
	a, err := r.aead(atRest)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nil, plain, []byte(place)), nil
}

// atRest is the use of the key that seals what is ours and stored.
const atRest = "drawbridge secrets at rest v1"

func (r RootKey) open(sealed []byte, place string) ([]byte, error) {
	a, err := r.aead(atRest)
	if err != nil {
		return nil, err
	}
	plain, err := a.Open(nil, nil, sealed, []byte(place))
	if err != nil {
		return nil, fmt.Errorf("credential: %s does not open under this root key: %w", place, err)
	}
	return plain, nil
}

// aead seals for one use. Random nonces last for 2^32 texts.
func (r RootKey) aead(use string) (cipher.AEAD, error) {
	k, err := r.derive(use)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, fmt.Errorf("credential: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// derive gives each use its own key, so that none tells anything about another.
func (r RootKey) derive(use string) (k [32]byte, err error) {
	if r.key == nil {
		return k, errors.New("credential: there is no root key")
	}
	b, err := hkdf.Key(sha256.New, r.key()[:], nil, use, len(k))
	if err != nil {
		return k, fmt.Errorf("credential: %w", err)
	}
	return [32]byte(b), nil
}
