package credential

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
)

// DigestOf hashes a whole credential. One round of SHA-256 is enough because every
// credential of ours carries at least 128 random bits.
func DigestOf(token string) Digest { return sha256.Sum256([]byte(token)) }

// Equal compares in constant time. The zero Digest equals nothing, itself included:
// a secret that was never set cannot be matched.
func (d Digest) Equal(o Digest) bool {
	return subtle.ConstantTimeCompare(d[:], o[:]) == 1 && !d.IsZero()
}

// IsZero reports whether nothing was digested.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText writes 64 lower-case hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("credential: a digest has %d hexadecimal digits, not %d", hex.EncodedLen(len(d)), len(b))
	}
	if _, err := hex.Decode(d[:], b); err != nil {
		return fmt.Errorf("credential: digest: %w", err)
	}
	return nil
}
