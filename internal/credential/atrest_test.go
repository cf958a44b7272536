package credential

import (
	"bytes"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

func TestWhatIsSealedAtRestOpensInItsPlaceAlone(t *testing.T) {
	key := func() AtRestKey {
		root := NewDataKey()
		k, err := root.AtRestKey()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k, other := key(), key()
	sealed, err := k.Seal(secret.New("Bearer hunter2"), "streams|a|header")
	if err != nil || bytes.Contains(sealed, []byte("hunter2")) {
		t.Fatalf("%q %v", sealed, err)
	}
	if got, err := k.Open(sealed, "streams|a|header"); err != nil || got.Reveal() != "Bearer hunter2" {
		t.Errorf("%v %v", got, err)
	}
	if _, err := k.Open(sealed, "streams|b|header"); err == nil {
		t.Error("it opens in another place")
	}
	if _, err := other.Open(sealed, "streams|a|header"); err == nil {
		t.Error("it opens under another key")
	}
	if _, err := (AtRestKey{}).Open(sealed, "streams|a|header"); err == nil {
		t.Error("it opens without a key")
	}
	if _, err := (AtRestKey{}).Seal(secret.New("x"), "p"); err == nil {
		t.Error("a secret is sealed without a key")
	}
	if nothing, err := k.Seal(secret.String{}, "p"); nothing != nil || err != nil {
		t.Errorf("no secret is sealed as %q: %v", nothing, err)
	}
}
