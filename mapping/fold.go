package mapping

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// fold makes names comparable: composed (NFC), every rune replaced by one
// of its simple case orbit. Two names fold equal exactly when
// strings.EqualFold holds for their composed forms.
func fold(name string) string {
	if isASCII(name) { // nearly all are, and lower case is their fold
		return strings.ToLower(name)
	}
	return strings.Map(foldRune, norm.NFC.String(name))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > unicode.MaxASCII {
			return false
		}
	}
	return true
}

func foldRune(r rune) rune {
	if r <= unicode.MaxASCII {
		return unicode.ToLower(r)
	}
	least := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		least = min(least, o)
	}
	if least <= unicode.MaxASCII {
		return unicode.ToLower(least)
	}
	return least
}

// squash keeps the letters and digits of a folded name: names that squash equal
// differ in spaces and punctuation only, which is how people mistype them.
func squash(folded string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, folded)
}
