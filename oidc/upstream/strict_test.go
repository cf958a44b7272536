package upstream

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// finish signs in at a provider that says these claims beside the usual ones; nil takes
// one away.
func (p *idp) finish(t *testing.T, u *Upstreams, changed map[string]any) (Identity, error) {
	t.Helper()
	p.mu.Lock()
	usual := p.claims
	p.claims = map[string]any{}
	for k, v := range usual {
		p.claims[k] = v
	}
	for k, v := range changed {
		if p.claims[k] = v; v == nil {
			delete(p.claims, k)
		}
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.claims = usual
	}()
	return u.Finish(context.Background(), "ironbark-entra", leg(), answer())
}

func (p *idp) upstreamsOf(t *testing.T, change func(*Provider)) *Upstreams {
	t.Helper()
	provider := p.provider()
	change(&provider)
	u, err := New(p.Client(), nil, []Provider{provider}, func() time.Time { return p.clock() })
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What an ID token says of the code and the access token that came with it holds, or
// the token belongs to another answer.
func TestHashesTieTheTokenToItsAnswer(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	half := func(of string) string {
		sum := sha256.Sum256([]byte(of))
		return base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	for name, c := range map[string]struct {
		claims map[string]any
		ok     bool
	}{
		"both right":                {map[string]any{"at_hash": half("at"), "c_hash": half("a-code")}, true},
		"another access token":      {map[string]any{"at_hash": half("other")}, false},
		"another code":              {map[string]any{"c_hash": half("other")}, false},
		"a whole hash":              {map[string]any{"at_hash": base64.RawURLEncoding.EncodeToString([]byte(half("at")))}, false},
		"empty":                     {map[string]any{"at_hash": ""}, false},
		"no text":                   {map[string]any{"c_hash": 7}, false},
		"the code's for the access": {map[string]any{"at_hash": half("a-code")}, false},
	} {
		_, err := p.finish(t, u, c.claims)
		if (err == nil) != c.ok || !c.ok && fault.ReasonOf(err) != ReasonToken {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.mu.Lock()
	p.signer = p.sign(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: edKey(), KeyID: "ed"}})
	p.mu.Unlock()
	sum := sha512.Sum512([]byte("at"))
	if _, err := p.finish(t, u, map[string]any{"at_hash": base64.RawURLEncoding.EncodeToString(sum[:32])}); err != nil {
		t.Errorf("Ed25519 hashes with SHA-512: %v", err)
	}
}

// T-F1: what a header asks to be understood might change what was signed.
func TestAHeaderThatMustBeUnderstoodIsRefused(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	for name, head := range map[string]map[jose.HeaderKey]any{
		"unknown": {"crit": []string{"hedge"}, "hedge": true}, "b64": {"crit": []string{"b64"}, "b64": true}, "exp": {"crit": []string{"exp"}, "exp": 1},
	} {
		p.mu.Lock()
		p.signer = func(payload []byte) string {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.rsa, KeyID: "rsa"}}, &jose.SignerOptions{ExtraHeaders: head})
			if err != nil {
				t.Error(err)
				return ""
			}
			jws, err := s.Sign(payload)
			if err != nil {
				t.Error(err)
				return ""
			}
			raw, err := jws.CompactSerialize()
			if err != nil {
				t.Error(err)
			}
			return raw
		}
		p.mu.Unlock()
		if _, err := p.finish(t, u, nil); fault.ReasonOf(err) != ReasonToken {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// T-F1: a published set may hold what it should not; only what verifies counts.
func TestOnlyPublicKeysOfTheSetCount(t *testing.T) {
	stranger := newRSAKey()
	for name, c := range map[string]struct {
		keys   func(p *idp) any
		reason string
	}{
		"two keys of one id": {func(p *idp) any { return set(public(stranger.Public(), "rsa"), public(p.rsa.Public(), "rsa")) }, ""},
		"its private key":    {func(p *idp) any { return set(jose.JSONWebKey{Key: p.rsa, KeyID: "rsa", Use: "sig"}) }, ReasonDown},
		"a symmetric key": {func(*idp) any {
			return set(jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "rsa"})
		}, ReasonDown},
		"a key for encryption":     {func(p *idp) any { return set(jose.JSONWebKey{Key: p.rsa.Public(), KeyID: "rsa", Use: "enc"}) }, ReasonDown},
		"a key of another alg":     {func(p *idp) any { return set(jose.JSONWebKey{Key: p.rsa.Public(), KeyID: "rsa", Algorithm: "PS256"}) }, ReasonToken},
		"a key of another id":      {func(p *idp) any { return set(public(p.rsa.Public(), "other")) }, ReasonToken},
		"no set at all":            {func(*idp) any { return map[string]any{"keys": nil} }, ReasonDown},
		"more keys than are read":  {func(p *idp) any { return many(p, 257) }, ReasonDown},
		"as many as are read":      {func(p *idp) any { return many(p, 256) }, ""},
		"a set larger than 1 MiB":  {func(p *idp) any { return map[string]any{"keys": []any{}, "more": long(bodyLimit)} }, ReasonDown},
		"a key that stands twice":  {func(p *idp) any { return set(public(p.rsa.Public(), "rsa"), public(p.rsa.Public(), "rsa")) }, ""},
		"only another kind of key": {func(*idp) any { return set(public(ecKey().Public(), "rsa")) }, ReasonToken},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIdP(t)
			p.keys = c.keys(p)
			if _, err := p.finish(t, p.upstreams(t), nil); fault.ReasonOf(err) != c.reason || (err == nil) != (c.reason == "") {
				t.Errorf("got %v, want %q", err, c.reason)
			}
		})
	}
}

func public(key any, kid string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key, KeyID: kid, Use: "sig"}
}

func set(keys ...jose.JSONWebKey) jose.JSONWebKeySet { return jose.JSONWebKeySet{Keys: keys} }

// many is a set of n keys, of which the last is the one that signs.
func many(p *idp, n int) any {
	keys := make([]jose.JSONWebKey, n)
	for i := range keys {
		keys[i] = public(ecKey().Public(), fmt.Sprint(i))
	}
	keys[n-1] = public(p.rsa.Public(), "rsa")
	return set(keys...)
}

// A token without a key id is tried with the keys that suit it, while they are few.
func TestATokenWithoutAKeyIDIsTriedWithFewKeys(t *testing.T) {
	for n, ok := range map[int]bool{1: true, 4: true, 5: false} {
		p := newIdP(t)
		keys := make([]jose.JSONWebKey, n)
		for i := range keys {
			keys[i] = public(p.rsa.Public(), fmt.Sprint(i))
		}
		p.keys = set(keys...)
		p.signer = p.sign(jose.SigningKey{Algorithm: jose.RS256, Key: p.rsa})
		if _, err := p.finish(t, p.upstreams(t), nil); (err == nil) != ok {
			t.Errorf("%d keys: %v", n, err)
		}
	}
}

// A key that is new since the keys were read is found, and so is the next one.
func TestARotatedKeyIsFound(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	if _, err := p.finish(t, u, nil); err != nil {
		t.Fatal(err)
	}
	next := newRSAKey()
	p.mu.Lock()
	p.keys = set(public(next.Public(), "next"))
	p.signer = p.sign(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: next, KeyID: "next"}})
	p.mu.Unlock()
	if _, err := p.finish(t, u, nil); err != nil {
		t.Errorf("just before it signs: %v", err)
	}
	if n := p.keyFetch.Load(); n != 2 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestTheRequiredKindOfSignInIsProvenOrRefused(t *testing.T) {
	p := newIdP(t)
	u := p.upstreamsOf(t, func(p *Provider) {
		p.RequireACR, p.RequireAMR = []string{"urn:example:silver", "urn:example:gold"}, []string{"mfa", "hwk"}
	})
	for name, c := range map[string]struct {
		acr, amr any
		reason   string
	}{
		"both":                {"urn:example:gold", []string{"pwd", "hwk"}, ""},
		"the other of each":   {"urn:example:silver", []string{"mfa"}, ""},
		"no acr":              {nil, []string{"mfa"}, ReasonWeak},
		"no amr":              {"urn:example:gold", nil, ReasonWeak},
		"another acr":         {"urn:example:bronze", []string{"mfa"}, ReasonWeak},
		"another amr":         {"urn:example:gold", []string{"pwd"}, ReasonWeak},
		"an empty amr":        {"urn:example:gold", []string{}, ReasonWeak},
		"amr as text":         {"urn:example:gold", "mfa", ReasonToken},
		"acr as a list":       {[]string{"urn:example:gold"}, []string{"mfa"}, ReasonToken},
		"an acr that goes on": {"urn:example:gold ", []string{"mfa"}, ReasonWeak},
	} {
		if _, err := p.finish(t, u, map[string]any{"acr": c.acr, "amr": c.amr}); fault.ReasonOf(err) != c.reason || (err == nil) != (c.reason == "") {
			t.Errorf("%s: got %v, want %q", name, err, c.reason)
		}
	}
}

func TestTheInstantOfTheSignInIsReadWhereTheProviderWritesIt(t *testing.T) {
	p := newIdP(t)
	now := p.clock()
	named := func(p *Provider) { p.AuthTimeClaim = "signed_in_at" }
	fromIat := func(p *Provider) { p.InsecureAuthTimeFromIat = true }
	for name, c := range map[string]struct {
		set    func(*Provider)
		claims map[string]any
		want   time.Time
		ok     bool
	}{
		"by another name":             {named, map[string]any{"signed_in_at": now.Add(-time.Hour).Unix(), "auth_time": now.Unix()}, now.Add(-time.Hour), true},
		"not by that name":            {named, map[string]any{"auth_time": now.Unix()}, time.Time{}, true},
		"by that name, and no time":   {named, map[string]any{"signed_in_at": "noon"}, time.Time{}, false},
		"the token's own, if allowed": {fromIat, map[string]any{"auth_time": nil, "iat": now.Add(-time.Second).Unix()}, now.Add(-time.Second), true},
		"said, and not the token's":   {fromIat, map[string]any{"auth_time": now.Add(-time.Hour).Unix()}, now.Add(-time.Hour), true},
		"the token's is not taken":    {func(*Provider) {}, map[string]any{"auth_time": nil}, time.Time{}, true},
	} {
		id, err := p.finish(t, p.upstreamsOf(t, c.set), c.claims)
		if (err == nil) != c.ok || !id.AuthTime.Equal(c.want) {
			t.Errorf("%s: %s, %v", name, id.AuthTime, err)
		}
	}
}

// IPSIE SL1: a session ends when the provider says so, and one that is over is none.
func TestTheProvidersEndOfTheSessionIsRead(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	now := p.clock()
	for name, c := range map[string]struct {
		value  any
		want   time.Time
		reason string
	}{
		"none":      {nil, time.Time{}, ""},
		"ahead":     {now.Add(time.Minute).Unix(), now.Add(time.Minute), ""},
		"now":       {now.Unix(), time.Time{}, ReasonOver},
		"past":      {now.Add(-time.Minute).Unix(), time.Time{}, ReasonOver},
		"text":      {fmt.Sprint(now.Add(time.Minute).Unix()), time.Time{}, ReasonToken},
		"no time":   {-1, time.Time{}, ReasonToken},
		"a boolean": {true, time.Time{}, ReasonToken},
	} {
		id, err := p.finish(t, u, map[string]any{"session_expiry": c.value})
		if fault.ReasonOf(err) != c.reason || !id.Until.Equal(c.want) {
			t.Errorf("%s: %s, %v", name, id.Until, err)
		}
	}
}

func TestAConnectionAsksForWhatItAlwaysAsksFor(t *testing.T) {
	p := newIdP(t)
	u := p.upstreamsOf(t, func(p *Provider) { p.Prompt, p.ACRValues = "select_account", []string{"urn:a", "urn:b"} })
	l := leg()
	l.UILocales = []string{"fr-CA", "fr"}
	ask := func(l Leg) map[string][]string {
		t.Helper()
		to, err := u.Start(context.Background(), "ironbark-entra", l)
		if err != nil {
			t.Fatal(err)
		}
		return mustParse(t, to).Query()
	}
	got := ask(l)
	if got["prompt"][0] != "select_account" || got["acr_values"][0] != "urn:a urn:b" || got["ui_locales"][0] != "fr-CA fr" {
		t.Errorf("%v", got)
	}
	l.Prompt, l.ACRValues = "login", []string{"urn:gold"}
	if got = ask(l); got["prompt"][0] != "login" || got["acr_values"][0] != "urn:gold" {
		t.Errorf("what a sign-in asks for goes first: %v", got)
	}
}

// What a provider sends by another way is verified by the keys that it signs in with.
func TestATokenThatIsNoSignInIsVerifiedByTheProvidersKeys(t *testing.T) {
	p := newIdP(t)
	u := p.upstreams(t)
	typ, said, err := u.Signed(t.Context(), "ironbark-entra", p.signer([]byte(`{"jti":"1","events":{}}`)))
	if err != nil || typ != "jwt" || said.Equals("jti", "1") != nil {
		t.Errorf("%q, %v, %v", typ, said, err)
	}
	forged := p.sign(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: newRSAKey(), KeyID: "rsa"}})
	for name, raw := range map[string]string{"another's": forged([]byte(`{}`)), "twice a name": p.signer([]byte(`{"a":1,"a":2}`)), "no token": "x", "too long": p.signer([]byte(`{"a":"` + long(tokenMax) + `"}`))} {
		if _, said, err := u.Signed(t.Context(), "ironbark-entra", raw); fault.ReasonOf(err) != ReasonToken || said != nil {
			t.Errorf("%s: %v, %v", name, said, err)
		}
	}
	if _, _, err := u.Signed(t.Context(), "nobody", "x"); fault.ReasonOf(err) != ReasonUnknown {
		t.Errorf("a connection without a provider: %v", err)
	}
}

// A connection that always asks for a fresh sign-in is always given the proof of one.
func TestAConnectionThatAlwaysAsksForAFreshSignInHoldsItToThat(t *testing.T) {
	p := newIdP(t)
	u := p.upstreamsOf(t, func(p *Provider) { p.Prompt = "login" })
	if _, err := p.finish(t, u, map[string]any{"auth_time": p.clock().Add(-time.Hour).Unix()}); fault.ReasonOf(err) != ReasonStale {
		t.Errorf("got %v", err)
	}
	if _, err := p.finish(t, u, nil); err != nil {
		t.Error(err)
	}
}
