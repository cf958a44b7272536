package mapping

import (
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// captureLevel is the level that a name between braces means. The host is none of
// them: there is one, and nothing to capture.
func captureLevel(name string) (access.Level, bool) {
	var l access.Level
	if l.UnmarshalText([]byte(name)) != nil || l == access.Host {
		return 0, false
	}
	return l, true
}

// captureNames lists them for suggestions.
func captureNames() []string {
	return []string{access.ServiceProvider.String(), access.Account.String(), access.Fleet.String()}
}

// piece is either folded literal text or the capture of a level.
type piece struct {
	literal string
	capture access.Level
}

// pattern is a group's display name as a rule writes it: "GL {fleet} Managers".
type pattern []piece

// parsePattern reads a display name with captures. A name that really holds a
// brace can only be asked for by group_id.
func parsePattern(text string) (pattern, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("group is empty")
	}
	var p pattern
	seen := map[access.Level]bool{}
	for text != "" {
		brace := strings.IndexAny(text, "{}")
		if brace < 0 {
			return append(p, piece{literal: schema.Fold(text)}), nil
		}
		if brace > 0 {
			p = append(p, piece{literal: schema.Fold(text[:brace])})
		}
		name, rest, closed := strings.Cut(text[brace+1:], "}")
		if text[brace] == '}' || !closed {
			return nil, fmt.Errorf("a brace in group has no partner; use group_id for a name that holds one")
		}
		level, known := captureLevel(name)
		if !known {
			return nil, unknownCapture(name)
		}
		if seen[level] {
			return nil, fmt.Errorf("{%s} is captured twice", name)
		}
		seen[level] = true
		p = append(p, piece{capture: level})
		text = rest
	}
	return p, nil
}

// captures lists the levels the pattern captures, in the order of the text.
func (p pattern) captures() []access.Level {
	var levels []access.Level
	for _, x := range p {
		if x.capture != 0 {
			levels = append(levels, x.capture)
		}
	}
	return levels
}

// fill is the folded name of the group that stands for these captured texts; it is
// folded again, for a text may begin with a mark that composes with what stands before.
func (p pattern) fill(bound map[access.Level]string) string {
	var b strings.Builder
	for _, x := range p {
		b.WriteString(x.literal)
		b.WriteString(bound[x.capture])
	}
	return schema.Fold(b.String())
}

// squashed is the pattern with spaces and punctuation taken out of its literals.
func (p pattern) squashed() pattern {
	var out pattern
	for _, x := range p {
		x.literal = squash(x.literal)
		if x.literal != "" || x.capture != 0 {
			out = append(out, x)
		}
	}
	return out
}

// fits reports whether a folded name has the pattern's literals in their order
// with some text for every capture, whether or not that text names a scope. It
// reads the name once.
func (p pattern) fits(name string) bool {
	gap := 0 // bytes that captures before this literal must still take
	open := false
	for i, x := range p {
		if x.capture != 0 {
			gap, open = gap+1, true
			continue
		}
		if !open {
			if !strings.HasPrefix(name, x.literal) {
				return false
			}
			name = name[len(x.literal):]
			continue
		}
		if len(name) < gap {
			return false
		}
		at := strings.Index(name[gap:], x.literal)
		if i == len(p)-1 {
			at = len(name) - gap - len(x.literal)
			if !strings.HasSuffix(name, x.literal) {
				at = -1
			}
		}
		if at < 0 {
			return false
		}
		name, gap, open = name[gap+at+len(x.literal):], 0, false
	}
	if open {
		return len(name) >= gap
	}
	return name == ""
}
