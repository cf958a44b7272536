package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"
	"unicode"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

const (
	skew       = 60 * time.Second
	subjectMax = 255 // OpenID Connect Core 2: sub
	// lastInstant is the end of the year 9999; a later time is not a time.
	lastInstant = 253402300799
)

// claims is an ID token's payload, its members still raw. Duplicate names were refused.
type claims map[string]jsontext.Value

// verify checks the ID token (OpenID Connect Core 3.1.3.7), every step on its own,
// and gives the identity. Signature and algorithm first.
func (l *link) verify(ctx context.Context, found *discovery, leg Leg, raw string) (Identity, error) {
	keys := &watched{next: found.keys}
	token, err := gooidc.NewVerifier(l.provider.Issuer, keys, &gooidc.Config{
		ClientID: l.provider.ClientID, SupportedSigningAlgs: signingAlgs(), SkipExpiryCheck: true, // times are checked below, with our skew
	}).Verify(l.withClient(ctx), raw)
	if err != nil {
		return Identity{}, l.verifyFault(err, keys.err)
	}
	var payload json.RawMessage
	if err := token.Claims(&payload); err != nil {
		return Identity{}, notProven(err)
	}
	var c claims
	if err := unmarshalClaims(payload, &c); err != nil {
		return Identity{}, notProven(err)
	}
	if err := l.checkClaims(c, leg); err != nil {
		return Identity{}, err
	}
	return l.identity(c, leg)
}

// watched remembers why a signature could not be checked: go-oidc flattens the
// error to text, and a provider that is down is not a forged token.
type watched struct {
	next gooidc.KeySet
	err  error
}

func (w *watched) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := w.next.VerifySignature(ctx, jwt)
	w.err = err
	return payload, err
}

// verifyFault tells a provider that does not publish its keys from a token that
// does not hold.
func (l *link) verifyFault(err, cause error) error {
	var network *url.Error
	if errors.As(cause, &network) && !errors.Is(cause, errRefetch) {
		return l.down("upstream.Finish", cause)
	}
	return notProven(err)
}

func notProven(err error) error {
	e := fault.New(fault.Denied, "upstream.Finish", "What the identity provider sent could not be verified.").Because(ReasonToken)
	e.Err = errors.New(clip(err.Error()))
	return e
}

// unmarshalClaims refuses duplicate names and invalid UTF-8, which encoding/json lets pass.
func unmarshalClaims(payload []byte, c *claims) error { return jsonv2.Unmarshal(payload, c) }

func (l *link) checkClaims(c claims, leg Leg) error {
	now := l.now()
	return errors.Join(
		c.equals("iss", l.provider.Issuer),
		c.audience(l.provider.ClientID),
		c.times(now),
		c.nonce(leg.Nonce),
		c.tenant(l.provider.TenantID),
	)
}

// identity reads who signed in. An e-mail address is not among it.
func (l *link) identity(c claims, leg Leg) (Identity, error) {
	id := Identity{Connection: l.provider.Connection, Issuer: l.provider.Issuer}
	if _, err := c.subject("sub"); err != nil {
		return Identity{}, err
	}
	var err error
	if id.Subject, err = c.subject(l.provider.SubjectClaim); err != nil {
		return Identity{}, err
	}
	if id.AuthTime, err = c.authTime(leg, l.now()); err != nil {
		return Identity{}, err
	}
	if err := errors.Join(c.optional("sid", &id.Session), c.optional("acr", &id.ACR), c.optional("amr", &id.AMR)); err != nil {
		return Identity{}, err
	}
	return id, nil
}

func broken(format string, args ...any) error { return notProven(fmt.Errorf(format, args...)) }

// text reads a claim that must be a string.
func (c claims) text(name string) (string, error) {
	raw, ok := c[name]
	if !ok {
		return "", broken("no %s", name)
	}
	var s string
	if raw.Kind() != '"' || jsonv2.Unmarshal(raw, &s) != nil {
		return "", broken("%s is not a string", name)
	}
	return s, nil
}

func (c claims) equals(name, want string) error {
	got, err := c.text(name)
	if err == nil && got != want {
		err = broken("%s is not the expected one", name)
	}
	return err
}

// audience wants exactly this client: another audience could use the same token,
// and we know of none that we trust (Core 3.1.3.7, 3 to 5).
func (c claims) audience(client string) error {
	raw := c["aud"]
	one, list := "", []string(nil)
	switch {
	case raw.Kind() == '"' && jsonv2.Unmarshal(raw, &one) == nil:
		list = []string{one}
	case raw.Kind() != '[' || jsonv2.Unmarshal(raw, &list) != nil:
		return broken("aud is missing or not text")
	}
	if len(list) != 1 || list[0] != client {
		return broken("aud is not this client alone")
	}
	if _, ok := c["azp"]; ok {
		return c.equals("azp", client)
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
		return time.Time{}, broken("%s is not a time", name)
	}
	return time.Unix(int64(math.Floor(n)), 0), nil
}

// times wants exp and iat, and honours nbf, with at most a minute between the clocks.
func (c claims) times(now time.Time) error {
	exp, errExp := c.instant("exp")
	iat, errIat := c.instant("iat")
	nbf, errNbf := c.instant("nbf")
	if err := errors.Join(errExp, errIat, errNbf); err != nil {
		return err
	}
	switch {
	case exp.IsZero():
		return broken("no exp")
	case iat.IsZero():
		return broken("no iat")
	case !now.Before(exp.Add(skew)):
		return broken("it expired at %s", exp.UTC().Format(time.RFC3339))
	case now.Add(skew).Before(iat):
		return broken("it was issued in the future")
	case now.Add(skew).Before(nbf):
		return broken("it is not valid yet")
	}
	return nil
}

// nonce ties the token to this sign-in; go-oidc leaves the comparison to us.
func (c claims) nonce(want string) error {
	got, err := c.text("nonce")
	if err == nil && !same(got, want) {
		err = broken("the nonce is not the one that was sent")
	}
	return err
}

func (c claims) tenant(want string) error {
	if want == "" {
		return nil
	}
	return c.equals("tid", want)
}

// subject reads a stable identifier: 1 to 255 bytes of printable text.
func (c claims) subject(name string) (string, error) {
	s, err := c.text(name)
	if err != nil {
		return "", err
	}
	if s == "" || len(s) > subjectMax || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", broken("%s is empty, longer than %d bytes or not printable", name, subjectMax)
	}
	return s, nil
}

// authTime reads when the person proved who they are, and holds it against what
// was asked: a provider that ignores max_age or prompt=login is not believed.
func (c claims) authTime(leg Leg, now time.Time) (time.Time, error) {
	at, err := c.instant("auth_time")
	if err != nil {
		return time.Time{}, err
	}
	asked := leg.MaxAge >= 0 || leg.Prompt == "login"
	stale := leg.MaxAge >= 0 && now.Sub(at) > leg.MaxAge+skew ||
		leg.Prompt == "login" && at.Before(leg.Started.Add(-skew))
	if asked && (at.IsZero() || stale) || now.Add(skew).Before(at) {
		return time.Time{}, fault.New(fault.Denied, "upstream.Finish", "The identity provider did not prove a fresh sign-in.").Because(ReasonStale)
	}
	return at, nil
}

// optional reads a claim into v where there is one.
func (c claims) optional(name string, v any) error {
	raw, ok := c[name]
	if !ok || raw.Kind() == 'n' {
		return nil
	}
	if err := jsonv2.Unmarshal(raw, v); err != nil {
		return broken("%s has an unexpected form", name)
	}
	return nil
}
