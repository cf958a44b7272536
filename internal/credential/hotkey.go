package credential

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// HotKey seals what is short-lived and leaves the process: the records of a hot store. Each place
// has a key of its own, so that random nonces last however many records there are: it takes 2^32 in
// one place to wear one out. The zero key seals and opens nothing.
type HotKey struct{ key hidden }

// HotKey derives the key that seals the records of a hot store.
func (d DataKey) HotKey() (HotKey, error) {
	k, err := d.derive("drawbridge hot records v1")
	if err != nil {
		return HotKey{}, err
	}
	return HotKey{hide(k)}, nil
}

// Format redacts for every verb.
func (k HotKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// Deployment names whose records are sealed by this key, in eight letters and digits that say nothing of it: two
// deployments on one server keep apart by it.
func (k HotKey) Deployment() (string, error) {
	if k.key == nil {
		return "", errNoHotKey
	}
	h := hmac.New(sha256.New, k.key()[:])
	h.Write([]byte("the name of the deployment"))
	return hex.EncodeToString(h.Sum(nil)[:4]), nil
}

var errNoHotKey = errors.New("credential: there is no key for a hot store")

// Seal encrypts a record for the place that it is kept in: moved elsewhere, it does not open. No two
// sealed records are the same, be they of one text.
func (k HotKey) Seal(record []byte, place string) ([]byte, error) {
	a, err := k.at(place)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nil, record, []byte(place)), nil
}

// Open gives back what was sealed for the same place under this key.
func (k HotKey) Open(sealed []byte, place string) ([]byte, error) {
	a, err := k.at(place)
	if err != nil {
		return nil, err
	}
	record, err := a.Open(nil, nil, sealed, []byte(place))
	if err != nil {
		return nil, fmt.Errorf("credential: the record at %s does not open under this data key: %w", place, err)
	}
	return record, nil
}

func (k HotKey) at(place string) (cipher.AEAD, error) {
	if k.key == nil {
		return nil, errNoHotKey
	}
	h := hmac.New(sha256.New, k.key()[:])
	h.Write([]byte(place))
	return gcm([sha256.Size]byte(h.Sum(nil)))
}
