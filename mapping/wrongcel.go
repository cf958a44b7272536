package mapping

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
)

// tell passes on what CEL found wrong with a text, in the words of this program.
func tell(wrong []*cel.Error, text string, say func(inside place, hint, format string, args ...any)) {
	for i, e := range wrong {
		if i == 3 {
			return // the rest follows from these
		}
		at := place{line: e.Location.Line(), col: e.Location.Column() + 1}
		message, _, _ := strings.Cut(e.Message, "\n")
		plain, hint, function := inWords(strings.TrimPrefix(message, "Syntax error: "))
		if function != "" { // CEL points to the bracket behind it
			at = at.before(text, function)
		}
		if not := at.before(text, "not "); not != at {
			at, hint, plain = not, "!", quoted("not")+" cannot stand here"
		}
		say(at, hint, "%s", plain)
	}
}

// before moves a place to the beginning of a word that ends there.
func (p place) before(text, word string) place {
	runes := []rune(text)
	offset := p.offset(text)
	if offset > len(runes) {
		return p
	}
	before, ends := strings.CutSuffix(string(runes[:offset]), word)
	if !ends || endsInName.MatchString(before) {
		return p
	}
	p.col -= utf8.RuneCountInString(word)
	return p
}

var endsInName = regexp.MustCompile(`[\pL\pN_]$`)

// What CEL says, of which the groups are of interest.
var (
	noToken    = regexp.MustCompile(`^token recognition error at: '(.*)'$`)
	noInput    = regexp.MustCompile(`^(?:mismatched|extraneous) input '(.*?)' expecting .*$`)
	noSuch     = regexp.MustCompile(`^missing '(.*?)' at '(.*)'$`)
	noWay      = regexp.MustCompile(`^no viable alternative at input '(.*)'$`)
	noWord     = regexp.MustCompile(`^reserved identifier: (\w+)$`)
	noFunction = regexp.MustCompile(`^undeclared reference to '(\w+)'(?: \(in container '.*?'\))?(?: \(did you mean '(\w+)'\?\))?.*$`)
	noOverload = regexp.MustCompile(`^found no matching overload for '(.+?)' applied to '(?:(.+)\.)?\((.*)\)'$`)
	anOperator = regexp.MustCompile(`^(?:_|@)([^_]+)_?$|^([!-])_$`)
)

// meant is what people write who know other languages.
var meant = map[string]string{"=": "==", "&": "&&", "|": "||", "and": "&&", "or": "||", "not": "!", "is": "=="}

// inWords says what CEL says, with what was probably meant, and the function that it is
// about, if it is about one.
func inWords(message string) (plain, hint, function string) {
	if m := noToken.FindStringSubmatch(message); m != nil {
		was := strings.TrimSpace(m[1])
		if strings.HasPrefix(was, `"`) || strings.HasPrefix(was, "'") {
			return "the text that begins here has no end: its " + was[:1] + " is missing", "", ""
		}
		if strings.Contains("“”„«»‘’", was) {
			return quoted(was) + ` means nothing here; texts stand in "straight quotes"`, "", ""
		}
		return quoted(was) + " means nothing here", meant[was], ""
	}
	if m := noInput.FindStringSubmatch(message); m != nil {
		if m[1] == "<EOF>" {
			return "something is missing at the end", "", ""
		}
		return quoted(m[1]) + " cannot stand here", meant[m[1]], ""
	}
	if m := noSuch.FindStringSubmatch(message); m != nil {
		if m[2] == "<EOF>" {
			return quoted(m[1]) + " is missing at the end", "", ""
		}
		return quoted(m[1]) + " is missing before " + quoted(m[2]), "", ""
	}
	if m := noWay.FindStringSubmatch(message); m != nil {
		return quoted(m[1]) + " cannot be read", "", ""
	}
	if m := noWord.FindStringSubmatch(message); m != nil {
		return "the word " + quoted(m[1]) + " cannot stand in a condition", "", ""
	}
	if m := noFunction.FindStringSubmatch(message); m != nil {
		return "there is no function " + m[1], m[2], m[1]
	}
	if m := noOverload.FindStringSubmatch(message); m != nil {
		return unfit(m[1], m[2], m[3])
	}
	switch {
	case strings.HasPrefix(message, "comprehension exceeds nesting limit"):
		return fmt.Sprintf("loops stand inside each other more than %d deep", maxLoops), "", ""
	case strings.HasPrefix(message, "expression recursion limit exceeded"), strings.HasPrefix(message, "max recursion depth exceeded"):
		return fmt.Sprintf("expressions stand inside each other more than %d deep", maxParse), "", ""
	}
	switch message {
	case "invalid timestamp argument":
		return "this is not an instant such as 2027-06-30T00:00:00Z: a date, a time and a zone (RFC 3339)", "", ""
	case "invalid duration argument":
		return `this is not a duration such as 720h: hours, minutes and seconds, "h", "m" and "s"`, "", ""
	}
	return message, "", ""
}

// unfit is an operator or a function that does not take what it is given.
func unfit(name, of, given string) (plain, hint, function string) {
	kinds := strings.Split(given, ", ")
	lists := strings.Contains(given, "list(") || strings.HasPrefix(of, "list(")
	symbol := ""
	if m := anOperator.FindStringSubmatch(name); m != nil {
		symbol = m[1] + m[2]
	}
	both := symbol
	if len(kinds) == 2 {
		both += " does not take " + one(kinds[0]) + " and " + one(kinds[1])
	}
	switch {
	case symbol == "in" && len(kinds) == 2:
		return "in looks into a list or a map, and this is " + one(kinds[1]), "", ""
	case symbol != "" && len(kinds) == 2 && strings.Contains(given, "null"):
		return symbol + " does not take null; has(attr.NAME) says whether somebody has an attribute", "", ""
	case symbol != "" && len(kinds) == 2 && lists:
		return both + `; "x" in LIST looks into a list`, "", ""
	case symbol != "" && len(kinds) == 2 && slices.Contains(kinds, "timestamp") && slices.Contains(kinds, "string"):
		return both + `; timestamp("2027-06-30T00:00:00Z") is an instant`, "", ""
	case symbol != "" && len(kinds) == 2:
		return both, "", ""
	case symbol != "":
		return symbol + " does not take " + one(given), "", ""
	case of != "" && lists:
		return name + " is no function of " + one(of) + `; "x" in LIST looks into a list`, "", name
	case of != "":
		return name + " of " + one(of) + " does not take (" + given + ")", "", name
	}
	return name + " does not take (" + given + ")", "", name
}

// one puts the article before a type.
func one(kind string) string {
	if strings.HasPrefix(kind, "int") {
		return "an " + kind
	}
	return "a " + kind
}

func quoted(word string) string {
	if strings.Contains(word, `"`) && !strings.Contains(word, "'") {
		return "'" + word + "'"
	}
	return `"` + word + `"`
}
