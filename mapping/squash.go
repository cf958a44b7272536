package mapping

import (
	"strings"
	"unicode"
)

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
