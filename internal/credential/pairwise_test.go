package credential

import (
	"fmt"
	"strings"
	"testing"
)

func pairwiseKey(t testing.TB) PairwiseKey {
	t.Helper()
	k, err := testDataKey(t).PairwiseKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestANameIsTheSameInItsSectorAndLeadsBack(t *testing.T) {
	k, id := pairwiseKey(t), NewID("per")
	name := k.Name("fleet.example", id)
	if again := k.Name("fleet.example", id); again != name {
		t.Errorf("two names in one sector: %s, %s", name, again)
	}
	if got, ok := k.Open("fleet.example", name); !ok || got != id {
		t.Errorf("the name leads to %q, %v", got, ok)
	}
	if len(name) > 255 || strings.ContainsAny(name, " \"\\") || strings.Contains(name, id[4:]) {
		t.Errorf("%q is no sub, no OAuth scope or shows the id", name)
	}
	if k.Name("fleet.example", "") != "" {
		t.Error("nobody has a name")
	}
}

func TestNamesOfTwoSectorsHaveNothingInCommon(t *testing.T) {
	k, id := pairwiseKey(t), NewID("per")
	seen := map[string]string{}
	for _, sector := range []string{"a.example", "b.example", "", "a.exampl", "a.example2"} {
		name := k.Name(sector, id)
		body := strings.TrimPrefix(name, pairwisePrefix)
		for i := 0; i+8 <= len(body); i++ {
			part := fmt.Sprintf("%d:%s", i, body[i:i+8])
			if other, there := seen[part]; there {
				t.Errorf("%q and %q share %s", sector, other, part)
			}
			seen[part] = sector
		}
		if _, ok := k.Open(sector+"x", name); ok {
			t.Errorf("the name in %q opens in another sector", sector)
		}
	}
	if k.Name("a", "bc") == k.Name("ab", "c") {
		t.Error("a sector runs into the id")
	}
}

func TestNothingElseIsAName(t *testing.T) {
	k, id := pairwiseKey(t), NewID("per")
	name := k.Name("s", id)
	changed := []byte(name)
	changed[len(changed)/2] ^= 1
	for what, c := range map[string]struct {
		key  PairwiseKey
		text string
	}{
		"the id itself": {k, id}, "another key's": {pairwiseKey(t), name}, "no key": {PairwiseKey{}, name}, "changed": {k, string(changed)},
		"cut": {k, name[:len(name)-4]}, "another spelling": {k, name + "="}, "no prefix": {k, name[3:]}, "empty": {k, ""}, "only a tag": {k, name[:25]},
		"too long": {k, pairwisePrefix + strings.Repeat("A", 400)},
	} {
		if got, ok := c.key.Open("s", c.text); ok {
			t.Errorf("%s opens as %q", what, got)
		}
	}
}

func FuzzOpenPairwise(f *testing.F) {
	k := pairwiseKey(f)
	f.Add("s", "pw_AAAA")
	f.Add("s", k.Name("s", "per_1"))
	f.Fuzz(func(t *testing.T, sector, name string) {
		if id, ok := k.Open(sector, name); ok && k.Name(sector, id) != name {
			t.Errorf("%q is another spelling of %q", name, id)
		}
	})
}
