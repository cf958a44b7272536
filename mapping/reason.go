package mapping

import (
	"fmt"
	"strings"
)

// String is the reason as people read it, without where the rule stands: a + for
// what matched, a ~ for what nearly did, a - for the rest.
func (r Reason) String() string {
	var b strings.Builder
	switch {
	case r.Matched:
		b.WriteString("+ ")
	case r.Near:
		b.WriteString("~ ")
	default:
		b.WriteString("- ")
	}
	b.WriteString(r.Rule)
	if r.Group != "" {
		fmt.Fprintf(&b, "  %q", r.Group)
	}
	b.WriteString("  " + r.Because)
	if len(r.Gives) > 0 {
		b.WriteString(" -> " + strings.Join(r.Gives, ", "))
	}
	return b.String()
}

// String is "file:line:col", or "" where nothing is known.
func (p Pos) String() string {
	if p.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}
