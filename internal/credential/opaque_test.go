package credential

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

var kinds = []Kind{KindCode, KindSession, KindRequest, KindAdmin}

func TestOpaqueIsItsOwnKindOnly(t *testing.T) {
	for _, made := range kinds {
		text := NewOpaque(made).Reveal()
		if !strings.HasPrefix(text, "drb_"+string(made)+"_") || len(text) != len("drb__")+len(made)+43+6 {
			t.Errorf("%s looks like %q", made, text)
		}
		for _, asked := range kinds {
			d, err := ParseOpaque(asked, text)
			if made == asked && (err != nil || !d.Equal(DigestOf(text))) {
				t.Errorf("%s is refused: %v", made, err)
			}
			if made != asked && !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("a %s passes for a %s", made, asked)
			}
		}
	}
}

func TestSCIMTokenNamesItsRow(t *testing.T) {
	token, id := NewSCIMToken()
	got, d, err := ParseSCIMToken(token.Reveal())
	if err != nil || got != id || len(id) != 16 || !d.Equal(DigestOf(token.Reveal())) {
		t.Errorf("got %q, %v; want %q", got, err, id)
	}
}

// T-B12: a token is good whole or not at all.
func TestEveryDamageIsRefused(t *testing.T) {
	scim, _ := NewSCIMToken()
	key := refreshKey(t)
	refresh := key.Seal("fam_1", 7, "salt").Reveal()
	for name, c := range map[string]struct {
		text  string
		parse func(string) bool
	}{
		"opaque": {NewOpaque(KindCode).Reveal(), func(s string) bool { _, err := ParseOpaque(KindCode, s); return err == nil }},
		"scim":   {scim.Reveal(), func(s string) bool { _, _, err := ParseSCIMToken(s); return err == nil }},
		"refresh": {refresh, func(s string) bool {
			r, err := ParseRefresh(s)
			return err == nil && key.Verify(r, "salt")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if !c.parse(c.text) {
				t.Fatal("the whole token is refused")
			}
			for _, bad := range damages(c.text) {
				if c.parse(bad) {
					t.Errorf("accepted %q for %q", bad, c.text)
				}
			}
		})
	}
}

// damages gives every prefix, suffix, case flip, swapped character, doubled half and
// a number of appended, prepended and inserted bytes.
func damages(s string) []string {
	var out []string
	for i := range len(s) {
		out = append(out, s[:i], s[i+1:], s[:i]+s[i+1:])
		for _, c := range []string{"\n", "\r", " ", "=", "0", "A", ".", "\x00", "é", "-", "_"} {
			out = append(out, s[:i]+c+s[i:])
			if s[i:i+1] != c {
				out = append(out, s[:i]+c+s[i+1:])
			}
		}
		if c := s[i] ^ 0x20; 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			out = append(out, s[:i]+string(c)+s[i+1:])
		}
		if i > 0 && s[i] != s[i-1] {
			out = append(out, s[:i-1]+s[i:i+1]+s[i-1:i]+s[i+1:])
		}
	}
	for _, c := range []string{"\n", "\r\n", " ", "=", "==", "0", "A", ".", "\x00", "\ufeff"} {
		out = append(out, s+c, c+s)
	}
	return append(out, s+s, strings.ToUpper(s), strings.ToLower(s))
}

func TestRandomTextsAreUniform(t *testing.T) {
	seen := map[byte]int{}
	const draws = 62 * 400
	for _, c := range []byte(random(base62, draws)) {
		seen[c]++
	}
	if len(seen) != 62 {
		t.Fatalf("%d of 62 digits were drawn", len(seen))
	}
	for c, n := range seen {
		if n < 270 || n > 530 { // 400 ± 6.5 standard deviations
			t.Errorf("%q was drawn %d times, 400 expected", c, n)
		}
	}
}

func TestIDsAreLowerCaseAndNeverSpellBulkID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := NewID("per")
		if !strings.HasPrefix(id, "per_") || len(id) != 30 || id != strings.ToLower(id) || strings.Contains(id, "bulkid") {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
	if len(seen) != 1000 || strings.ContainsAny(crockford, "ilou") {
		t.Error("ids repeat, or may spell words")
	}
}

func TestDigest(t *testing.T) {
	d := DigestOf("x")
	text, err := d.MarshalText()
	if err != nil || string(text) != "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" {
		t.Errorf("%s, %v", text, err)
	}
	var back Digest
	if err := back.UnmarshalText(text); err != nil || !back.Equal(d) {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []string{"", "2d", strings.Repeat("z", 64), string(text) + "00"} {
		if err := back.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is a digest", bad)
		}
	}
	if (Digest{}).Equal(Digest{}) || !(Digest{}).IsZero() || d.Equal(DigestOf("y")) {
		t.Error("a secret that was never set matches")
	}
}

func FuzzParseOpaque(f *testing.F) {
	f.Add(NewOpaque(KindCode).Reveal())
	f.Add("drb_code_")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseOpaque(KindCode, s)
		if err != nil {
			if !fault.Is(err, fault.Unauthenticated) || !d.IsZero() {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		for _, bad := range damages(s) {
			if _, err := ParseOpaque(KindCode, bad); err == nil {
				t.Errorf("%q is as good as %q", bad, s)
			}
		}
	})
}

func FuzzParseSCIMToken(f *testing.F) {
	token, _ := NewSCIMToken()
	f.Add(token.Reveal())
	f.Add("drb_scim__")
	secret, _ := NewClientSecret()
	f.Add(secret.Reveal())
	f.Fuzz(func(t *testing.T, s string) {
		if id, d, err := ParseClientSecret(s); err != nil && (!fault.Is(err, fault.Unauthenticated) || !d.IsZero() || id != "") || err == nil && !strings.HasPrefix(s, secretPrefix+id+"_") {
			t.Errorf("%q as a secret: %q, %v", s, id, err)
		}
		id, d, err := ParseSCIMToken(s)
		if err != nil {
			if !fault.Is(err, fault.Unauthenticated) || !d.IsZero() || id != "" {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if !strings.HasPrefix(s, "drb_scim_"+id+"_") || len(id) != publicLen {
			t.Errorf("%q names %q", s, id)
		}
	})
}

func TestIDsOfOneInstantShareItsFront(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	a, b, later := NewIDAt("per", at), NewIDAt("per", at), NewIDAt("per", at.Add(time.Millisecond))
	if a == b || a[:4+timeLen] != b[:4+timeLen] || len(a) != len(NewID("per")) {
		t.Errorf("%s and %s", a, b)
	}
	if a[:4+timeLen] >= later[:4+timeLen] {
		t.Errorf("%s does not sort before %s", a, later)
	}
	if old, far := NewIDAt("per", time.Unix(0, 0)), NewIDAt("per", time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)); old[:4+timeLen] >= far[:4+timeLen] {
		t.Errorf("%s does not sort before %s", old, far)
	}
}
