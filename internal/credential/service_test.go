package credential

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func serviceKey(t testing.TB) ServiceKey {
	t.Helper()
	k, err := testDataKey(t).ServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func someService() ServiceAccess {
	return ServiceAccess{ID: NewID("tok"), Client: "watch", OAuthScopes: []string{"ssf.read", "ssf.manage"}, Key: "thumbprint",
		Host: 3, Epoch: 7, Issued: noon(), Expires: noon().Add(5 * time.Minute)}
}

func TestAServiceTokenSaysWhatWasSealed(t *testing.T) {
	k, a := serviceKey(t), someService()
	token, err := k.Seal(a)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Open(token.Reveal(), noon())
	if err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("got %+v (%v), want %+v", got, err, a)
	}
	if strings.Contains(token.Reveal(), "watch") || !IsService(token.Reveal()) || IsSCIMAccess(token.Reveal()) {
		t.Error("the token can be read, or is not recognised")
	}
}

func TestNothingElseOpensAsAServiceToken(t *testing.T) {
	k, a := serviceKey(t), someService()
	sealed, err := k.Seal(a)
	if err != nil {
		t.Fatal(err)
	}
	token := sealed.Reveal()
	changed := []byte(token)
	changed[len(changed)/2] ^= 1
	scim, err := scimKey(t).Seal(someAccess())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  ServiceKey
		text string
		at   time.Time
	}{
		"another key":      {serviceKey(t), token, noon()},
		"no key":           {ServiceKey{}, token, noon()},
		"at its end":       {k, token, a.Expires},
		"changed":          {k, string(changed), noon()},
		"cut":              {k, token[:len(token)-3], noon()},
		"another spelling": {k, token + "\n", noon()},
		"a SCIM token":     {k, scim.Reveal(), noon()},
		"a SCIM body":      {k, servicePrefix + strings.TrimPrefix(scim.Reveal(), scimAccessPrefix), noon()},
		"too long":         {k, servicePrefix + strings.Repeat("A", maxService), noon()},
		"nothing":          {k, "", noon()},
	} {
		if got, err := c.key.Open(c.text, c.at); !fault.Is(err, fault.Unauthenticated) || got.Client != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestAServiceTokenBoundToNothingIsNotMade(t *testing.T) {
	k := serviceKey(t)
	for name, change := range map[string]func(*ServiceAccess){
		"no id":           func(a *ServiceAccess) { a.ID = "" },
		"no client":       func(a *ServiceAccess) { a.Client = "" },
		"no scope":        func(a *ServiceAccess) { a.OAuthScopes = nil },
		"no host epoch":   func(a *ServiceAccess) { a.Host = 0 },
		"no client epoch": func(a *ServiceAccess) { a.Epoch = 0 },
		"no end":          func(a *ServiceAccess) { a.Expires = time.Time{} },
		"too much":        func(a *ServiceAccess) { a.OAuthScopes = []string{strings.Repeat("x", maxService)} },
	} {
		a := someService()
		change(&a)
		if token, err := k.Seal(a); err == nil || !token.Empty() {
			t.Errorf("%s: a token was made", name)
		}
	}
	if _, err := (ServiceKey{}).Seal(someService()); err == nil {
		t.Error("the zero key seals")
	}
}

func FuzzOpenService(f *testing.F) {
	k := serviceKey(f)
	f.Add("drb_service_AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := k.Open(token, noon()); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%q: %v", token, err)
		}
	})
}
