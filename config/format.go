package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Format gives a configuration file its usual spacing: no byte order mark, lines that
// end in a line feed and in nothing else that is not seen, at most one empty line
// between two others and none at the beginning or the end.
// Words, comments, quotes and order stay, and so do the lines of a text on several
// lines. It is an error if the file is not YAML.
func Format(data []byte) ([]byte, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	file, err := parser.ParseBytes([]byte(text), parser.ParseComments, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, fmt.Errorf("this is not YAML: %w", err)
	}
	lines := strings.Split(text, "\n")
	fixed := fixedLines(file, lines)
	var out []string
	for i, line := range lines {
		if !fixed[i] {
			line = strings.TrimRight(line, " \t\r")
			if line == "" && (len(out) == 0 || out[len(out)-1] == "" && !fixed[i-1]) {
				continue
			}
		}
		out = append(out, line)
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	formatted := []byte(strings.Join(out, "\n") + "\n")
	if len(out) == 0 {
		formatted = nil
	}
	if !sameYAML([]byte(text), formatted) {
		return data, errors.New("its spacing cannot be changed without changing what it says")
	}
	return formatted, nil
}

// fixedLines are those of texts on several lines, whose spacing is theirs.
func fixedLines(file *ast.File, lines []string) []bool {
	fixed := make([]bool, len(lines)+1)
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		ast.Walk(marker{fixed, lines}, d.Body)
	}
	return fixed
}

type marker struct {
	fixed []bool
	lines []string
}

// Visit marks the lines of a text, from the one on which it begins to where the next
// line is less indented, or the quote is closed.
func (m marker) Visit(n ast.Node) ast.Visitor {
	switch v := n.(type) {
	case *ast.LiteralNode:
		begin := v.Start.Position.Line // the line after the header
		for i := begin; i < len(m.lines); i++ {
			if text := strings.TrimLeft(m.lines[i], " "); text != "" && i > begin && len(m.lines[i])-len(text) < m.indent(begin) {
				break
			}
			m.fixed[i] = true
		}
	case *ast.StringNode:
		if t := v.Token.Type; t == token.DoubleQuoteType || t == token.SingleQuoteType {
			for i := range strings.Count(v.Token.Origin, "\n") + 1 {
				if at := v.Token.Position.Line - 1 + i; at >= 0 && at < len(m.lines) && strings.Contains(strings.TrimSpace(v.Token.Origin), "\n") {
					m.fixed[at] = true
				}
			}
		}
	}
	return m
}

// indent is that of the first line of a text that has something.
func (m marker) indent(begin int) int {
	for _, line := range m.lines[min(begin, len(m.lines)):] {
		if text := strings.TrimLeft(line, " "); text != "" {
			return len(line) - len(text)
		}
	}
	return 0
}

// sameYAML compares two files token by token: their words, in order, comments included.
func sameYAML(a, b []byte) bool {
	one, errOne := parser.ParseBytes(a, parser.ParseComments, parser.AllowDuplicateMapKey())
	two, errTwo := parser.ParseBytes(b, parser.ParseComments, parser.AllowDuplicateMapKey())
	if errOne != nil || errTwo != nil {
		return false
	}
	return bytes.Equal(words(one), words(two))
}

// words are the tokens of a file, each with its kind and its value.
func words(file *ast.File) []byte {
	var b bytes.Buffer
	for _, d := range file.Docs {
		fmt.Fprintln(&b, "---")
		if d.Body == nil {
			continue
		}
		t := d.Body.GetToken()
		for t != nil && t.Prev != nil {
			t = t.Prev
		}
		for ; t != nil; t = t.Next {
			value := t.Value
			if t.Type == token.CommentType {
				value = strings.TrimSpace(value)
			}
			fmt.Fprintf(&b, "%s %q\n", t.Type, value)
		}
	}
	return b.Bytes()
}
