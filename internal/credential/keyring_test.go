package credential

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"

	_ "github.com/drawbridge-id/drawbridge/internal/rsakey/rsakeytest" // no new keys for each test
	"github.com/go-jose/go-jose/v4"
)

// The key set must be one that others can use: go-jose reads it, and verifies by it.
func TestOthersVerifyByTheKeySet(t *testing.T) {
	ring := testRing(t, testDataKey(t), ES256, RS256)
	i := NewIssuer(issuerURL, func() *Keyring { return ring })
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(ring.JWKS(), &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%d keys, %v", len(set.Keys), err)
	}
	o := order()
	o.ID.Alg = RS256
	m, err := i.Mint(o)
	if err != nil {
		t.Fatal(err)
	}
	for token, alg := range map[string]jose.SignatureAlgorithm{m.AccessToken: jose.ES256, m.IDToken: jose.RS256} {
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{alg})
		if err != nil {
			t.Fatal(err)
		}
		keys := set.Key(jws.Signatures[0].Header.KeyID)
		if len(keys) != 1 || !keys[0].IsPublic() || keys[0].Use != "sig" {
			t.Fatalf("%v", keys)
		}
		if _, err := jws.Verify(keys[0]); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if public, ok := ring.Public(keys[0].KeyID); !ok || !public.(interface{ Equal(crypto.PublicKey) bool }).Equal(keys[0].Key) {
			t.Error("Public gives another key")
		}
	}
	if _, ok := ring.Public("key_none"); ok {
		t.Error("a key that is not there")
	}
	for _, private := range []string{`"d"`, `"p"`, `"q"`, `"dp"`} {
		if strings.Contains(string(ring.JWKS()), private+":") {
			t.Errorf("the key set holds %s", private)
		}
	}
}

// The header by which a key is found is the one that its tokens have, byte for byte.
func TestAKeyIsFoundByTheHeaderOfItsTokens(t *testing.T) {
	ring := testRing(t, testDataKey(t), ES256, RS256)
	for _, k := range ring.keys {
		for header, signer := range map[string]jose.Signer{k.accessHeader: k.access, k.idHeader: k.id} {
			token, err := sign(signer, []byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if has, _, _ := strings.Cut(token, "."); has != header {
				t.Errorf("%s: a token has the header %s, the key is found by %s", k.algorithm, has, header)
			}
		}
	}
}

// Threats: T-E8.
func TestKeyringRefusesKeysThatDoNotFit(t *testing.T) {
	root := testDataKey(t)
	made := func(alg string) SealedKey {
		k, err := root.GenerateKey(alg, KeyActive, noon())
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	reseal := func(k SealedKey, private any) SealedKey {
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		if k.Sealed, err = root.seal(der, k.place()); err != nil {
			t.Fatal(err)
		}
		return k
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	wrongCurve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a, b, r := made(ES256), made(ES256), made(RS256)
	swapped, renamed, forged, cut := a, a, a, a
	swapped.Sealed, swapped.Public = b.Sealed, b.Public
	renamed.ID = "key_other"
	forged.Public = b.Public
	cut.Sealed = a.Sealed[:len(a.Sealed)-1]
	for name, keys := range map[string][]SealedKey{
		"swapped rows":     {swapped},
		"another id":       {renamed},
		"another's public": {forged},
		"cut":              {cut},
		"empty":            {{ID: "key_1", Algorithm: ES256, State: KeyActive}},
		"twice":            {a, a},
		"wrong algorithm":  {{ID: a.ID, Algorithm: RS256, Sealed: a.Sealed, Public: a.Public, State: KeyActive}},
		"no state":         {{ID: a.ID, Algorithm: ES256, Sealed: a.Sealed, Public: a.Public}},
		"weak RSA":         {reseal(r, weak)},
		"wrong curve":      {reseal(a, wrongCurve)},
		"one bad of two":   {b, cut},
	} {
		if ring, err := NewKeyring(root, keys); err == nil || ring != nil {
			t.Errorf("%s: a keyring was made", name)
		}
	}
	if _, err := NewKeyring(testDataKey(t), []SealedKey{a}); err == nil {
		t.Error("another data key opens it")
	}
	if _, err := NewKeyring(DataKey{}, []SealedKey{a}); err == nil {
		t.Error("no data key opens it")
	}
	if _, err := (DataKey{}).GenerateKey(ES256, KeyActive, noon()); err == nil {
		t.Error("sealed under no data key")
	}
	if _, err := root.GenerateKey("HS256", KeyActive, noon()); err == nil {
		t.Error("made an HMAC key")
	}
}

func TestRootKeyTextIsStrict(t *testing.T) {
	good := NewRootKey().Reveal()
	for name, text := range map[string]string{
		"good": good, "without line end": strings.TrimSpace(good), "Windows line end": strings.TrimSpace(good) + "\r\n",
	} {
		if _, err := ParseRootKey([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "no prefix": strings.TrimPrefix(good, rootPrefix), "short": good[:len(good)-3], "long": strings.TrimSpace(good) + "AAAA",
		"zeros": rootPrefix + b64(strings.Repeat("\x00", 32)), "one byte": rootPrefix + b64(strings.Repeat("k", 32)),
		"not base64": rootPrefix + strings.Repeat("!", 43), "two lines": good + good,
	} {
		if _, err := ParseRootKey([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseRootKey(f *testing.F) {
	f.Add([]byte(NewRootKey().Reveal()))
	f.Add([]byte(rootPrefix))
	f.Fuzz(func(t *testing.T, text []byte) {
		if root, err := ParseRootKey(text); err == nil && root.key == nil {
			t.Errorf("%q is no key", text)
		}
	})
}
