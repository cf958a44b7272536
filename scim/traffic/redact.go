package traffic

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// credential is what a token or a secret of this server begins with, and what follows.
var credential = regexp.MustCompile(`drb_[^\s"'<>(),;]*`)

// mail is what looks like an address.
var mail = regexp.MustCompile(`[^\s"'<>(),;:]*@[^\s"'<>(),;:]*`)

// ours says of a text that it is an id that this server made.
func ours(s string) bool {
	kind, rest, _ := strings.Cut(s, "_")
	return (kind == "per" || kind == "grp") && rest != "" && len(rest) <= 40 && only(rest, "abcdefghijklmnopqrstuvwxyz0123456789")
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// nameLike says of a text that a schema might have it for a name: of an attribute, a URN,
// a path of them. An address has an @, and a person's name a space.
func nameLike(s string) bool {
	return s != "" && strings.Contains(letters+"$", s[:1]) && only(s, letters+"0123456789_.:$-")
}

// only says that s holds no other characters.
func only(s, characters string) bool {
	for i := range len(s) {
		if strings.IndexByte(characters, s[i]) < 0 {
			return false
		}
	}
	return true
}

// Text is a value of that attribute as it may be shown: by its type and length,
// unless it says nothing of a person. a is nil where nobody knows the attribute.
func Text(rt *schema.ResourceType, a *schema.Attribute, value string) string {
	switch {
	case a != nil && a.Dropped:
		return "[never kept]"
	case a != nil && !a.Searchable():
		return neverShown
	case a != nil && harmless(rt, a, value):
		return fmt.Sprintf("%q", schema.Clip(value))
	}
	return fmt.Sprintf("[%s, %s]", typeOf(a), plural(utf8.RuneCountInString(value), "character", "characters"))
}

// neverShown stands for the value of an attribute that its schema never returns.
const neverShown = "[never shown]"

// harmless says of a text that it names nobody: an id that this server made where an
// id belongs, a word that the schema itself suggests, when a resource was changed,
// and what a group is called.
func harmless(rt *schema.ResourceType, a *schema.Attribute, value string) bool {
	switch {
	case a.Name == "schemas" && a.URN == "":
		return attributeLike(value)
	case a.Name == "id" || a.Name == "value" && a.Parent != nil && a.Parent.Relation:
		return ours(value)
	case a.Parent != nil && a.Parent.Name == "meta" && a.Parent.URN == "":
		return a.Type == schema.DateTime && only(value, "0123456789-:.TZ+")
	case rt != nil && rt.Core.ID == schema.GroupURN && a.URN == schema.GroupURN && a.Name == "displayName":
		return true
	}
	return slices.ContainsFunc(a.CanonicalValues, func(word string) bool { return strings.EqualFold(word, value) })
}

func typeOf(a *schema.Attribute) string {
	if a == nil {
		return "text"
	}
	switch a.Type {
	case schema.DateTime:
		return "date"
	case schema.Reference:
		return "reference"
	case schema.Binary:
		return "binary"
	}
	return "text"
}

// Filter writes a filter with what it searches for hidden.
func Filter(rt *schema.ResourceType, e filter.Expr) string {
	return filter.Print(e, func(c *filter.Compare) string { return literal(rt, c) })
}

func literal(rt *schema.ResourceType, c *filter.Compare) string {
	switch {
	case c.Value.Null:
		return "null"
	case c.Attr.Type == schema.Boolean:
		return c.Value.Text
	case c.Attr.Type == schema.Integer, c.Attr.Type == schema.Decimal:
		return "[number]"
	}
	return Text(rt, c.Attr, c.Value.Text)
}

// Name is a name as a client sent it, where a schema's name was expected: one that
// could be something else is shown by its length.
func Name(sent string) string {
	if len(sent) <= 200 && nameLike(sent) {
		return sent
	}
	return fmt.Sprintf("[name, %s]", plural(utf8.RuneCountInString(sent), "character", "characters"))
}

// Detail is a refusal's sentence with the values that it quotes hidden: what stands
// between double quotes, unless it is a name of a schema or an id of ours, and
// whatever looks like an address.
func Detail(sentence string) string {
	if !strings.ContainsAny(sentence, `"@`) {
		return sentence
	}
	var b strings.Builder
	for rest := sentence; rest != ""; {
		before, after, found := strings.Cut(rest, `"`)
		b.WriteString(before)
		if !found {
			break
		}
		inside, behind := quoted(after)
		if !strings.HasSuffix(before, "W/") || !only(inside, "0123456789abcdef") { // a version is ours
			inside = shownQuoted(inside)
		}
		b.WriteString(`"` + inside + `"`)
		rest = behind
	}
	return mail.ReplaceAllString(b.String(), "[address]")
}

// Where is the place that a refusal names, as it was sent: an attribute, a path, a
// filter that was not understood. Of its words those that a schema or the grammar
// says are shown.
func Where(rt *schema.ResourceType, at string) string {
	at = clip(at, mostLine)
	prefix := inRequest.FindString(at)
	var b strings.Builder
	b.WriteString(prefix)
	for rest := at[len(prefix):]; rest != ""; {
		before, after, found := strings.Cut(rest, `"`)
		b.WriteString(word.ReplaceAllStringFunc(before, func(w string) string { return sayable(rt, w) }))
		if !found {
			break
		}
		inside, behind := quoted(after)
		b.WriteString(`"` + shownQuoted(inside) + `"`)
		rest = behind
	}
	return b.String()
}

// What a place may begin with, and the words in it.
var (
	inRequest = regexp.MustCompile(`^Operations\[\d+\] ?`)
	word      = regexp.MustCompile(`[^\s"()\[\]/,=…]+`)
	grammar   = []string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr", "and", "or", "not", "true", "false", "null",
		"op", "path", "value", "operations", "schemas", "filter", "sortby", "sortorder", "method", "bulkid", "data"}
)

func sayable(rt *schema.ResourceType, w string) string {
	if slices.Contains(grammar, strings.ToLower(w)) || attributeLike(w) {
		return w
	}
	if rt != nil {
		if a, err := rt.Attribute(w); err == nil && a != nil {
			return w
		}
	}
	return fmt.Sprintf("[%s]", plural(utf8.RuneCountInString(w), "character", "characters"))
}

// quoted cuts at the closing quote. Where there is none, the text was shortened: it
// ends with an ellipsis, or is all that follows.
func quoted(s string) (inside, behind string) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[:i], s[i+1:]
		}
	}
	if cut := strings.Index(s, "…"); cut >= 0 {
		return s[:cut], s[cut:]
	}
	return s, ""
}

// ownWords stand between quotes and name nobody: refusals say how a token is sent, and
// "work" is the type that most paths select by.
var ownWords = []string{"Bearer <token>", "Authorization: Bearer <token>", "work"}

func shownQuoted(s string) string {
	if ours(s) || attributeLike(s) || slices.Contains(ownWords, s) {
		return s
	}
	return fmt.Sprintf("[%s]", plural(utf8.RuneCountInString(s), "character", "characters"))
}

// attributeLike takes what only a schema says: a URN, or one of its attributes'
// names. A single word could be somebody's name.
func attributeLike(s string) bool {
	if strings.HasPrefix(strings.ToLower(s), "urn:") {
		return nameLike(s)
	}
	for _, rt := range []*schema.ResourceType{schema.Users(), schema.Groups()} {
		if a, err := rt.Attribute(s); err == nil && a != nil {
			return true
		}
	}
	return false
}

// Leniencies are notes as sentences, with the names in them as they may be shown. What
// RFC 7644 section 3.3 itself has passed over is none: attributes that are read-only,
// and a password, which no server has to keep.
func Leniencies(rt *schema.ResourceType, notes []string) []string {
	var said []string
	for _, note := range notes {
		word, at, _ := strings.Cut(note, ": ")
		if word == schema.NoteReadOnly || word == schema.NoteDropped {
			continue
		}
		said = append(said, schema.Sentence(word, noted(rt, at)))
	}
	return said
}

func noted(rt *schema.ResourceType, at string) string {
	if rt != nil && strings.Contains(at, "[") {
		if p, err := filter.ParsePath(rt, at); err == nil {
			return where(rt, p)
		}
	}
	return Name(at)
}
