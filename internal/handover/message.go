package handover

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Internal is what else is known about a permit, and no customer reads: Texts that people
// wrote about it, whatever they say, and Names of rules, connections and people.
type Internal struct {
	Texts []string
	Names []string
}

// MaxMessage is the longest sentence for a customer, in characters.
const MaxMessage = 500

var (
	ids       = regexp.MustCompile(`(?i)\b[a-z]{2,6}_[0-9a-z]{4,}\b`) // those of this bridge
	addresses = regexp.MustCompile(`(?i)\b(https?://|www\.)\S+|\S+@\S+\.[a-z]{2,}|\b[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}/\S*`)
	paths     = regexp.MustCompile(`(?i)[a-z0-9-]+(/[a-z0-9-]+)+`)
)

// ForCustomer takes what somebody wrote for the customer to read about what was given. An
// error says what no customer should read in it: characters that are not printed, ids of the
// bridge, names of workflows as configuration has them, addresses that are not the support's,
// and what is known about the permit and does not stand in its note.
func ForCustomer(text string, g Given) (Public, error) {
	if err := access.CheckPublic(text, MaxMessage); err != nil {
		return Public{}, fmt.Errorf("the message %w", err)
	}
	for _, w := range access.Workflows() {
		if named(text, string(w)) {
			return Public{}, fmt.Errorf("the message names %s: say %q", w, workflows[w])
		}
	}
	for _, found := range [][]string{ids.FindAllString(text, 1), foreign(text, g.Vendor), ways(text, g.Scopes), g.known(text)} {
		if len(found) > 0 {
			return Public{}, fmt.Errorf("the message names %s, which no customer can read: say it in words", found[0])
		}
	}
	return Public{text}, nil
}

// foreign are the addresses in a text that are not where the vendor's support is.
func foreign(text string, v Vendor) (found []string) {
	for _, a := range addresses.FindAllString(text, -1) {
		a = strings.TrimRight(a, ".,;:!?)")
		if !holds(strings.Join([]string{v.Name, v.Support, v.Email, v.Hours}, " "), a) {
			found = append(found, a)
		}
	}
	return found
}

// ways are the paths in a text that lead to or by one of these scopes.
func ways(text string, scopes []access.Scope) (found []string) {
	for _, p := range paths.FindAllString(text, -1) {
		for _, s := range scopes {
			for _, slug := range s.Slugs() {
				if slug != "" && strings.Contains("/"+strings.ToLower(p)+"/", "/"+strings.ToLower(slug)+"/") {
					found = append(found, p)
				}
			}
		}
	}
	return found
}

// known is what a text holds of what is known and not public. A word like others, such as a
// slug, tells nothing.
func (g Given) known(text string) (found []string) {
	public := g.public()
	about := func(s string) {
		if s != "" && !public[folded(s)] && holds(text, s) {
			found = append(found, fmt.Sprintf("%q", s))
		}
	}
	if !holds(g.Catalogue.PublicName(g.Permit.Grant), string(g.Permit.Grant)) {
		about(string(g.Permit.Grant))
	}
	for _, s := range append([]string{"drawbridge"}, g.Internal.Texts...) {
		about(s)
	}
	var all []string
	texts(reflect.ValueOf(g), &all)
	for _, s := range all {
		if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) }) {
			about(s)
		}
	}
	return found
}

// public are the texts that stand in the note, folded.
func (g Given) public() map[string]bool {
	all := []string{g.Vendor.Name, g.Vendor.Support, g.Vendor.Email, g.Vendor.Hours, g.Owner.Contact,
		g.Catalogue.PublicName(g.Permit.Grant), g.Catalogue.PublicDescription(g.Permit.Grant)}
	if g.Place != nil {
		all = append(all, g.Place.String())
	}
	if len(g.Scopes) > 0 {
		for _, p := range area(g.Scopes) {
			all = append(all, p.text)
		}
	}
	out := map[string]bool{}
	for _, s := range all {
		out[folded(s)] = true
	}
	return out
}

// texts are those of every exported field of a value, so that a field that comes later is
// looked at, too.
func texts(v reflect.Value, all *[]string) {
	switch v.Kind() {
	case reflect.String:
		*all = append(*all, v.String())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				texts(v.Field(i), all)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			texts(v.Index(i), all)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			texts(k, all)
			texts(v.MapIndex(k), all)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			texts(v.Elem(), all)
		}
	}
}

// folded is a text without what a reader does not see of it.
func folded(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// holds reports whether a text stands in another, not as a part of a longer word.
func holds(text, part string) bool {
	text, part = folded(text), folded(part)
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for at := 0; part != "" && at < len(text); {
		i := strings.Index(text[at:], part)
		if i < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(text[:at+i])
		after, _ := utf8.DecodeRuneInString(text[at+i+len(part):])
		if !word(before) && !word(after) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[at+i:])
		at += i + size
	}
	return false
}

// named reports whether an identifier stands in a text. One without a dot or an underline is
// a word like others.
func named(text, identifier string) bool {
	return strings.ContainsAny(identifier, "._") && holds(text, identifier)
}
