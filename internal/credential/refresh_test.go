package credential

import (
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func testDataKey(t testing.TB) DataKey {
	t.Helper()
	root := NewDataKey()
	return root
}

func refreshKey(t testing.TB) RefreshKey {
	t.Helper()
	k, err := testDataKey(t).RefreshKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRefreshTokenProvesItsFamilyAndNumber(t *testing.T) {
	k := refreshKey(t)
	token := k.Seal("fam_1", 7, "salt").Reveal()
	if token != k.Seal("fam_1", 7, "salt").Reveal() {
		t.Error("the successor of a token cannot be computed again")
	}
	r, err := ParseRefresh(token)
	if err != nil || r.Family != "fam_1" || r.N != 7 || !k.Verify(r, "salt") {
		t.Fatalf("%v, %v", r, err)
	}
	for name, ok := range map[string]bool{
		"another salt":   k.Verify(r, "salz"),
		"no salt":        k.Verify(r, ""),
		"another key":    refreshKey(t).Verify(r, "salt"),
		"no key":         RefreshKey{}.Verify(r, "salt"),
		"another number": k.Verify(Refresh{r.Family, 8, r.mac}, "salt"),
		"another family": k.Verify(Refresh{"fam_2", 7, r.mac}, "salt"),
		"no proof":       k.Verify(Refresh{Family: "fam_1", N: 7}, "salt"),
	} {
		if ok {
			t.Errorf("verified with %s", name)
		}
	}
	for _, text := range []string{token, refreshPrefix + strings.Repeat("A", 200), "", "Bearer " + token} {
		if _, err := ParseOpaque(KindCode, text); err == nil {
			t.Errorf("%q passes for a code", text)
		}
	}
}

// The zero key is one that anybody has: nothing is sealed under it.
func TestNoRefreshKeySealsNothing(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("sealed under no key")
		}
	}()
	RefreshKey{}.Seal("fam_1", 1, "salt")
}

// No two triples of family, number and salt share a proof by running together.
func TestRefreshProofIsInjective(t *testing.T) {
	k := refreshKey(t)
	seen := map[[32]byte]string{}
	for _, family := range []string{"a", "ab", "abc", "a\x00\x00\x00\x00\x00\x00\x00\x01"} {
		for _, salt := range []string{"", "c", "bc", "\x00"} {
			for _, n := range []int64{0, 1, 256} {
				mac, text := k.mac(family, n, salt), strings.Join([]string{family, salt}, "|")
				if other, twice := seen[mac]; twice {
					t.Errorf("%q and %q share a proof", other, text)
				}
				seen[mac] = text
			}
		}
	}
}

func FuzzParseRefresh(f *testing.F) {
	k := refreshKey(f)
	f.Add(k.Seal("fam_1", 1, "salt").Reveal())
	f.Add(k.Seal(strings.Repeat("f", maxFamily), 1<<62, "salt").Reveal())
	f.Add(refreshPrefix)
	other := refreshKey(f)
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRefresh(s)
		if err != nil {
			if !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if r.Family == "" || len(r.Family) > maxFamily || r.N < 1 || other.Verify(r, "salt") {
			t.Errorf("%q: %v", s, r)
		}
	})
}
