package suggest

import "testing"

func TestClosest(t *testing.T) {
	grants := []string{"associate", "technician", "standard", "elevated", "administrator"}
	for word, want := range map[string]string{
		"standrad":   "standard", // a swap of neighbours
		"Standard":   "standard", // only the case
		"technican":  "technician",
		"adminstrtr": "administrator",
		"viewer":     "",
		"":           "",
		"standard":   "", // it is itself right: whatever is wrong is something else
	} {
		if got := Closest(word, grants); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestShortWordsForgiveOneLetter(t *testing.T) {
	if got := Closest("ot", []string{"to", "id"}); got != "to" {
		t.Errorf("got %q", got)
	}
	if got := Closest("xy", []string{"id"}); got != "" {
		t.Errorf("nothing is near xy, got %q", got)
	}
}

func TestTheFirstByAlphabetWins(t *testing.T) {
	if got := Closest("bat", []string{"cat", "hat", "bar"}); got != "bar" {
		t.Errorf("got %q", got)
	}
}
