package credential

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func scimKey(t testing.TB) SCIMAccessKey {
	t.Helper()
	k, err := testDataKey(t).SCIMAccessKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func someAccess() SCIMAccess {
	return SCIMAccess{Connection: "southern-entra", Client: NewSCIMClientID(), Proof: "secret:abc", Host: 1, Epoch: 7, Expires: noon().Add(SCIMAccessLife)}
}

func TestASCIMAccessTokenSaysWhatWasSealed(t *testing.T) {
	k, a := scimKey(t), someAccess()
	token, err := k.Seal(a)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Open(token.Reveal(), noon())
	if err != nil || got != a {
		t.Errorf("got %+v (%v), want %+v", got, err, a)
	}
	if again, err := k.Seal(a); err != nil || again.Reveal() == token.Reveal() {
		t.Errorf("two tokens are one (%v)", err)
	}
	if strings.Contains(token.Reveal(), "southern") || !IsSCIMAccess(token.Reveal()) {
		t.Error("the token can be read, or is not recognised")
	}
}

func TestNothingElseOpensAsASCIMAccessToken(t *testing.T) {
	k, a := scimKey(t), someAccess()
	sealed, err := k.Seal(a)
	if err != nil {
		t.Fatal(err)
	}
	token := sealed.Reveal()
	changed := []byte(token)
	changed[len(changed)/2] ^= 1
	staticToken, _ := NewSCIMToken()
	clientSecret, _ := NewClientSecret()
	cursor := cursorKey(t).Seal([]byte("place"), "list")
	for name, c := range map[string]struct {
		key  SCIMAccessKey
		text string
		at   time.Time
	}{
		"another key":      {scimKey(t), token, noon()},
		"no key":           {SCIMAccessKey{}, token, noon()},
		"at its end":       {k, token, a.Expires},
		"changed":          {k, string(changed), noon()},
		"cut":              {k, token[:len(token)-3], noon()},
		"another spelling": {k, token + "\n", noon()},
		"no prefix":        {k, strings.TrimPrefix(token, scimAccessPrefix), noon()},
		"a static token":   {k, staticToken.Reveal(), noon()},
		"a client secret":  {k, clientSecret.Reveal(), noon()},
		"a cursor":         {k, scimAccessPrefix + cursor, noon()},
		"too long":         {k, scimAccessPrefix + strings.Repeat("A", maxSCIMAccess), noon()},
		"nothing":          {k, "", noon()},
	} {
		if got, err := c.key.Open(c.text, c.at); !fault.Is(err, fault.Unauthenticated) || got != (SCIMAccess{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestATokenBoundToNothingIsNotMade(t *testing.T) {
	k := scimKey(t)
	for name, change := range map[string]func(*SCIMAccess){
		"no connection":       func(a *SCIMAccess) { a.Connection = "" },
		"no client":           func(a *SCIMAccess) { a.Client = "" },
		"no proof":            func(a *SCIMAccess) { a.Proof = "" },
		"a proof too long":    func(a *SCIMAccess) { a.Proof = strings.Repeat("x", maxSCIMField+1) },
		"no host epoch":       func(a *SCIMAccess) { a.Host = 0 },
		"no connection epoch": func(a *SCIMAccess) { a.Epoch = 0 },
		"no end":              func(a *SCIMAccess) { a.Expires = time.Time{} },
	} {
		a := someAccess()
		change(&a)
		if token, err := k.Seal(a); err == nil || !token.Empty() {
			t.Errorf("%s: a token was made", name)
		}
	}
	if _, err := (SCIMAccessKey{}).Seal(someAccess()); err == nil {
		t.Error("the zero key seals")
	}
}

func TestAClientSecretIsItsOwnKind(t *testing.T) {
	text, publicID := NewClientSecret()
	got, digest, err := ParseClientSecret(text.Reveal())
	if err != nil || got != publicID || !digest.Equal(DigestOf(text.Reveal())) {
		t.Errorf("%s, %v", got, err)
	}
	token, _ := NewSCIMToken()
	for name, s := range map[string]string{"a SCIM token": token.Reveal(), "a wrong digit": text.Reveal()[:len(text.Reveal())-1] + "!", "nothing": ""} {
		if _, _, err := ParseClientSecret(s); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := ParseSCIMToken(text.Reveal()); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a client secret is a SCIM token: %v", err)
	}
}

// Whatever is sealed in a token's place, reading it ends, and what is read was whole.
func FuzzReadSCIMAccess(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 'c', 1, 'd', 1, 'p'})
	f.Add([]byte{1, 200})
	f.Fuzz(func(t *testing.T, plain []byte) {
		if a, ok := readSCIMAccess(plain); ok && !a.whole() {
			t.Errorf("%+v is not whole", a)
		}
	})
}

func FuzzOpenSCIMAccess(f *testing.F) {
	k := scimKey(f)
	f.Add("drb_scimat_AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := k.Open(token, noon()); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: %v", token, err)
		}
	})
}
