package credential

import (
	"testing"
	"time"
)

// TestANonceIsGoodForTwoSlicesOfTime and for no other key.
func TestANonceIsGoodForTwoSlicesOfTime(t *testing.T) {
	key, err := testDataKey(t).NonceKey()
	if err != nil {
		t.Fatal(err)
	}
	from := time.Unix(1_800_000_000, 0).Truncate(nonceSlice)
	nonce := key.Nonce(from)
	for after, good := range map[time.Duration]bool{-time.Second: false, 0: true, nonceSlice: true, 2*nonceSlice - time.Second: true, 2 * nonceSlice: false} {
		if key.Good(nonce, from.Add(after)) != good {
			t.Errorf("after %s it is good: %t", after, !good)
		}
	}
	if len(nonce) != 24 || key.Nonce(from.Add(nonceSlice)) == nonce || key.Good("", from) || key.Good(nonce+"A", from) {
		t.Errorf("nonce %q", nonce)
	}
	other := NewDataKey()
	if k, err := other.NonceKey(); err != nil || k.Good(nonce, from) {
		t.Errorf("another key finds it good (%v)", err)
	}
	if none := (NonceKey{}); none.Nonce(from) != "" || none.Good("", from) || none.Good(nonce, from) {
		t.Error("no key makes a nonce")
	}
}
