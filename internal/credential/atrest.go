package credential

import (
	"crypto/cipher"
	"errors"
	"fmt"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// AtRestKey seals secrets that others gave us to be sent back to them, so that the
// database alone tells nobody. The zero key seals and opens nothing.
type AtRestKey struct{ aead func() cipher.AEAD }

// AtRestKey derives the key that seals others' secrets.
func (d DataKey) AtRestKey() (AtRestKey, error) {
	a, err := d.aead("drawbridge secrets of others at rest v1")
	if err != nil {
		return AtRestKey{}, err
	}
	return AtRestKey{func() cipher.AEAD { return a }}, nil
}

// Format redacts for every verb.
func (k AtRestKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// Seal encrypts a secret. place says where the result will be stored: moved elsewhere,
// it does not open. An empty secret is sealed as nil.
func (k AtRestKey) Seal(s secret.String, place string) ([]byte, error) {
	if s.Empty() {
		return nil, nil
	}
	if k.aead == nil {
		return nil, fault.Wrap(fault.Internal, "credential.AtRestKey.Seal", errors.New("there is no key"))
	}
	return k.aead().Seal(nil, nil, []byte(s.Reveal()), []byte(place)), nil
}

// Open gives back what was sealed for the same place under this key.
func (k AtRestKey) Open(sealed []byte, place string) (secret.String, error) {
	if len(sealed) == 0 {
		return secret.String{}, nil
	}
	const op = "credential.AtRestKey.Open"
	if k.aead == nil {
		return secret.String{}, fault.Wrap(fault.Internal, op, errors.New("there is no key"))
	}
	plain, err := k.aead().Open(nil, nil, sealed, []byte(place))
	if err != nil {
		return secret.String{}, fault.Wrap(fault.Internal, op, fmt.Errorf("%s does not open under this data key: %w", place, err))
	}
	return secret.New(string(plain)), nil
}
