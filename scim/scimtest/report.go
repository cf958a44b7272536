package scimtest

import (
	"fmt"
	"slices"
	"time"
)

// Severity is how binding what a check asks for is (RFC 2119).
type Severity uint8

// The severities. A May check asks for something the RFC leaves open and that an
// identity provider in use depends on.
const (
	Must Severity = iota
	Should
	May
)

func (s Severity) String() string { return [...]string{"MUST", "SHOULD", "MAY"}[s] }

// MarshalText writes the severity as RFC 2119 spells it.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseSeverity reads "must", "should" or "may".
func ParseSeverity(name string) (Severity, error) {
	at := slices.Index([]string{"must", "should", "may"}, name)
	if at < 0 {
		return Must, fmt.Errorf("%q is not must, should or may", name)
	}
	return Severity(at), nil
}

// Verdict is what became of a check.
type Verdict string

// The verdicts.
const (
	Holds   Verdict = "holds"
	Fails   Verdict = "fails"
	Skipped Verdict = "skipped" // the server does not claim it, or what it stands on failed
	NotRun  Verdict = "not run" // interrupted, or out of requests or time
)

// Finding is one check and what became of it.
type Finding struct {
	ID       string   `json:"id"` // group and name, "filter.eq"
	Severity Severity `json:"severity"`
	Section  string   `json:"section"`  // "RFC 7644 section 3.4.2.2"
	Expected string   `json:"expected"` // a sentence
	Verdict  Verdict  `json:"verdict"`
	Found    string   `json:"found,omitempty"`    // what was found instead, or why it did not run
	Sent     string   `json:"sent,omitempty"`     // the request that failed, clipped and without credentials
	Received string   `json:"received,omitempty"` // its answer, clipped and without credentials
}

// Group is the first part of the finding's ID.
func (f Finding) Group() string { return groupOf(f.ID) }

// Report is a whole run.
type Report struct {
	Target   string        `json:"target"`
	Started  time.Time     `json:"started"`
	Took     time.Duration `json:"took_ns"`
	Requests int           `json:"requests"`
	Grade    string        `json:"grade"` // see Report.grade
	Findings []Finding     `json:"findings"`
	// Stopped says why the run ended before its last check; "" if it did not.
	Stopped string `json:"stopped,omitempty"`
	// Left names what could not be removed from the server.
	Left []string `json:"left,omitempty"`
}

// Count is how many findings have the verdict; with severities, only of those.
func (r Report) Count(v Verdict, of ...Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Verdict == v && (len(of) == 0 || slices.Contains(of, f.Severity)) {
			n++
		}
	}
	return n
}

// Worse reports whether a check of this severity, or a more binding one, failed.
func (r Report) Worse(least Severity) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Verdict == Fails && f.Severity <= least })
}

// grade is A if every MUST and SHOULD holds, B if every MUST holds, C while at most
// a tenth of the MUST checks fail, D while at most a third do, else F; "-" if the
// run did not come to its end.
func (r Report) grade() string {
	failed, judged := r.Count(Fails, Must), r.Count(Fails, Must)+r.Count(Holds, Must)
	switch {
	case r.Stopped != "" || judged == 0:
		return "-"
	case failed == 0 && r.Count(Fails, Should) == 0:
		return "A"
	case failed == 0:
		return "B"
	case failed*10 <= judged:
		return "C"
	case failed*3 <= judged:
		return "D"
	}
	return "F"
}
