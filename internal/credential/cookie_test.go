package credential

import (
	"fmt"
	"strings"
	"testing"
)

func TestACookieIsFollowedByOneOtherAndOnlyUnderTheKey(t *testing.T) {
	key := func() CookieKey {
		k, err := testDataKey(t).CookieKey()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k, first := key(), NewOpaque(KindSession).Reveal()
	seen := map[string]bool{first: true}
	for cookie, i := first, 0; i < 2000; i++ {
		next := k.Next(cookie).Reveal()
		if d, err := ParseOpaque(KindSession, next); err != nil || d != DigestOf(next) || seen[next] {
			t.Fatalf("after %d: %q is no new cookie (%v)", i, next, err)
		}
		if k.Next(cookie).Reveal() != next {
			t.Fatal("the same cookie is followed by another one the next time")
		}
		seen[next] = true
		cookie = next
	}
	if key().Next(first).Reveal() == k.Next(first).Reveal() {
		t.Error("another key makes the same cookie")
	}
	if text := fmt.Sprintf("%v %+v %#v %s", k, k, k, k); strings.Count(text, "[redacted]") != 4 {
		t.Errorf("the key prints as %s", text)
	}
	defer func() {
		if recover() == nil {
			t.Error("no key makes a cookie")
		}
	}()
	CookieKey{}.Next(first)
}
