package config

import (
	"slices"
	"strings"
	"unicode"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// within is the place of a character of a text whose value begins at p, and how wide
// the word is that begins there: behind the escapes of a quoted text, and on the later
// lines of one on several lines.
func (l *loader) within(p mapping.Pos, text string, offset int) (mapping.Pos, int) {
	r := l.of(p.File)
	runes := []rune(text)
	if r == nil || p.Line > len(r.lines) || offset > len(runes) {
		return p, 1
	}
	at := cursor{lines: r.lines, line: p.Line - 1, col: p.Col - 1}
	at.begin()
	for _, c := range runes[:offset] {
		at.pass(c)
	}
	if offset < len(runes) {
		at.find(runes[offset])
	}
	return mapping.Pos{File: p.File, Line: at.line + 1, Col: at.col + 1}, max(1, word(runes[offset:]))
}

// word is how long the name, the operator or the quoted text is that a text begins with.
func word(text []rune) int {
	if len(text) > 0 && (text[0] == '"' || text[0] == '\'') {
		if end := slices.Index(text[1:], text[0]); end >= 0 {
			return end + 2
		}
	}
	name := func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("_.", c) }
	operator := func(c rune) bool { return strings.ContainsRune("=<>!&|", c) }
	of := name
	if len(text) > 0 && operator(text[0]) {
		of = operator
	}
	for i, c := range text {
		if !of(c) {
			return i
		}
	}
	return len(text)
}

// cursor walks over the source of a text, in step with the text.
type cursor struct {
	lines     []string
	line, col int // from 0; columns are characters
}

func (c *cursor) rest() []rune {
	if c.line >= len(c.lines) {
		return nil
	}
	line := []rune(c.lines[c.line])
	return line[min(c.col, len(line)):]
}

// begin steps over what stands before a text: a quote, or the header of a block.
func (c *cursor) begin() {
	rest := c.rest()
	switch {
	case len(rest) == 0:
	case rest[0] == '"' || rest[0] == '\'':
		c.col++
	case rest[0] == '|' || rest[0] == '>':
		c.nextLine()
	}
}

// nextLine goes to the next line that has something, behind its indent.
func (c *cursor) nextLine() {
	for c.line++; c.line < len(c.lines); c.line++ {
		if text := strings.TrimLeft(c.lines[c.line], " \t"); text != "" {
			c.col = len([]rune(c.lines[c.line])) - len([]rune(text))
			return
		}
	}
}

// find goes to where a character of the text stands, if that is further on.
func (c *cursor) find(r rune) {
	for len(c.rest()) == 0 && !unicode.IsSpace(r) && c.line < len(c.lines) {
		c.nextLine()
	}
	for rest := c.rest(); !unicode.IsSpace(r) && len(rest) > 0 && unicode.IsSpace(rest[0]); rest = c.rest() {
		if c.col++; len(c.rest()) == 0 {
			c.nextLine()
		}
	}
}

// pass steps over a character of the text: itself, an escape of it, or, for a space,
// the end of a line.
func (c *cursor) pass(r rune) {
	c.find(r)
	rest := c.rest()
	switch {
	case len(rest) == 0 || unicode.IsSpace(r) && !unicode.IsSpace(rest[0]):
		// a space that stands for the end of a line: find goes on from here
	case rest[0] == '\\' && r != '\\' || rest[0] == '\\' && len(rest) > 1 && rest[1] == '\\':
		c.col += escape(rest)
	case r == '\'' && len(rest) > 1 && rest[0] == '\'' && rest[1] == '\'':
		c.col += 2
	default:
		c.col++
	}
}

// escape is how long the escape at the beginning is.
func escape(rest []rune) int {
	if len(rest) < 2 {
		return len(rest)
	}
	return min(len(rest), 2+map[rune]int{'x': 2, 'u': 4, 'U': 8}[rest[1]])
}
