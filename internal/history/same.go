package history

import (
	"fmt"
	"regexp"
	"strings"
)

// volatile are what two runs of one script differ in, whoever else is there: ids that were
// drawn, instants, versions that instants make.
var volatile = []struct {
	kind string
	is   *regexp.Regexp
}{
	{"time", regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)},
	{"uuid", regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)},
	{"id", regexp.MustCompile(`\b[a-z]{2,4}_[0-9a-z]{10,}\b`)},
}

// Normaliser gives what was drawn a name by the order in which it came up: two runs of one
// script are the same text, if they were answered the same.
type Normaliser struct{ names map[string]string }

// Text is an answer with names for what was drawn. The same id has the same name in every
// text of one Normaliser.
func (n *Normaliser) Text(s string) string {
	if n.names == nil {
		n.names = map[string]string{}
	}
	for _, v := range volatile {
		s = v.is.ReplaceAllStringFunc(s, func(drawn string) string {
			if v.kind == "time" {
				return "<time>" // their number depends on how fast the machine was
			}
			name, known := n.names[drawn]
			if !known {
				name = fmt.Sprintf("<%s %d>", v.kind, len(n.names)+1)
				n.names[drawn] = name
			}
			return name
		})
	}
	return s
}

// Diverge compares two runs of one script, answer by answer, and says where they first
// differ: "" if they are the same (I-7). More answers in one of them are a difference.
func Diverge(one, other []string) string {
	var a, b Normaliser
	for i := range max(len(one), len(other)) {
		var here, there string
		if i < len(one) {
			here = a.Text(one[i])
		}
		if i < len(other) {
			there = b.Text(other[i])
		}
		if here != there {
			return fmt.Sprintf("answer %d:\n%s\n%s", i+1, strings.TrimSpace(here), strings.TrimSpace(there))
		}
	}
	return ""
}
