package credential

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// PairwiseKey gives ids of ours another name in each sector (OpenID Connect Core
// section 8.1): the same id has the same name in a sector for ever, names of two
// sectors have nothing in common that can be seen without the key, and with it a name
// leads back to its id. A name is a synthetic initialization vector, which is a MAC of
// sector and id, and the id encrypted under it. The zero PairwiseKey names nothing.
type PairwiseKey struct{ mac, cipher hidden }

const (
	pairwisePrefix = "pw_"
	pairwiseTag    = aes.BlockSize
	maxPairwiseID  = 64 // bytes of an id
)

// PairwiseKey derives the keys that name ids in sectors.
func (d DataKey) PairwiseKey() (PairwiseKey, error) {
	mac, err := d.derive("drawbridge pairwise names v1, mac")
	if err != nil {
		return PairwiseKey{}, err
	}
	key, err := d.derive("drawbridge pairwise names v1, cipher")
	if err != nil {
		return PairwiseKey{}, err
	}
	return PairwiseKey{hide(mac), hide(key)}, nil
}

// Format redacts for every verb.
func (k PairwiseKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }

// IsZero reports whether there is no key.
func (k PairwiseKey) IsZero() bool { return k.mac == nil || k.cipher == nil }

// Name is what id is called in a sector, "" for no id. It panics without a key: an id
// must not leave under its own name.
func (k PairwiseKey) Name(sector, id string) string {
	if id == "" {
		return ""
	}
	tag := k.tag(sector, id)
	raw := append(make([]byte, 0, pairwiseTag+len(id)), tag[:]...)
	return pairwisePrefix + base64.RawURLEncoding.EncodeToString(append(raw, k.crypt(tag, []byte(id))...))
}

// Open gives the id that has this name in the sector; false if none has.
func (k PairwiseKey) Open(sector, name string) (id string, ok bool) {
	body, ok := strings.CutPrefix(name, pairwisePrefix)
	if !ok || k.IsZero() || len(body) > base64.RawURLEncoding.EncodedLen(pairwiseTag+maxPairwiseID) {
		return "", false
	}
	raw, ok := canonicalBase64(body)
	if !ok || len(raw) <= pairwiseTag {
		return "", false
	}
	tag := [pairwiseTag]byte(raw)
	id = string(k.crypt(tag, raw[pairwiseTag:]))
	want := k.tag(sector, id)
	if !hmac.Equal(tag[:], want[:]) {
		return "", false
	}
	return id, true
}

// tag binds the sector's length too, so that no two (sector, id) give the same bytes.
func (k PairwiseKey) tag(sector, id string) [pairwiseTag]byte {
	h := hmac.New(sha256.New, k.mac()[:])
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(sector)+len(id)), uint32(len(sector)))
	h.Write(append(append(b, sector...), id...))
	return [pairwiseTag]byte(h.Sum(nil))
}

// crypt is its own inverse.
func (k PairwiseKey) crypt(tag [pairwiseTag]byte, text []byte) []byte {
	block, err := aes.NewCipher(k.cipher()[:])
	if err != nil {
		panic("credential: " + err.Error()) // an AES without 256-bit keys
	}
	out := make([]byte, len(text))
	cipher.NewCTR(block, tag[:]).XORKeyStream(out, text)
	return out
}
