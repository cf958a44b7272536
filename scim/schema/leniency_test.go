package schema

import (
	"os"
	"regexp"
	"testing"
)

// Whoever adds a note says in Sentence what it means.
func TestEveryNoteIsASentence(t *testing.T) {
	source, err := os.ReadFile("leniency.go")
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`\tNote\w+ += "([a-z-]+)"`).FindAllSubmatch(source, -1)
	if len(words) < 15 {
		t.Fatalf("only %d notes were found", len(words))
	}
	for _, w := range words {
		if word := string(w[1]); Sentence(word, "emails") == word+": emails" {
			t.Errorf("%s has no sentence", word)
		}
	}
}
