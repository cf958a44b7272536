package assertion

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Key is a public key that may sign assertions.
type Key struct {
	Thumbprint string // RFC 7638, SHA-256
	ID         string // kid; "" if it has none
	Algorithm  string // alg; "" for any that suits the key
	public     crypto.PublicKey
}

// The limits of a key set.
const (
	maxListed    = 8   // keys that a file may list: each is compared at requests
	maxPublished = 256 // keys that are read of a published set
	minRSA       = 2048
	maxRSA       = 8192 // verifying costs more with every bit
)

// jwk is what of a JSON Web Key (RFC 7517) is read. Certificates in it prove nothing
// here and are not looked at.
type jwk struct {
	Type      string          `json:"kty"`
	ID        string          `json:"kid,omitempty"`
	Use       string          `json:"use,omitempty"`
	Algorithm string          `json:"alg,omitempty"`
	Curve     string          `json:"crv,omitempty"`
	N         string          `json:"n,omitempty"`
	E         string          `json:"e,omitempty"`
	X         string          `json:"x,omitempty"`
	Y         string          `json:"y,omitempty"`
	Private   *jsontext.Value `json:"d,omitempty"`
	Secret    *jsontext.Value `json:"k,omitempty"`
}

// ParseKeys reads a key set that somebody wrote into a file: one to eight public
// keys, each of them usable. A private key in it is an error that does not repeat it.
func ParseKeys(set []byte) ([]Key, error) {
	raw, err := split(set, maxListed)
	if err != nil {
		return nil, err
	}
	var all []Key
	for i, text := range raw {
		k, err := parseKey(text)
		if err != nil {
			return nil, fmt.Errorf("key %d of the set: %w", i+1, err)
		}
		for _, other := range all {
			if other.Thumbprint == k.Thumbprint {
				return nil, fmt.Errorf("key %d of the set stands there twice", i+1)
			}
		}
		all = append(all, k)
	}
	if len(all) == 0 {
		return nil, errors.New("the key set is empty")
	}
	return all, nil
}

// published reads a key set from its issuer: what is of no use here is left out.
func published(set []byte) ([]Key, error) {
	raw, err := split(set, maxPublished)
	if err != nil {
		return nil, err
	}
	var all []Key
	for _, text := range raw {
		if k, err := parseKey(text); err == nil {
			all = append(all, k)
		}
	}
	return all, nil
}

func split(set []byte, most int) ([]jsontext.Value, error) {
	var doc struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := jsonv2.Unmarshal(set, &doc); err != nil || doc.Keys == nil {
		return nil, errors.New(`this is not a JSON Web Key Set ({"keys": [...]})`) // not err, which may quote a key
	}
	if len(doc.Keys) > most {
		return nil, fmt.Errorf("the key set has more than %d keys", most)
	}
	return doc.Keys, nil
}

func parseKey(text jsontext.Value) (Key, error) {
	var w jwk
	if err := jsonv2.Unmarshal(text, &w); err != nil {
		return Key{}, errors.New("it is not a JSON Web Key")
	}
	switch {
	case w.Private != nil || w.Secret != nil || w.Type == "oct":
		return Key{}, errors.New("it is a secret; only public keys belong here")
	case w.Use != "" && w.Use != "sig":
		return Key{}, errors.New("it is not for signatures (use)")
	}
	plain, err := json.Marshal(w)
	if err != nil {
		return Key{}, errors.New("it is not a JSON Web Key")
	}
	var parsed jose.JSONWebKey
	if err := parsed.UnmarshalJSON(plain); err != nil || !parsed.Valid() {
		return Key{}, errors.New("it is not an RSA, EC or Ed25519 key")
	}
	sum, err := parsed.Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, errors.New("it has no thumbprint")
	}
	k := Key{Thumbprint: base64.RawURLEncoding.EncodeToString(sum), ID: w.ID, Algorithm: w.Algorithm, public: parsed.Key}
	for _, a := range algorithms() {
		if k.signs("", string(a)) {
			return k, nil
		}
	}
	return Key{}, errors.New("no algorithm that counts suits it (RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519)")
}

// algorithms are those that an assertion may be signed with: never none, and never
// one whose key a verifier could forge with.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}
}

// Algorithms lists them by name, for discovery.
func Algorithms() []string {
	var all []string
	for _, a := range algorithms() {
		all = append(all, string(a))
	}
	return all
}

// signs reports whether the key may have made a signature of that algorithm under
// that key id.
func (k Key) signs(kid, algorithm string) bool {
	if kid != "" && k.ID != kid || k.Algorithm != "" && k.Algorithm != algorithm {
		return false
	}
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		bits := p.N.BitLen()
		return (strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")) && bits >= minRSA && bits <= maxRSA
	case *ecdsa.PublicKey:
		return algorithm == map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[p.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}
