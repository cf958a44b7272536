package drive

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// Report is what a drive did, and how the server took it.
type Report struct {
	Vendor string `json:"vendor"`
	Cycle  Cycle  `json:"cycle"`
	URL    string `json:"url"`

	People      Counts   `json:"people"`
	Groups      Counts   `json:"groups"`
	GroupsLeft  []string `json:"groups_left,omitempty"` // of a given name, and perhaps not made here
	Memberships int64    `json:"memberships"`           // sent by the initial cycle, whether or not they were new
	Joined      int      `json:"joined"`                // memberships that an incremental cycle added
	Left        int      `json:"left"`                  // and removed

	Gone   int      `json:"gone"` // people whom a restore cycle disabled or deleted softly
	Back   int      `json:"back"` // of them, active again on the same id
	Kept   int      `json:"kept"` // memberships of theirs that are still there
	Lost   int      `json:"lost"` // ids and memberships that are not
	Losses []string `json:"losses,omitempty"`

	Failed     int      `json:"failed"` // people and groups that could not be sent, after all tries
	Failures   []string `json:"failures,omitempty"`
	TriedAgain int      `json:"tried_again"` // people and groups, after a failure that may pass
	SentAgain  int      `json:"sent_again"`  // requests, after 429
	Waited     float64  `json:"waited_s"`    // seconds that nothing was sent because of 429

	Requests []Requests `json:"requests"`
	Sent     int        `json:"sent"` // requests of all kinds
	Phases   []Phase    `json:"phases"`
	Seconds  float64    `json:"seconds"`
	Rate     float64    `json:"requests_per_second"`
	Ended    string     `json:"ended,omitempty"` // why, if it was before the end
}

// Counts say what became of people or groups.
type Counts struct {
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Skipped   int `json:"skipped"`
	Deleted   int `json:"deleted"`
}

func (c *Counts) add(did idp.Outcome) {
	switch did {
	case idp.Created:
		c.Created++
	case idp.Updated:
		c.Updated++
	case idp.Skipped:
		c.Skipped++
	default:
		c.Unchanged++
	}
}

// Requests are those of one kind. The times are milliseconds from the first byte
// sent to the last one read; waiting after 429 is not in them.
type Requests struct {
	Kind       string  `json:"kind"`
	Count      int     `json:"count"`
	Refused    int     `json:"refused"`    // answered with an error that is not 429
	Throttled  int     `json:"throttled"`  // answered with 429
	Unanswered int     `json:"unanswered"` // the connection failed, or the time was up
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"` // of a bucket that is at most 3 % wide
	Max        float64 `json:"max_ms"`
}

// Phase is a stretch of the cycle.
type Phase struct {
	Name    string  `json:"name"`
	Count   int64   `json:"count"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"per_second"`
}

// finish adds up what the workers left.
func (d *Drive) finish(began time.Time, err error) Report {
	took := d.opts.Now().Sub(began)
	d.send.mu.Lock()
	waited := d.send.waited
	d.send.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	r := &d.report
	r.Vendor, r.Cycle, r.URL = d.opts.Vendor, d.opts.Cycle, d.opts.URL
	r.Memberships, r.Failed = d.memberships.Load(), int(d.failed.Load())
	r.TriedAgain, r.SentAgain, r.Waited = int(d.triedAgain.Load()), int(d.send.again.Load()), waited.Seconds()
	r.Requests, r.Sent = d.meter.requests(), 0
	for _, q := range r.Requests {
		r.Sent += q.Count
	}
	slices.Sort(r.GroupsLeft)
	r.Seconds, r.Rate = took.Seconds(), rate(int64(r.Sent), took)
	if err != nil {
		r.Ended = err.Error()
	}
	return *r
}

// told is how many failures and losses a report keeps, and how many lines of a list
// it shows.
const told = 10

// Good says that the cycle was done whole, that nothing was refused for good and
// that nothing was lost.
func (r Report) Good() bool { return r.Ended == "" && r.Failed == 0 && r.Lost == 0 }

// shown is a line in which a server had a say, without what a terminal would obey.
func shown(line string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, line)
}

// String is the report for people.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s cycle, %s\n", r.Vendor, r.Cycle, r.URL)
	r.outcome(&b)
	for _, list := range []struct {
		what  string
		lines []string
	}{{"failed", r.Failures}, {"lost", r.Losses}, {"left alone", r.GroupsLeft}} {
		for n, line := range list.lines {
			if n == told {
				fmt.Fprintf(&b, "  %s: and %s more\n", list.what, Thousands(int64(len(list.lines)-told)))
				break
			}
			fmt.Fprintf(&b, "  %s: %s\n", list.what, shown(line))
		}
	}
	r.table(&b)
	for _, p := range r.Phases {
		fmt.Fprintf(&b, "  %-21s %s in %.2f s, %s/s\n", p.Name, Thousands(p.Count), p.Seconds, Thousands(int64(p.Rate)))
	}
	fmt.Fprintf(&b, "  %-21s %s requests in %.2f s, %s/s\n", "all", Thousands(int64(r.Sent)), r.Seconds, Thousands(int64(r.Rate)))
	if r.SentAgain+r.TriedAgain > 0 {
		fmt.Fprintf(&b, "  %d requests sent again after 429, waiting %.1f s; %d people or groups tried again\n", r.SentAgain, r.Waited, r.TriedAgain)
	}
	if r.Ended != "" {
		b.WriteString("This is not all: the same command goes on from here.\n") // why is the error's to tell
	}
	return b.String()
}

// outcome says of each thing what became of it, and nothing of what does not apply.
func (r Report) outcome(b *strings.Builder) {
	for _, c := range []struct {
		what string
		Counts
	}{{"people", r.People}, {"groups", r.Groups}} {
		var parts []string
		for _, p := range []struct {
			n    int
			what string
		}{{c.Created, "created"}, {c.Updated, "updated"}, {c.Unchanged, "unchanged"}, {c.Skipped, "skipped"}, {c.Deleted, "deleted"}} {
			if p.n > 0 {
				parts = append(parts, Thousands(int64(p.n))+" "+p.what)
			}
		}
		if len(parts) > 0 {
			fmt.Fprintf(b, "  %-15s %s\n", c.what, strings.Join(parts, ", "))
		}
	}
	if r.Memberships > 0 {
		fmt.Fprintf(b, "  %-15s %s sent\n", "memberships", Thousands(r.Memberships))
	}
	if r.Joined+r.Left > 0 {
		fmt.Fprintf(b, "  %-15s %s joined, %s left\n", "memberships", Thousands(int64(r.Joined)), Thousands(int64(r.Left)))
	}
	if r.Cycle == Restore {
		fmt.Fprintf(b, "  %-15s %s went, %s are back on the same id; %s memberships kept, %s things lost\n", "people",
			Thousands(int64(r.Gone)), Thousands(int64(r.Back)), Thousands(int64(r.Kept)), Thousands(int64(r.Lost)))
	}
	if r.Failed > 0 {
		fmt.Fprintf(b, "  %-15s %s people or groups\n", "failed", Thousands(int64(r.Failed)))
	}
}

func (r Report) table(b *strings.Builder) {
	width := 15
	for _, q := range r.Requests {
		width = max(width, len(q.Kind))
	}
	fmt.Fprintf(b, "  %-*s %10s %8s %6s %9s %9s %9s %9s\n", width, "request", "count", "refused", "429", "no answer", "p50 ms", "p99 ms", "max ms")
	for _, q := range r.Requests {
		fmt.Fprintf(b, "  %-*s %10s %8d %6d %9d %9.2f %9.2f %9.2f\n", width, q.Kind, Thousands(int64(q.Count)), q.Refused, q.Throttled, q.Unanswered, q.P50, q.P99, q.Max)
	}
}

// Thousands writes a count for reading: 1,234,567.
func Thousands(n int64) string {
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
