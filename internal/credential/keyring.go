package credential

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/rsakey"
)

// The signature algorithms of our tokens. A verifier takes the algorithm from the
// key that the token names, never from the token.
const (
	ES256 = "ES256" // the default
	RS256 = "RS256" // for clients that ask for it (OpenID Connect Core 15.1 wants it offered)
)

// rsaBits: 3072 is the strength of P-256 (NIST SP 800-57 part 1, table 2).
const rsaBits = 3072

// KeyState is where a signing key stands. The zero state neither signs nor verifies.
type KeyState string

// Keys are published before they sign, and until their last token has expired.
const (
	KeyNext    KeyState = "next"
	KeyActive  KeyState = "active"
	KeyRetired KeyState = "retired"
)

// SealedKey is a signing key at rest: the private half sealed under the data key,
// bound to its id.
type SealedKey struct {
	ID        string
	Algorithm string
	Sealed    []byte
	Public    []byte // PKIX DER
	State     KeyState
	Created   time.Time
}

// GenerateKey makes a signing key and gives it sealed: the private half is never
// outside this package in the clear. RS256 takes a second or so of one core.
func (d DataKey) GenerateKey(algorithm string, state KeyState, now time.Time) (SealedKey, error) {
	private, err := generate(algorithm)
	if err != nil {
		return SealedKey{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return SealedKey{}, fmt.Errorf("credential: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return SealedKey{}, fmt.Errorf("credential: %w", err)
	}
	k := SealedKey{ID: NewID("key"), Algorithm: algorithm, Public: public, State: state, Created: now}
	k.Sealed, err = d.seal(der, k.place())
	return k, err
}

func generate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsakey.Generate(rsaBits)
	}
	return nil, fmt.Errorf("credential: %q is not an algorithm of ours", algorithm)
}

// place is what the sealed half is bound to: swapped rows do not open.
func (k SealedKey) place() string { return "signing_keys|" + k.ID + "|" + k.Algorithm + "|sealed" }

// Keyring is an immutable set of signing keys. Private halves do not leave it.
type Keyring struct {
	keys   []*signingKey          // newest first
	access map[string]*signingKey // by the encoded header of an access token
	id     map[string]*signingKey // by the encoded header of an ID token
	jwks   []byte
}

// signingKey signs every kind of token. Each kind has one header, byte for byte:
// whoever verifies looks the header up and never interprets it.
type signingKey struct {
	kid          string
	algorithm    jose.SignatureAlgorithm
	state        KeyState
	created      time.Time
	public       crypto.PublicKey
	access, id   jose.Signer
	answer       jose.Signer // of introspection answers, which nothing of ours accepts
	logout       jose.Signer // nothing of ours accepts what these sign
	event        jose.Signer
	accessHeader string
	idHeader     string
}

// The types of the tokens that we accept ourselves.
const (
	typAccess = "at+jwt" // RFC 9068 section 2.1
	typID     = "JWT"
)

// NewKeyring opens the keys under the data key. A key that does not open, whose
// halves differ or whose id stands twice is an error: all are reported.
func NewKeyring(data DataKey, keys []SealedKey) (*Keyring, error) {
	r := &Keyring{access: map[string]*signingKey{}, id: map[string]*signingKey{}}
	var faults []error
	for _, k := range keys {
		faults = append(faults, r.add(data, k))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	slices.SortFunc(r.keys, func(a, b *signingKey) int {
		return cmp.Or(b.created.Compare(a.created), cmp.Compare(a.kid, b.kid))
	})
	return r, r.publish()
}

func (r *Keyring) add(data DataKey, k SealedKey) error {
	if k.State != KeyNext && k.State != KeyActive && k.State != KeyRetired {
		return fmt.Errorf("credential: key %s is in no known state: %q", k.ID, k.State)
	}
	if _, twice := r.find(k.ID); twice {
		return fmt.Errorf("credential: two keys are called %s", k.ID)
	}
	s, err := openKey(data, k)
	if err != nil {
		return err
	}
	r.keys = append(r.keys, s)
	r.access[s.accessHeader], r.id[s.idHeader] = s, s
	return nil
}

func openKey(data DataKey, k SealedKey) (*signingKey, error) {
	der, err := data.open(k.Sealed, k.place())
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("credential: key %s: %w", k.ID, err)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok || !fits(private, k.Algorithm) {
		return nil, fmt.Errorf("credential: key %s is not for %q", k.ID, k.Algorithm)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil || string(public) != string(k.Public) {
		return nil, errors.Join(fmt.Errorf("credential: the halves of key %s do not belong together", k.ID), err)
	}
	return newSigningKey(k, private)
}

func fits(private crypto.Signer, algorithm string) bool {
	switch p := private.(type) {
	case *ecdsa.PrivateKey:
		return algorithm == ES256 && p.Curve == elliptic.P256()
	case *rsa.PrivateKey:
		return algorithm == RS256 && p.N.BitLen() >= 2048
	}
	return false
}

func newSigningKey(k SealedKey, private crypto.Signer) (*signingKey, error) {
	s := &signingKey{kid: k.ID, algorithm: jose.SignatureAlgorithm(k.Algorithm), state: k.State,
		created: k.Created, public: private.Public()}
	key := jose.JSONWebKey{Key: private, KeyID: s.kid}
	var errs [7]error
	s.access, errs[0] = newSigner(s, key, typAccess)
	s.id, errs[1] = newSigner(s, key, typID)
	s.answer, errs[2] = newSigner(s, key, typIntrospection)
	s.logout, errs[3] = newSigner(s, key, typLogout)
	s.event, errs[4] = newSigner(s, key, typEvent)
	s.accessHeader, errs[5] = headerFor(s, typAccess)
	s.idHeader, errs[6] = headerFor(s, typID)
	return s, errors.Join(errs[:]...)
}

func newSigner(s *signingKey, key any, typ jose.ContentType) (jose.Signer, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: s.algorithm, Key: key}, (&jose.SignerOptions{}).WithType(typ))
	if err != nil {
		return nil, fmt.Errorf("credential: key %s: %w", s.kid, err)
	}
	return signer, nil
}

// headerFor is the one encoded header that a key's tokens of a type begin with. It is
// written as theirs is, and only not signed: a signature costs milliseconds.
func headerFor(s *signingKey, typ jose.ContentType) (string, error) {
	signer, err := newSigner(s, unsigned{s}, typ)
	if err != nil {
		return "", err
	}
	token, err := sign(signer, []byte("{}"))
	if err != nil {
		return "", err
	}
	header, _, _, _ := split(token)
	return header, nil
}

// unsigned stands for a key where nothing is to be signed.
type unsigned struct{ of *signingKey }

func (u unsigned) Public() *jose.JSONWebKey {
	return &jose.JSONWebKey{Key: u.of.public, KeyID: u.of.kid}
}
func (u unsigned) Algs() []jose.SignatureAlgorithm                           { return []jose.SignatureAlgorithm{u.of.algorithm} }
func (unsigned) SignPayload([]byte, jose.SignatureAlgorithm) ([]byte, error) { return []byte{0}, nil }

func sign(s jose.Signer, payload []byte) (string, error) {
	jws, err := s.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("credential: sign: %w", err)
	}
	return jws.CompactSerialize()
}

func (r *Keyring) find(kid string) (*signingKey, bool) {
	at := slices.IndexFunc(r.keys, func(k *signingKey) bool { return k.kid == kid })
	if at < 0 {
		return nil, false
	}
	return r.keys[at], true
}

// signer is the newest active key of an algorithm.
func (r *Keyring) signer(algorithm string) (*signingKey, error) {
	if r != nil {
		for _, k := range r.keys {
			if string(k.algorithm) == algorithm && k.state == KeyActive {
				return k, nil
			}
		}
	}
	return nil, fmt.Errorf("credential: no active key signs %q", algorithm)
}

// Public is the public half of a key by its id; false if there is none.
func (r *Keyring) Public(kid string) (crypto.PublicKey, bool) {
	k, ok := r.find(kid)
	if !ok {
		return nil, false
	}
	return k.public, true
}

// JWKS is the JSON Web Key Set (RFC 7517) of every key: those that sign, that will,
// and whose tokens may still be about. Those that sign stand first, for verifiers that
// know no key ids. Do not change it.
func (r *Keyring) JWKS() []byte { return r.jwks }

func (r *Keyring) publish() error {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	order := []KeyState{KeyActive, KeyNext, KeyRetired}
	published := slices.Clone(r.keys)
	slices.SortStableFunc(published, func(a, b *signingKey) int {
		return cmp.Compare(slices.Index(order, a.state), slices.Index(order, b.state))
	})
	for _, k := range published {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.public, KeyID: k.kid, Algorithm: string(k.algorithm), Use: "sig"})
	}
	b, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("credential: key set: %w", err)
	}
	r.jwks = b
	return nil
}
