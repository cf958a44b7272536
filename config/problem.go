package config

import (
	"cmp"
	"fmt"
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
	// Files are what was read until then: when one of them changes, it may hold.
	Files Files `json:"-"`
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

// maxLine is the longest line, in bytes, that a report shows.
const maxLine = 400

// gathered is what is wrong with a configuration, of however many files.
type gathered struct {
	whole   string // the file's name, or the directory's
	list    []Problem
	reports []*report // one for each file, in the order in which they were read
	// opened is told which keys a mapping may have; only a test sets it.
	opened func(path string, known []string)
}

// report gathers the problems of one file.
type report struct {
	*gathered
	name   string
	lines  []string
	hidden []bool // lines that may hold a secret
}

func (g *gathered) add(name string, data []byte) *report {
	r := &report{gathered: g, name: name, lines: strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n")}
	r.hidden = secretLines(r.lines)
	g.reports = append(g.reports, r)
	return r
}

// of is the report of the file with that name; nil if it is none of ours.
func (g *gathered) of(name string) *report {
	i := slices.IndexFunc(g.reports, func(r *report) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return g.reports[i]
}

// line is the text of a line, or "" if there is none or it may hold a secret.
func (r *report) line(number int) string {
	if r == nil || number < 1 || number > len(r.lines) || r.hidden[number-1] {
		return ""
	}
	if line := strings.TrimRight(r.lines[number-1], " \t"); len(line) <= maxLine {
		return line
	}
	return ""
}

func (r *report) add(pos mapping.Pos, width int, message, suggestion string) {
	r.list = append(r.list, Problem{Pos: pos, Message: message, Suggestion: suggestion, Width: width, Line: r.of(pos.File).line(pos.Line)})
}

// problems gives the error, or nil if there is none: file after file as they were
// read, and last what stands in none of them.
func (g *gathered) problems(read Files) error {
	if len(g.list) == 0 {
		return nil
	}
	place := func(p Problem) int {
		i := slices.IndexFunc(g.reports, func(r *report) bool { return r.name == p.Pos.File })
		if p.Pos.Line == 0 || i < 0 {
			return len(g.reports)
		}
		return i
	}
	slices.SortStableFunc(g.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
	})
	g.list = slices.Compact(g.list) // a mapping that is looked at twice is reported once
	return &Problems{File: g.whole, List: g.list, Files: read}
}
