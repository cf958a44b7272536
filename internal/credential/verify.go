package credential

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// MaxToken is the longest token that is looked at, in bytes.
const MaxToken = 16 << 10

// maxSkew is how far ahead another node's clock may be.
const maxSkew = time.Minute

// Verify checks that an access token is ours, whole, and not past its end, and gives
// what it says. It does not say that the token counts: ask Accept. Every refusal is
// fault.Unauthenticated.
//
// The header must be, byte for byte, one that we write: the algorithm, the key and
// the type are never taken from the token. A good signature is remembered; the
// token's end and the key's presence are judged at every use.
func (i *Issuer) Verify(token string, now time.Time) (AccessClaims, error) {
	const op = "credential.Verify"
	header, _, _, ok := split(token)
	if !ok {
		return AccessClaims{}, malformed(op)
	}
	key := i.ring().forAccess(header)
	if key == nil {
		return AccessClaims{}, malformed(op)
	}
	digest := DigestOf(token)
	claims, known := i.seen.get(digest, key)
	if !known {
		var w accessWire
		if !verifiedPayload(token, key, &w) || !w.complete(i.url) {
			return AccessClaims{}, malformed(op)
		}
		claims = w.claims()
		i.seen.put(digest, key, claims, len(token))
	}
	if !now.Before(claims.Expires) || claims.IssuedAt.After(now.Add(maxSkew)) {
		return AccessClaims{}, unauthenticated(op, ReasonExpired, "the access token has expired")
	}
	return claims.own(), nil
}

// VerifyIDToken checks that an ID token is ours and gives what it says. An expired
// one is good enough for a hint (OpenID Connect RP-Initiated Logout section 2).
func (i *Issuer) VerifyIDToken(token string) (IDClaims, error) {
	const op = "credential.VerifyIDToken"
	header, _, _, ok := split(token)
	if !ok {
		return IDClaims{}, malformed(op)
	}
	var w idWire
	key := i.ring().forID(header)
	if key == nil || !verifiedPayload(token, key, &w) {
		return IDClaims{}, malformed(op)
	}
	if w.Issuer != i.url || w.Subject == "" || w.Audience == "" || w.Session == "" || w.IssuedAt <= 0 || w.Expires <= w.IssuedAt {
		return IDClaims{}, malformed(op)
	}
	return IDClaims{Person: w.Subject, Client: w.Audience, Session: w.Session, Nonce: w.Nonce,
		IssuedAt: instant(w.IssuedAt), AuthTime: instant(w.AuthTime), Expires: instant(w.Expires)}, nil
}

func (r *Keyring) forAccess(header string) *signingKey {
	if r == nil {
		return nil
	}
	return r.access[header]
}

func (r *Keyring) forID(header string) *signingKey {
	if r == nil {
		return nil
	}
	return r.id[header]
}

// split takes a compact JWS apart: three parts, none empty, at most MaxToken bytes.
func split(token string) (header, payload, signature string, ok bool) {
	if len(token) > MaxToken || strings.Count(token, ".") != 2 {
		return "", "", "", false
	}
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	return header, payload, signature, header != "" && payload != "" && signature != ""
}

// verifiedPayload decodes the payload into w if the signature is the key's and each
// part is spelled as we spell it.
func verifiedPayload(token string, key *signingKey, w any) bool {
	_, payload, signature, _ := split(token)
	if _, ok := canonicalBase64(signature); !ok {
		return false
	}
	if _, ok := canonicalBase64(payload); !ok {
		return false
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{key.algorithm})
	if err != nil {
		return false
	}
	body, err := jws.Verify(key.public)
	return err == nil && json.Unmarshal(body, w) == nil
}
