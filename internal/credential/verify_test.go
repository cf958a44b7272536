package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func minted(t testing.TB, i *Issuer) Minted {
	t.Helper()
	m, err := i.Mint(order())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What a node has minted it knows, and what it has not it checks: both say the same.
func TestMintedTokenIsKnownToItsMaker(t *testing.T) {
	ring := testRing(t, testDataKey(t), ES256)
	maker, other := NewIssuer(issuerURL, func() *Keyring { return ring }), NewIssuer(issuerURL, func() *Keyring { return ring })
	m := minted(t, maker)
	known, ok := maker.seen.get(DigestOf(m.AccessToken), ring.keys[0])
	if !ok {
		t.Fatal("the maker does not know it")
	}
	checked, err := other.Verify(m.AccessToken, noon())
	if err != nil || !reflect.DeepEqual(known, checked) {
		t.Errorf("known   %+v\nchecked %+v\n%v", known, checked, err)
	}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// T-B12: an access token is good whole or not at all, also once it is remembered.
func TestEveryDamageToAnAccessTokenIsRefused(t *testing.T) {
	i := testIssuer(t, ES256)
	m := minted(t, i)
	if _, err := i.Verify(m.AccessToken, noon()); err != nil {
		t.Fatal(err)
	}
	for n, bad := range damages(m.AccessToken) {
		if _, err := i.Verify(bad, noon()); !fault.Is(err, fault.Unauthenticated) {
			t.Fatalf("damage %d accepted: %q", n, bad)
		}
	}
	for n, bad := range damages(m.IDToken) {
		if n%7 == 0 {
			if _, err := i.VerifyIDToken(bad); !fault.Is(err, fault.Unauthenticated) {
				t.Fatalf("damage %d accepted: %q", n, bad)
			}
		}
	}
}

// T-E9: each kind of token is good for its own purpose only.
func TestTokensAreNotTakenForEachOther(t *testing.T) {
	i := testIssuer(t, ES256)
	m := minted(t, i)
	if _, err := i.Verify(m.IDToken, noon()); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("an ID token passes for an access token: %v", err)
	}
	if _, err := i.VerifyIDToken(m.AccessToken); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("an access token passes for an ID token: %v", err)
	}
}

func TestVerifyJudgesTheClockAtEachUse(t *testing.T) {
	i := testIssuer(t, ES256)
	m := minted(t, i)
	for _, at := range []struct {
		now time.Time
		ok  bool
	}{
		{noon(), true}, {m.Expires.Add(-1), true}, {m.Expires, false}, {m.Expires.Add(time.Hour), false},
		{noon().Add(-maxSkew), true}, {noon().Add(-maxSkew - 1), false}, {noon(), true},
	} {
		if _, err := i.Verify(m.AccessToken, at.now); (err == nil) != at.ok {
			t.Errorf("at %s: %v", at.now, err)
		}
	}
	if _, err := i.VerifyIDToken(m.IDToken); err != nil {
		t.Errorf("an expired ID token is a good hint: %v", err)
	}
}

// I-30: a remembered signature does not outlive its key.
func TestARemovedKeysTokensAreRefused(t *testing.T) {
	root := testDataKey(t)
	before, after := testRing(t, root, ES256), testRing(t, root, ES256)
	ring := before
	i := NewIssuer(issuerURL, func() *Keyring { return ring })
	m := minted(t, i)
	if _, err := i.Verify(m.AccessToken, noon()); err != nil {
		t.Fatal(err)
	}
	ring = after
	if _, err := i.Verify(m.AccessToken, noon()); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the key is gone: %v", err)
	}
}

func TestARetiredKeyStillVerifies(t *testing.T) {
	root := testDataKey(t)
	k, err := root.GenerateKey(ES256, KeyActive, noon())
	if err != nil {
		t.Fatal(err)
	}
	next, err := root.GenerateKey(ES256, KeyActive, noon().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	rings := map[string]*Keyring{}
	for _, state := range []KeyState{KeyActive, KeyRetired} {
		k.State = state
		if rings[string(state)], err = NewKeyring(root, []SealedKey{k, next}); err != nil {
			t.Fatal(err)
		}
	}
	only, err := NewKeyring(root, []SealedKey{{ID: k.ID, Algorithm: k.Algorithm, Sealed: k.Sealed, Public: k.Public, State: KeyActive, Created: k.Created}})
	if err != nil {
		t.Fatal(err)
	}
	ring := only
	i := NewIssuer(issuerURL, func() *Keyring { return ring })
	m := minted(t, i)
	ring = rings[string(KeyRetired)]
	if _, err := i.Verify(m.AccessToken, noon()); err != nil {
		t.Errorf("a retired key's token has not ended: %v", err)
	}
	if newer := minted(t, i); strings.HasPrefix(newer.AccessToken, strings.Split(m.AccessToken, ".")[0]) {
		t.Error("a retired key signs")
	}
}

// T-F1: whatever the header says, the key, its algorithm and the type are ours.
func TestForgedHeadersAreRefused(t *testing.T) {
	ring := testRing(t, testDataKey(t), ES256, RS256)
	i := NewIssuer(issuerURL, func() *Keyring { return ring })
	m := minted(t, i)
	_, body, signature, _ := split(m.AccessToken)
	kid, _ := ring.signer(ES256)
	public, err := x509.MarshalPKIXPublicKey(kid.public)
	if err != nil {
		t.Fatal(err)
	}
	mac := func(header string) string {
		h := hmac.New(sha256.New, public)
		h.Write([]byte(b64(header) + "." + body))
		return b64(string(h.Sum(nil)))
	}
	for _, header := range []string{
		`{"alg":"none","typ":"at+jwt"}`, `{"alg":"none","kid":"` + kid.kid + `","typ":"at+jwt"}`,
		`{"alg":"HS256","kid":"` + kid.kid + `","typ":"at+jwt"}`, `{"alg":"RS256","kid":"` + kid.kid + `","typ":"at+jwt"}`,
		`{"alg":"ES256","kid":"../../dev/null","typ":"at+jwt"}`, `{"alg":"ES256","typ":"at+jwt"}`,
		`{"alg":"ES256","kid":"` + kid.kid + `","typ":"AT+JWT"}`, `{"alg":"ES256","kid":"` + kid.kid + `","typ":"at+jwt","crit":["x"],"x":1}`,
		`{"alg":"ES256","kid":"` + kid.kid + `","typ":"at+jwt","jku":"https://evil.example"}`,
		`{"alg":"ES256","kid":"` + kid.kid + `","typ":"at+jwt" }`, `{}`, ``, `[]`,
	} {
		for _, sig := range []string{signature, mac(header), "", "AA"} {
			if _, err := i.Verify(b64(header)+"."+body+"."+sig, noon()); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("accepted header %s", header)
			}
		}
	}
}

// Signed by nobody of ours, under our own header.
func TestAnotherIssuersSignatureIsRefused(t *testing.T) {
	ours, theirs := testIssuer(t, ES256), testIssuer(t, ES256)
	header, _, _, _ := split(minted(t, ours).AccessToken)
	_, body, signature, _ := split(minted(t, theirs).AccessToken)
	if _, err := ours.Verify(header+"."+body+"."+signature, noon()); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("accepted: %v", err)
	}
}

// T-F5: each claim removed in turn, each of a wrong type, signed by our own key.
func TestEveryClaimIsRequired(t *testing.T) {
	ring := testRing(t, testDataKey(t), ES256)
	i := NewIssuer(issuerURL, func() *Keyring { return ring })
	key, err := ring.signer(ES256)
	if err != nil {
		t.Fatal(err)
	}
	claims := payload(t, minted(t, i).AccessToken)
	try := func(c map[string]any) error {
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		token, err := sign(key.access, raw)
		if err != nil {
			t.Fatal(err)
		}
		_, err = i.Verify(token, noon())
		return err
	}
	if err := try(claims); err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) map[string]any {
		c := map[string]any{}
		for k, v := range claims {
			c[k] = v
		}
		if c[name] = value; value == nil {
			delete(c, name)
		}
		return c
	}
	for _, name := range []string{"iss", "aud", "client_id", "sub", "sid", "jti", "iat", "exp", "connection", "epochs"} {
		for _, value := range []any{nil, "", 0, -1, true, []any{}, []any{"a"}, map[string]any{}, strings.Repeat("9", 40)} {
			if text, ok := value.(string); ok && text != "" && name != "iss" && name != "iat" && name != "exp" && name != "epochs" {
				continue // a longer name is a name
			}
			if err := try(with(name, value)); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("accepted with %s = %v", name, value)
			}
		}
	}
	for _, epochs := range []any{[]any{1, 2, 3, 4}, []any{1, 2, 3, 4, 5, 6}, []any{1, 2, 3, 4, 5.5}, "1,2,3,4,5"} {
		if err := try(with("epochs", epochs)); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("accepted epochs %v", epochs)
		}
	}
	if err := try(with("exp", claims["iat"])); !fault.Is(err, fault.Unauthenticated) {
		t.Error("accepted a token that ends before it begins")
	}
	if err := try(with("iss", issuerURL+"/")); !fault.Is(err, fault.Unauthenticated) {
		t.Error("accepted another issuer")
	}
}

func TestOversizedTokensAreNotLookedAt(t *testing.T) {
	i := testIssuer(t, ES256)
	header, _, _, _ := split(minted(t, i).AccessToken)
	if _, err := i.Verify(header+"."+strings.Repeat("A", MaxToken)+".AA", noon()); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
}

// What is remembered is bounded, and shows the same answer.
// Threats: T-B14.
func TestMemoryOfVerifiedTokensIsBounded(t *testing.T) {
	v := newVerified()
	key, other := &signingKey{kid: "a"}, &signingKey{kid: "b"}
	for n := range 3 * verifiedShards * verifiedGeneration {
		v.put(DigestOf(fmt.Sprint(n)), key, AccessClaims{JTI: fmt.Sprint(n)}, 100)
		if c, ok := v.get(DigestOf("0"), key); n < 100 && (!ok || c.JTI != "0") {
			t.Fatal("what is used stays")
		}
	}
	held := 0
	for i := range v.shards {
		held += len(v.shards[i].young) + len(v.shards[i].old)
	}
	if held > 2*verifiedShards*verifiedGeneration {
		t.Errorf("%d tokens are remembered", held)
	}
	if c, ok := v.get(DigestOf("0"), key); !ok || c.JTI != "0" {
		t.Error("what was asked for all the time was dropped")
	}
	if _, ok := v.get(DigestOf("0"), other); ok {
		t.Error("remembered for another key")
	}
	v.put(DigestOf("long"), key, AccessClaims{}, verifiedLongest+1)
	if _, ok := v.get(DigestOf("long"), key); ok {
		t.Error("a long token is remembered")
	}
}

// Whatever is offered, Verify neither accepts it nor falls over; and a token of ours
// with any one byte replaced is refused.
func FuzzVerify(f *testing.F) {
	i := testIssuer(f, ES256)
	m := minted(f, i)
	header, body, signature, _ := split(m.AccessToken)
	f.Add(m.AccessToken, 3, byte('A'))
	f.Add(m.IDToken, 0, byte('e'))
	f.Add("a.b.c", 1, byte('.'))
	f.Add(header+"."+body+"\n."+signature, 1, byte(0))
	f.Add(header+"."+b64("{}")+"."+signature, 1, byte(0))
	f.Fuzz(func(t *testing.T, token string, at int, with byte) {
		if _, err := i.Verify(token, noon()); token != m.AccessToken && !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("accepted %q: %v", token, err)
		}
		damaged := []byte(m.AccessToken)
		at = int(uint(at) % uint(len(damaged)))
		if damaged[at] == with {
			return
		}
		damaged[at] = with
		if _, err := i.Verify(string(damaged), noon()); err == nil {
			t.Errorf("byte %d as %q is accepted", at, with)
		}
	})
}

// One refresh: an access token and an ID token.
func BenchmarkMint(b *testing.B) {
	i := testIssuer(b, ES256)
	o := order()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Mint(o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	i := testIssuer(b, ES256)
	m := minted(b, i)
	b.Run("repeated", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := i.Verify(m.AccessToken, noon()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("distinct", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			i.seen = newVerified()
			if _, err := i.Verify(m.AccessToken, noon()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
