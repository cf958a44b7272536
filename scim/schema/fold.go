package schema

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold is the one case fold by which caseExact=false values are compared and kept
// unique: NFC, Unicode simple case folding, NFC again. It is idempotent. The store
// keeps folded text beside the original; SQL never folds, since its notions of
// case differ between engines.
func Fold(s string) string {
	if folded, ok := foldASCII(s); ok {
		return folded
	}
	return norm.NFC.String(strings.Map(foldRune, norm.NFC.String(s)))
}

func foldASCII(s string) (string, bool) {
	upper := false
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return "", false
		}
		upper = upper || 'A' <= s[i] && s[i] <= 'Z'
	}
	if !upper {
		return s, true
	}
	return lowerASCII(s), true
}

// foldRune picks one rune for each orbit of unicode.SimpleFold: the lower case of
// the upper case, unless that lies outside the orbit (the Turkish dotted and
// dotless i, which simple folding leaves alone).
func foldRune(r rune) rune {
	want := unicode.ToLower(unicode.ToUpper(r))
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		if other == want {
			return want
		}
	}
	return r
}
