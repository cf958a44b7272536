// Package suggest finds the word that somebody probably meant.
package suggest

import (
	"slices"
	"strings"
)

// maxWord bounds the work: longer words get no suggestion.
const maxWord = 128

// Closest returns the candidate that differs least from word, or "" if none is
// near. Case does not count; up to a third of the letters may differ (at most
// three), a swap of neighbours counts once. Of equally near ones the first by
// alphabet wins.
func Closest(word string, candidates []string) string {
	if word == "" || len(word) > maxWord {
		return ""
	}
	from := []rune(strings.ToLower(word))
	best, bestDistance := "", min(3, max(1, len(from)/3))+1
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if c == word || len(c) > maxWord {
			continue
		}
		if d := distance(from, []rune(strings.ToLower(c))); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts insertions, deletions, replacements and swaps of neighbours.
func distance(a, b []rune) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
