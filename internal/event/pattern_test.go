package event

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"
)

// Types says what the constants say: a new fact is listed, or this fails.
func TestTypesListsEveryFact(t *testing.T) {
	src, err := os.ReadFile("event.go")
	if err != nil {
		t.Fatal(err)
	}
	var declared []Type
	for _, m := range regexp.MustCompile(`(?m)^\t\w+ +Type = "([a-z_.]+)"`).FindAllSubmatch(src, -1) {
		declared = append(declared, Type(m[1]))
	}
	if listed := Types(); len(declared) < 50 || !slices.Equal(listed, declared) {
		t.Errorf("declared: %v\nlisted:   %v", declared, listed)
	}
}

func TestAPatternNamesAFactAFamilyOrAll(t *testing.T) {
	for _, c := range []struct {
		pattern Pattern
		matches string // of the three below
	}{
		{"*", "[session.revoked session.started person.deleted]"},
		{"session.*", "[session.revoked session.started]"},
		{"session.revoked", "[session.revoked]"},
		{"sess*", "[]"},
		{"session.re*", "[]"},
		{"session", "[]"},
		{"*.revoked", "[]"},
		{"", "[]"},
	} {
		var got []Type
		for _, f := range []Type{SessionRevoked, SessionStarted, PersonDeleted} {
			if c.pattern.Matches(f) {
				got = append(got, f)
			}
		}
		if fmt.Sprint(got) != c.matches {
			t.Errorf("%q matches %v, want %s", c.pattern, got, c.matches)
		}
	}
}

func TestEveryListedPatternNamesSomething(t *testing.T) {
	for _, p := range Patterns() {
		if !slices.ContainsFunc(Types(), p.Matches) {
			t.Errorf("%q names nothing", p)
		}
	}
}
