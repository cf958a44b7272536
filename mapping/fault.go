package mapping

import (
	"errors"
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a policy, and where.
type Fault struct {
	Pos        Pos    // the value that is wrong; the zero Pos if the source has no positions
	Inside     bool   // it stands Offset characters into the text at Pos; otherwise it is all of it. For faults in CEL
	Offset     int    // see Inside
	Rule       string // the rule's id, "" for connections and scopes
	Message    string // a sentence without its stop
	Suggestion string // what was probably meant, "" if nothing is near
	Lacking    bool   // it is that people do not have an attribute
	left       bool   // the tree has changed since it was written: see left
}

// Place is a place in a text of several lines, from 1.
type Place struct{ Line, Col int }

// Error is the fault on one line: place, rule, message, suggestion.
func (f Fault) Error() string {
	var b strings.Builder
	if f.Pos.Line > 0 {
		fmt.Fprintf(&b, "%s:%d:%d: ", f.Pos.File, f.Pos.Line, f.Pos.Col)
	}
	if f.Rule != "" {
		fmt.Fprintf(&b, "rule %s: ", f.Rule)
	}
	b.WriteString(f.Message)
	if f.Suggestion != "" {
		fmt.Fprintf(&b, "; did you mean %q?", f.Suggestion)
	}
	return b.String()
}

// Faults are all that is wrong with a policy, in the order of the file.
type Faults []Fault

// Error lists the faults, one a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// left is an error about a scope that has left where a policy names it: it was retired,
// or moved out of a ceiling. Where the tree is changed apart from the rules, that is no
// fault of theirs: what names it gives nothing (Policy.Left).
type left struct{ error }

func isLeft(err error) bool {
	var l left
	return errors.As(err, &l)
}

// tolerate takes what is about scopes that have left out of the faults, if the tree is
// changed apart from the rules.
func (p *Policy) tolerate(faults Faults) Faults {
	if !p.source.TreeInStore {
		return faults
	}
	var rest Faults
	for _, f := range faults {
		if f.left {
			p.left = append(p.left, f)
		} else {
			rest = append(rest, f)
		}
	}
	return rest
}

// Left says which rules and tests name a scope that has left where they name it. Such a
// rule gives nothing.
func (p *Policy) Left() Faults { return p.left }
