package assertion

import (
	"slices"
	"strings"
	"testing"
)

// FuzzKeySets: a set that may be listed in a file is read alike where it is
// published, and no error repeats what might be a private key.
func FuzzKeySets(f *testing.F) {
	const curve = `"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"`
	for _, seed := range []string{`{"keys":[{` + curve + `}]}`, `{"keys":[{` + curve + `,"kid":"1","use":"sig","alg":"ES256"},{"kty":"oct","k":"c2VjcmV0"}]}`,
		`{"keys":[{` + curve + `,"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}]}`, `{"keys":[]}`, `{"keys":[null]}`, `[]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, set []byte) {
		listed, err := ParseKeys(set)
		if err != nil {
			const longest = 12 // of a secret that chance may have put into our own words
			for word := range strings.FieldsSeq(err.Error()) {
				if len(word) > longest && strings.Contains(string(set), `"`+word+`"`) {
					t.Errorf("the error repeats %q: %v", word, err)
				}
			}
			return
		}
		found, err := published(set)
		same := func(a, b Key) bool { return a.Thumbprint == b.Thumbprint && a.ID == b.ID && a.Algorithm == b.Algorithm }
		if err != nil || len(listed) == 0 || len(listed) > maxListed || !slices.EqualFunc(listed, found, same) {
			t.Errorf("%s: listed %v, published %v (%v)", set, listed, found, err)
		}
	})
}
