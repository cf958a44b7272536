package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Pos        mapping.Pos `json:"pos"` // line 0: it does not stand in the file
	Message    string      `json:"message"`
	Suggestion string      `json:"suggestion,omitzero"` // what was probably meant, "" if nothing is near
	Line       string      `json:"text,omitzero"`       // the line as written; "" if there is none, or if it holds a secret
	Width      int         `json:"width,omitzero"`      // how many columns of Line, from Pos.Col on, are meant
}

// Problems is everything that is wrong with a configuration, in the order of the file.
type Problems struct {
	File string    `json:"file"`
	List []Problem `json:"problems"`
}

// Error is the whole report: for each problem the place, a sentence, the line
// with a caret under what is meant; and a last line that counts them.
func (ps *Problems) Error() string {
	var b strings.Builder
	for _, p := range ps.List {
		p.write(&b)
	}
	if len(ps.List) == 1 {
		fmt.Fprintf(&b, "1 problem in %s", ps.File)
	} else {
		fmt.Fprintf(&b, "%d problems in %s", len(ps.List), ps.File)
	}
	return b.String()
}

func (p Problem) write(b *strings.Builder) {
	b.WriteString(p.Pos.File)
	if p.Pos.Line > 0 {
		fmt.Fprintf(b, ":%d:%d", p.Pos.Line, p.Pos.Col)
	}
	b.WriteString(": " + p.Message)
	if p.Suggestion != "" {
		fmt.Fprintf(b, "; did you mean %q?", p.Suggestion)
	}
	b.WriteByte('\n')
	if p.Line == "" {
		return
	}
	number := fmt.Sprintf("%5d", p.Pos.Line)
	fmt.Fprintf(b, "%s | %s\n", number, p.Line)
	fmt.Fprintf(b, "%s | %s%s\n", strings.Repeat(" ", len(number)), indent(p.Line, p.Pos.Col-1), strings.Repeat("^", max(1, p.Width)))
}

// indent is as wide as the first columns of line; tabs stay tabs, so that the
// caret stands right in every terminal.
func indent(line string, columns int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= columns {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// holdsSecret finds lines that must not be shown: they may carry a literal secret.
var holdsSecret = regexp.MustCompile(`(?i)(secret|password)["']?\s*:\s*[^\s#]|://[^/\s]*:[^/\s]*@`)

// maxLine is the longest line, in bytes, that a report shows.
const maxLine = 400

// report gathers problems.
type report struct {
	name  string
	lines []string
	list  []Problem
}

func newReport(name string, data []byte) *report {
	return &report{name: name, lines: strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")}
}

func (r *report) add(pos mapping.Pos, width int, message, suggestion string) {
	p := Problem{Pos: pos, Message: message, Suggestion: suggestion, Width: width}
	if pos.Line > 0 && pos.Line <= len(r.lines) && !holdsSecret.MatchString(r.lines[pos.Line-1]) {
		if line := strings.TrimRight(r.lines[pos.Line-1], " \t"); len(line) <= maxLine {
			p.Line = line
		}
	}
	r.list = append(r.list, p)
}

// problems gives the error, or nil if there is none. What does not stand in the
// file comes last.
func (r *report) problems() error {
	if len(r.list) == 0 {
		return nil
	}
	place := func(p Problem) int {
		if p.Pos.Line == 0 {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(r.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
	})
	return &Problems{File: r.name, List: r.list}
}
