package assertion

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
)

// maxTried is how many keys are tried for a token that names none.
const maxTried = 4

// Token is a JWT that was taken apart and not yet verified. The zero Token is signed
// by nobody.
type Token struct {
	Type      string // typ in lower case; "" if it has none
	KeyID     string
	Algorithm string
	jws       *jose.JSONWebSignature
}

// ParseToken takes a compact JWS of at most limit bytes apart that is signed with one of
// the algorithms. What a header asks to be understood (crit, RFC 7515 section 4.1.11) is
// not, and key material in a header (jwk, jku, x5c) is not looked at. Its errors may be
// shown.
func ParseToken(raw string, limit int, algorithms ...string) (Token, error) {
	if len(raw) > limit || strings.Count(raw, ".") != 2 {
		return Token{}, fmt.Errorf("it is no JWT, or longer than %d bytes", limit)
	}
	var accepted []jose.SignatureAlgorithm
	for _, a := range algorithms {
		accepted = append(accepted, jose.SignatureAlgorithm(a))
	}
	jws, err := jose.ParseSignedCompact(raw, accepted)
	if err != nil {
		return Token{}, errors.New("it is no JWT that is signed with an algorithm that counts")
	}
	head := jws.Signatures[0].Protected
	if _, has := head.ExtraHeaders["crit"]; has {
		return Token{}, errors.New("the JWT's header asks for what is not understood here (crit)")
	}
	typ, isText := head.ExtraHeaders[jose.HeaderType].(string)
	if _, has := head.ExtraHeaders[jose.HeaderType]; has && !isText {
		return Token{}, errors.New("the JWT's typ is no text")
	}
	return Token{Type: strings.ToLower(typ), KeyID: head.KeyID, Algorithm: head.Algorithm, jws: jws}, nil
}

// Verified gives the claims if a key that set publishes signed them. fault.Unavailable
// if there are no keys to judge by; any other error is a signature that does not hold.
func (t Token) Verified(ctx context.Context, set *KeySet, now time.Time) (jwtclaims.Claims, error) {
	candidates, err := set.matching(ctx, t.KeyID, t.Algorithm, now)
	if err != nil {
		return nil, err
	}
	_, c, err := t.by(candidates)
	return c, err
}

// by gives the claims, and the key of those listed that signed them.
func (t Token) by(listed []Key) (Key, jwtclaims.Claims, error) {
	var candidates []Key
	for _, k := range listed {
		if k.signs(t.KeyID, t.Algorithm) {
			candidates = append(candidates, k)
		}
	}
	if t.jws == nil || len(candidates) > maxTried {
		return Key{}, nil, fmt.Errorf("it does not say which of %d keys signed it", len(candidates))
	}
	for _, k := range candidates {
		if payload, err := t.jws.Verify(k.public); err == nil {
			c, err := jwtclaims.Parse(payload)
			return k, c, err
		}
	}
	return Key{}, nil, errors.New("no key that counts made the signature")
}
