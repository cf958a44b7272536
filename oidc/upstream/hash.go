package upstream

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
)

// hash holds at_hash or c_hash, where there is one, against what it was made of
// (OpenID Connect Core 3.1.3.6, 3.3.2.11): the left half of its hash by the token's
// algorithm.
func (c claims) hash(name, of, algorithm string) error {
	if !c.Has(name) {
		return nil
	}
	got, err := c.Text(name)
	if err != nil {
		return notProven(err)
	}
	var left []byte
	if algorithm == "EdDSA" { // Ed25519 hashes with SHA-512
		sum := sha512.Sum512([]byte(of))
		left = sum[:len(sum)/2]
	} else {
		sum := sha256.Sum256([]byte(of))
		left = sum[:len(sum)/2]
	}
	if of == "" || got != base64.RawURLEncoding.EncodeToString(left) {
		return notProven(errors.New(name + " belongs to another answer"))
	}
	return nil
}
