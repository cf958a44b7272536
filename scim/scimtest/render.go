package scimtest

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// style is how a terminal is told to colour.
type style struct{ red, yellow, green, dim, off string }

var ansi = style{red: "\x1b[31m", yellow: "\x1b[33m", green: "\x1b[32m", dim: "\x1b[2m", off: "\x1b[0m"}

// WriteText writes a report for people: by group, what failed with its exchange, and
// why checks were skipped. verbose names those that hold as well.
func WriteText(w io.Writer, r Report, colour, verbose bool) error {
	p := &page{verbose: verbose}
	if colour {
		p.style = ansi
	}
	fmt.Fprintf(&p.b, "%s   %s\n", printable(r.Target), r.Started.Format(time.RFC3339))
	for _, group := range grouped(r.Findings) {
		p.group(group)
	}
	p.end(r)
	_, err := io.WriteString(w, p.b.String())
	return err
}

// grouped cuts findings where the group changes.
func grouped(all []Finding) (out [][]Finding) {
	for len(all) > 0 {
		n := slices.IndexFunc(all, func(f Finding) bool { return f.Group() != all[0].Group() })
		if n < 0 {
			n = len(all)
		}
		out, all = append(out, all[:n]), all[n:]
	}
	return out
}

// page is a report under construction.
type page struct {
	style
	b       strings.Builder
	verbose bool
}

func (p *page) group(all []Finding) {
	held := Report{Findings: all}.Count(Holds)
	fmt.Fprintf(&p.b, "\n%-16s %d of %d hold\n", all[0].Group(), held, len(all))
	reasons := map[string]int{}
	var order []string
	for _, f := range all {
		switch f.Verdict {
		case Fails:
			p.failure(f)
		case Holds:
			if p.verbose {
				fmt.Fprintf(&p.b, "  %sok%s   %-6s %-34s %s\n", p.green, p.off, f.Severity, f.ID, f.Expected)
			}
		case Skipped, NotRun:
			if reasons[f.Found]++; reasons[f.Found] == 1 {
				order = append(order, f.Found)
			}
		}
	}
	for _, reason := range order {
		fmt.Fprintf(&p.b, "  %s%d skipped: %s%s\n", p.dim, reasons[reason], reason, p.off)
	}
}

func (p *page) failure(f Finding) {
	colour := p.yellow
	if f.Severity == Must {
		colour = p.red
	}
	fmt.Fprintf(&p.b, "  %sFAIL %-6s%s %s   %s\n", colour, f.Severity, p.off, f.ID, f.Section)
	p.field("expected", f.Expected)
	p.field("found", f.Found)
	p.field("sent", f.Sent)
	p.field("received", f.Received)
}

// field writes a text of several lines beside its name.
func (p *page) field(name, text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			fmt.Fprintf(&p.b, "       %s%-9s%s %s\n", p.dim, name, p.off, line)
			name = ""
		}
	}
}

func (p *page) end(r Report) {
	fmt.Fprintf(&p.b, "\nGrade %s   %d checks: %d hold, %d MUST, %d SHOULD and %d MAY fail, %d skipped, %d not run\n", r.Grade, len(r.Findings),
		r.Count(Holds), r.Count(Fails, Must), r.Count(Fails, Should), r.Count(Fails, May), r.Count(Skipped), r.Count(NotRun))
	fmt.Fprintf(&p.b, "%d requests in %s\n", r.Requests, r.Took.Round(time.Millisecond))
	if r.Stopped != "" {
		fmt.Fprintf(&p.b, "%sThe run ended early: %s.%s\n", p.yellow, r.Stopped, p.off)
	}
	if len(r.Left) == 0 {
		fmt.Fprintln(&p.b, "Everything that was made has been removed.")
		return
	}
	fmt.Fprintf(&p.b, "%sCould not be removed:%s\n", p.red, p.off)
	for _, what := range r.Left {
		fmt.Fprintf(&p.b, "  %s\n", printable(what))
	}
}

// The JUnit form that continuous integration systems read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *junitSkipped `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

// WriteJUnit writes a report as JUnit XML. A check that fails is a failure if it is
// as binding as least; otherwise it passes, and its output says what was found.
func WriteJUnit(w io.Writer, r Report, least Severity) error {
	all := junitSuites{Time: fmt.Sprintf("%.3f", r.Took.Seconds())}
	for _, group := range grouped(r.Findings) {
		s := junitSuite{Name: group[0].Group(), Tests: len(group)}
		for _, f := range group {
			s.add(f, least)
		}
		all.Tests, all.Failures, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Skipped+s.Skipped
		all.Suites = append(all.Suites, s)
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, xml.Header+string(text)+"\n")
	return err
}

func (s *junitSuite) add(f Finding, least Severity) {
	c := junitCase{Class: "scim." + f.Group(), Name: f.ID}
	text := fmt.Sprintf("%s %s\nexpected: %s\nfound: %s\n\n%s\n\n%s\n", f.Severity, f.Section, f.Expected, f.Found, f.Sent, f.Received)
	switch {
	case f.Verdict == Skipped || f.Verdict == NotRun:
		c.Skipped = &junitSkipped{Message: f.Found}
		s.Skipped++
	case f.Verdict == Fails && f.Severity <= least:
		c.Failure = &junitFailure{Type: f.Severity.String(), Message: f.Found, Text: text}
		s.Failures++
	case f.Verdict == Fails:
		c.Out = text
	}
	s.Cases = append(s.Cases, c)
}
