package assertion

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
)

// The limits of an assertion.
const (
	MaxLength    = 8 << 10 // bytes
	Skew         = jwtclaims.Skew
	maxKeyLife   = time.Hour      // of an assertion that a client signed for one use
	maxTokenLife = 24 * time.Hour // of a token that an identity provider made
	maxID        = 256            // bytes of jti
)

// Verifier verifies assertions. It is safe for concurrent use.
type Verifier struct{ sets map[string]*KeySet }

// NewVerifier makes a verifier that may fetch the key sets which these trusts name;
// nothing is fetched before it is needed. client is the one egress client.
func NewVerifier(client *http.Client, trusts ...Trust) *Verifier {
	v := &Verifier{sets: map[string]*KeySet{}}
	for _, t := range trusts {
		for _, uri := range t.URIs() {
			if v.sets[uri] == nil {
				v.sets[uri] = NewKeySet(uri, client)
			}
		}
	}
	return v
}

// Probe reads a published key set, as a verification would, and says what is wrong.
func (v *Verifier) Probe(ctx context.Context, uri string, now time.Time) error {
	set := v.sets[uri]
	if set == nil {
		return fault.New(fault.NotFound, "assertion.Probe", "no connection names this key set")
	}
	return set.present(ctx, now)
}

// Claimed is what an assertion says of itself before it is verified: whose keys to
// look for, and no more.
func Claimed(raw string) (issuer, subject string) {
	token, err := parse(raw)
	if err != nil {
		return "", ""
	}
	c, err := jwtclaims.Parse(token.jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return "", ""
	}
	issuer, _ = c.Text("iss")
	subject, _ = c.Text("sub")
	return issuer, subject
}

// Verify says what an assertion proves for a client of a connection that trusts t:
// fault.Unauthenticated if nothing, fault.Unavailable if there are no keys to judge
// by. audiences are the names of the token endpoint, of which aud must be one.
func (v *Verifier) Verify(ctx context.Context, raw, client string, t Trust, audiences []string, now time.Time) (Proof, error) {
	token, err := parse(raw)
	if err != nil {
		return Proof{}, err
	}
	issuer, _ := Claimed(raw)
	switch {
	case issuer == client && (len(t.Keys) > 0 || t.KeysURI != ""):
		return v.byKey(ctx, token, client, t, audiences, now)
	case t.Federation != nil && issuer == t.Federation.Issuer:
		return v.federated(ctx, token, t.Federation, now)
	}
	return Proof{}, refused("nobody that this connection trusts issued the assertion")
}

// byKey is private_key_jwt (OpenID Connect Core section 9, RFC 7523 section 3).
func (v *Verifier) byKey(ctx context.Context, token Token, client string, t Trust, audiences []string, now time.Time) (Proof, error) {
	key, c, err := v.signed(ctx, token, t.Keys, t.KeysURI, now)
	if err != nil {
		return Proof{}, err
	}
	id, err := c.Text("jti")
	switch {
	case err != nil:
		return Proof{}, refused("%v", err)
	case id == "" || len(id) > maxID:
		return Proof{}, refused("jti is empty or longer than %d bytes", maxID)
	}
	if err := held(c.Equals("iss", client), c.Equals("sub", client), c.Audience(audiences...), c.Times(now, jwtclaims.Limits{Longest: maxKeyLife})); err != nil {
		return Proof{}, err
	}
	exp, err := c.Instant("exp")
	if err != nil {
		return Proof{}, refused("%v", err)
	}
	p := Proof{Kind: KindKey, Name: keyName + key.Thumbprint, ID: id, Ends: exp.Add(Skew)}
	if t.KeysURI != "" {
		p.Name = uriName(t.KeysURI)
	}
	return p, nil
}

// federated is a token that an identity provider made about a service of its own. It
// may be shown again while it lives: the provider keeps it, too.
func (v *Verifier) federated(ctx context.Context, token Token, f *Federation, now time.Time) (Proof, error) {
	_, c, err := v.signed(ctx, token, nil, f.KeysURI, now)
	if err != nil {
		return Proof{}, err
	}
	checks := []error{c.Equals("iss", f.Issuer), c.Equals("sub", f.Subject), c.Audience(f.Audiences...),
		c.Times(now, jwtclaims.Limits{Longest: maxTokenLife}), party(c, f.AuthorizedParty)}
	for _, pin := range [][2]string{{"tid", f.TenantID}, {"oid", f.ObjectID}, {"ver", f.Version}} {
		if pin[1] != "" {
			checks = append(checks, c.Equals(pin[0], pin[1]))
		}
	}
	if err := held(checks...); err != nil {
		return Proof{}, err
	}
	return Proof{Kind: KindFederation, Name: f.name()}, nil
}

// parse takes an assertion apart whose algorithm and type count.
func parse(raw string) (Token, error) {
	token, err := ParseToken(raw, MaxLength, Algorithms()...)
	if err != nil {
		return Token{}, refused("%v", err)
	}
	switch token.Type {
	case "", "jwt", "client-authentication+jwt":
		return token, nil
	}
	return Token{}, refused("the JWT is of another type than an assertion")
}

// signed gives the claims if a key of the list, or of the published set, signed them.
func (v *Verifier) signed(ctx context.Context, token Token, listed []Key, uri string, now time.Time) (Key, jwtclaims.Claims, error) {
	if uri == "" {
		k, c, err := token.by(listed)
		return k, c, held(err)
	}
	set := v.sets[uri]
	if set == nil {
		return Key{}, nil, fault.New(fault.Internal, "assertion.Verify", "the key set %s was not named at start", uri)
	}
	candidates, err := set.matching(ctx, token.KeyID, token.Algorithm, now)
	if err != nil {
		return Key{}, nil, err
	}
	k, c, err := token.by(candidates)
	return k, c, held(err)
}

// party wants azp or appid, and both if both are there, to name the application.
func party(c jwtclaims.Claims, want string) error {
	hasAZP, hasApp := c.Has("azp"), c.Has("appid")
	switch {
	case want == "":
		return nil
	case !hasAZP && !hasApp:
		return errors.New("azp and appid are missing")
	case hasAZP && c.Equals("azp", want) != nil, hasApp && c.Equals("appid", want) != nil:
		return errors.New("azp or appid is not the one that is pinned")
	}
	return nil
}

// held gives the first of the checks that failed, as a refusal.
func held(checks ...error) error {
	for _, err := range checks {
		if err != nil {
			return refused("%v", err)
		}
	}
	return nil
}
