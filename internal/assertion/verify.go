package assertion

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// The limits of an assertion.
const (
	MaxLength    = 8 << 10 // bytes
	Skew         = time.Minute
	maxKeyLife   = time.Hour      // of an assertion that a client signed for one use
	maxTokenLife = 24 * time.Hour // of a token that an identity provider made
	maxID        = 256            // bytes of jti
	maxTried     = 4              // keys tried for a token that names none
	// lastInstant is the end of the year 9999; a later time is not a time.
	lastInstant = 253402300799
)

// Verifier verifies assertions. It is safe for concurrent use.
type Verifier struct{ sets map[string]*keySet }

// NewVerifier makes a verifier that may fetch the key sets which these trusts name;
// nothing is fetched before it is needed. client is the one egress client.
func NewVerifier(client *http.Client, trusts ...Trust) *Verifier {
	v := &Verifier{sets: map[string]*keySet{}}
	for _, t := range trusts {
		for _, uri := range t.URIs() {
			if v.sets[uri] == nil {
				v.sets[uri] = newKeySet(uri, client)
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
	c, err := readClaims(token.UnsafePayloadWithoutVerification())
	if err != nil {
		return "", ""
	}
	issuer, _ = c.text("iss")
	subject, _ = c.text("sub")
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
func (v *Verifier) byKey(ctx context.Context, token *jose.JSONWebSignature, client string, t Trust, audiences []string, now time.Time) (Proof, error) {
	key, c, err := v.signed(ctx, token, t.Keys, t.KeysURI, now)
	if err != nil {
		return Proof{}, err
	}
	id, err := c.text("jti")
	switch {
	case err != nil:
		return Proof{}, err
	case id == "" || len(id) > maxID:
		return Proof{}, refused("jti is empty or longer than %d bytes", maxID)
	}
	for _, check := range []error{c.equals("iss", client), c.equals("sub", client), c.audience(audiences), c.times(now, maxKeyLife)} {
		if check != nil {
			return Proof{}, check
		}
	}
	p := Proof{Kind: KindKey, Name: keyName + key.Thumbprint, ID: id}
	if t.KeysURI != "" {
		p.Name = uriName(t.KeysURI)
	}
	return p, nil
}

// Remember is until when the id of an assertion that is good now must be known as used.
func Remember(now time.Time) time.Time { return now.Add(maxKeyLife + 2*Skew) }

// federated is a token that an identity provider made about a service of its own. It
// may be shown again while it lives: the provider keeps it, too.
func (v *Verifier) federated(ctx context.Context, token *jose.JSONWebSignature, f *Federation, now time.Time) (Proof, error) {
	_, c, err := v.signed(ctx, token, nil, f.KeysURI, now)
	if err != nil {
		return Proof{}, err
	}
	checks := []error{c.equals("iss", f.Issuer), c.equals("sub", f.Subject), c.audience(f.Audiences), c.times(now, maxTokenLife), c.party(f.AuthorizedParty)}
	for _, pin := range [][2]string{{"tid", f.TenantID}, {"oid", f.ObjectID}, {"ver", f.Version}} {
		if pin[1] != "" {
			checks = append(checks, c.equals(pin[0], pin[1]))
		}
	}
	for _, err := range checks {
		if err != nil {
			return Proof{}, err
		}
	}
	return Proof{Kind: KindFederation, Name: f.name()}, nil
}

// parse takes a compact JWS apart whose algorithm counts.
func parse(raw string) (*jose.JSONWebSignature, error) {
	if len(raw) > MaxLength || strings.Count(raw, ".") != 2 {
		return nil, refused("the assertion is no JWT, or longer than %d bytes", MaxLength)
	}
	token, err := jose.ParseSignedCompact(raw, algorithms())
	if err != nil {
		return nil, refused("the assertion is no JWT that is signed with an algorithm that counts")
	}
	sent, has := token.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]
	typ, isText := sent.(string)
	if has && !isText {
		return nil, refused("the JWT's typ is no text")
	}
	switch strings.ToLower(typ) {
	case "", "jwt", "client-authentication+jwt":
		return token, nil
	}
	return nil, refused("the JWT is of another type than an assertion")
}

// signed gives the claims if a key of the list, or of the published set, signed them.
func (v *Verifier) signed(ctx context.Context, token *jose.JSONWebSignature, listed []Key, uri string, now time.Time) (Key, claims, error) {
	head := token.Signatures[0].Protected
	var candidates []Key
	for _, k := range listed {
		if k.signs(head.KeyID, head.Algorithm) {
			candidates = append(candidates, k)
		}
	}
	if uri != "" {
		set := v.sets[uri]
		if set == nil {
			return Key{}, nil, fault.New(fault.Internal, "assertion.Verify", "the key set %s was not named at start", uri)
		}
		var err error
		if candidates, err = set.matching(ctx, head.KeyID, head.Algorithm, now); err != nil {
			return Key{}, nil, err
		}
	}
	if len(candidates) > maxTried {
		return Key{}, nil, refused("the assertion does not say which of %d keys signed it", len(candidates))
	}
	for _, k := range candidates {
		if payload, err := token.Verify(k.public); err == nil {
			c, err := readClaims(payload)
			return k, c, err
		}
	}
	return Key{}, nil, refused("no key that counts made the signature")
}

// claims is a JWT's payload, its members still raw. Duplicate names are refused.
type claims map[string]jsontext.Value

func readClaims(payload []byte) (claims, error) {
	var c claims
	if err := jsonv2.Unmarshal(payload, &c); err != nil || c == nil {
		return nil, refused("the assertion's claims are no JSON object without duplicates")
	}
	return c, nil
}

// text reads a claim that must be a string.
func (c claims) text(name string) (string, error) {
	raw, ok := c[name]
	var s string
	if !ok || raw.Kind() != '"' || jsonv2.Unmarshal(raw, &s) != nil {
		return "", refused("%s is missing or not text", name)
	}
	return s, nil
}

func (c claims) equals(name, want string) error {
	got, err := c.text(name)
	if err == nil && (got != want || want == "") {
		err = refused("%s is not the one that is pinned", name)
	}
	return err
}

// audience wants one audience, and that one of those named: what is meant for others,
// too, could be used by them.
func (c claims) audience(names []string) error {
	raw := c["aud"]
	one, list := "", []string(nil)
	switch {
	case raw.Kind() == '"' && jsonv2.Unmarshal(raw, &one) == nil:
		list = []string{one}
	case raw.Kind() != '[' || jsonv2.Unmarshal(raw, &list) != nil:
		return refused("aud is missing or not text")
	}
	if len(list) != 1 || !slices.Contains(names, list[0]) {
		return refused("aud is not one of those that are accepted, alone")
	}
	return nil
}

// party wants azp or appid, and both if both are there, to name the application.
func (c claims) party(want string) error {
	if want == "" {
		return nil
	}
	_, hasAZP := c["azp"]
	_, hasApp := c["appid"]
	switch {
	case !hasAZP && !hasApp:
		return refused("azp and appid are missing")
	case hasAZP && c.equals("azp", want) != nil, hasApp && c.equals("appid", want) != nil:
		return refused("azp or appid is not the one that is pinned")
	}
	return nil
}

// times wants exp, not further away than most, and honours iat and nbf.
func (c claims) times(now time.Time, most time.Duration) error {
	exp, err := c.instant("exp")
	if err != nil {
		return err
	}
	switch {
	case exp.IsZero():
		return refused("exp is missing")
	case !now.Before(exp.Add(Skew)):
		return refused("the assertion expired at %s", exp.UTC().Format(time.RFC3339))
	case exp.After(now.Add(most + Skew)):
		return refused("the assertion lives longer than %s", most)
	}
	for _, name := range []string{"iat", "nbf"} {
		from, err := c.instant(name)
		if err != nil {
			return err
		}
		if now.Add(Skew).Before(from) {
			return refused("%s lies in the future", name)
		}
	}
	return nil
}

// instant reads a NumericDate; the zero time if there is none.
func (c claims) instant(name string) (time.Time, error) {
	raw, ok := c[name]
	if !ok {
		return time.Time{}, nil
	}
	var n float64
	if raw.Kind() != '0' || jsonv2.Unmarshal(raw, &n) != nil || n <= 0 || n > lastInstant {
		return time.Time{}, refused("%s is not a time", name)
	}
	return time.Unix(int64(math.Floor(n)), 0), nil
}
