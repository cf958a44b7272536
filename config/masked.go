package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// What a line looks like that carries a secret, or that begins one.
var (
	// holdsSecret finds a key that a literal secret stands under, and URLs with a password.
	holdsSecret = regexp.MustCompile(`(?i)(secret|password|passwd)["']?\s*:|[?]\s*["']?\w*(secret|password|passwd)["']?\s*$|://[^/\s]*:[^/\s]*@|(password|passwd)\s*=|[?&][^=&\s]*%[^=&\s]*=`)
	escaped     = regexp.MustCompile(`\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})`)
	// secretKey is such a key in whole.
	secretKey = regexp.MustCompile(`(?i)(secret|password|passwd)$`)
	// keyOnly is a line that begins with such a key: what is before it, and its value.
	keyOnly = regexp.MustCompile(`(?i)^(\s*(?:-\s+)*)["']?\w*(?:secret|password|passwd)["']?\s*:\s*(.*)$`)
)

// maskedLine stands for a line that is not shown.
const maskedLine = "# [a line that may hold a secret]"

// Masked is the text of a configuration file without the lines that hold, or may
// hold, a secret, those included that a secret goes on in. A comment stands for each,
// so that lines keep their numbers.
func Masked(text string) string {
	return masked(text, secretLines(strings.Split(text, "\n")))
}

// masked is text without the lines that are hidden.
func masked(text string, hidden []bool) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		if hidden[i] {
			lines[i] = lines[i][:len(lines[i])-len(strings.TrimLeft(lines[i], " "))] + maskedLine
		}
	}
	return strings.Join(lines, "\n")
}

// secretLines says which lines may hold a secret. In doubt, one does.
func secretLines(lines []string) []bool {
	hidden := make([]bool, len(lines))
	for i := 0; i < len(lines); i++ {
		line := unescaped(lines[i])
		if !holdsSecret.MatchString(line) {
			continue
		}
		hidden[i] = true
		for n := goesOn(lines, i, line); n > 0; n-- {
			i++
			hidden[i] = true
		}
	}
	return hidden
}

// unescaped writes letters for \x, \u and \U, behind which the name of a key could hide.
func unescaped(line string) string {
	return escaped.ReplaceAllStringFunc(line, func(s string) string {
		n, err := strconv.ParseUint(s[2:], 16, 32)
		if err != nil {
			return s
		}
		return string(rune(n)) //nolint:gosec // at most 32 bits
	})
}

// goesOn counts the lines after line i that its value may go on in: all that are
// empty or further in than its key, and all up to the quote that closes it.
func goesOn(lines []string, i int, line string) int {
	depth := len(line) - len(strings.TrimLeft(line, " "))
	quote := ""
	if m := keyOnly.FindStringSubmatch(line); m != nil {
		depth = len(m[1]) // behind "- "
		quote = openQuote(m[2])
	}
	n := 0
	for _, next := range lines[i+1:] {
		in := len(next) - len(strings.TrimLeft(next, " \t"))
		switch {
		case quote != "":
			if strings.Contains(next, quote) {
				quote = ""
			}
		case strings.TrimSpace(next) != "" && in <= depth && !strings.HasPrefix(strings.TrimSpace(next), ": "):
			return n
		}
		n++
	}
	return n
}

// openQuote is the quote that a value begins with and that its line does not close.
func openQuote(value string) string {
	if value == "" || value[0] != '"' && value[0] != '\'' || strings.Contains(value[1:], value[:1]) {
		return ""
	}
	return value[:1]
}

// hideSecrets hides what a parsed document says under a key of a secret, wherever its
// lines stand: inside braces a value may stand further out than its key, and a key may
// be folded.
func (r *report) hideSecrets(doc ast.Node) {
	ast.Walk(secretFinder{r}, doc)
}

type secretFinder struct{ *report }

// Visit implements ast.Visitor.
func (f secretFinder) Visit(n ast.Node) ast.Visitor {
	v, ok := n.(*ast.MappingValueNode)
	if !ok || v.Key == nil || v.Value == nil || !secretKey.MatchString(v.Key.GetToken().Value) {
		return f
	}
	key, value := v.Key.GetToken(), v.Value.GetToken()
	from, to := key.Position.Line-strings.Count(key.Origin, "\n"), value.Position.Line+strings.Count(value.Origin, "\n")
	if next := value.Next; next != nil && next.Position != nil {
		to = max(value.Position.Line, next.Position.Line-1)
		if slices.Contains([]token.Type{token.MappingEndType, token.SequenceEndType, token.CollectEntryType}, next.Type) {
			to = next.Position.Line
		}
	}
	for line := max(from, 1); line <= min(to, len(f.hidden)); line++ {
		f.hidden[line-1] = true
	}
	return f
}
