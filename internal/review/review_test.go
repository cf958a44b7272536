package review

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// promise is one file of testdata.
type promise struct {
	t     *testing.T
	parts map[string]string
}

func read(t *testing.T, name string) promise {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	p := promise{t, map[string]string{}}
	for _, f := range a.Files {
		p.parts[f.Name] = string(f.Data)
	}
	return p
}

func (p promise) lines(part string) (all []string) {
	for line := range strings.Lines(p.parts[part]) {
		if line = strings.TrimRight(line, "\n"); strings.TrimSpace(line) != "" {
			all = append(all, line)
		}
	}
	return all
}

// word is what follows a word of a part.
func (p promise) word(part, name string) string {
	for _, line := range p.lines(part) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	p.t.Fatalf("%s does not say %s", part, name)
	return ""
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSchedules(t *testing.T) {
	p := read(t, "schedule.txtar")
	every := duration(t, p.word("schedule", "every"))
	s := Schedule{Since: instant(t, p.word("schedule", "seen"))}
	for _, line := range p.lines("story") {
		words := strings.Fields(line)
		open := words[1] == "open"
		begins, next := s.Turn(every, open, instant(t, words[0]))
		got := "nothing"
		if begins {
			got = "begins, next " + next.Next(every).Format(time.RFC3339)
		}
		if want := strings.Join(words[1:], " "); got != strings.TrimPrefix(want, "open ") {
			t.Errorf("%s: %s", line, got)
		}
		s = next
	}
}

func TestReminders(t *testing.T) {
	p := read(t, "reminders.txtar")
	r := Begin("rev_1", Cause{Trigger: ByHand, Within: duration(t, p.word("review", "within"))}, instant(t, p.word("review", "began")))
	r = r.Opened(r.Began)
	for _, line := range p.lines("story") {
		words := strings.Fields(line)
		now := instant(t, words[0])
		state := "open"
		if r.EndsAt(now) {
			state = "over"
		}
		if got := fmt.Sprintf("%s, next %s", state, r.NextAfter(now).Format(time.RFC3339)); got != strings.Join(words[1:], " ") {
			t.Errorf("%s: %s", line, got)
		}
	}
}

func TestTheRiskiestComesFirst(t *testing.T) {
	p := read(t, "order.txtar")
	type named struct {
		Held
		name string
	}
	var all []named
	for _, line := range p.lines("items") {
		words := strings.Fields(line)
		var n named
		if err := n.Risk.UnmarshalText([]byte(words[0])); err != nil {
			t.Fatal(err)
		}
		if words[1] != "never" {
			n.LastUsed = instant(t, words[1])
		}
		n.name = strings.Join(words[2:], " ")
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b named) int { return cmp.Compare(a.Rank(), b.Rank()) })
	for i, want := range p.lines("order") {
		if all[i].name != want {
			t.Errorf("place %d has the %s, want the %s", i+1, all[i].name, want)
		}
	}
}

func TestSelections(t *testing.T) {
	p := read(t, "selections.txtar")
	now := instant(t, strings.TrimSpace(p.parts["now"]))
	lines := p.lines("held")
	for i := 0; i+1 < len(lines); i += 2 {
		h := readHeld(t, lines[i])
		names, cel, _ := strings.Cut(lines[i+1], "|")
		for _, name := range Selections() {
			s, err := Cause{Trigger: ByHand, Select: name}.Selection()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := s(h, now), slices.Contains(strings.Fields(names), name); got != want {
				t.Errorf("%s: %s says %t", lines[i], name, got)
			}
		}
		s, err := Cause{Trigger: ByHand, Select: `assignment.risk == "high"`}.Selection()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := s(h, now), strings.TrimSpace(cel) != ""; got != want {
			t.Errorf("%s: CEL says %t", lines[i], got)
		}
	}
	if _, err := (Cause{Trigger: ByHand, Select: "hihg_risk"}).Selection(); err == nil {
		t.Error("a selection that is none is taken")
	}
}

func readHeld(t *testing.T, line string) (h Held) {
	t.Helper()
	for _, word := range strings.Fields(line) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "grant":
			h.Grant = access.Grant(value)
		case "risk":
			if err := h.Risk.UnmarshalText([]byte(value)); err != nil {
				t.Fatal(err)
			}
		case "standing":
			h.Standing = access.Standing(value)
		case "since":
			h.Since = instant(t, value)
		case "used":
			h.LastUsed = instant(t, value)
		case "people":
			h.Why = []Why{{Kind: access.SourceRequest}}
		default:
			t.Fatalf("%q is no word of what is held", word)
		}
	}
	return h
}

// A cause says what its review is about, and is open for no less and no longer than it may.
func TestCauses(t *testing.T) {
	for _, c := range []struct {
		cause Cause
		good  bool
	}{
		{Cause{Trigger: ByHand}, true}, {Cause{}, false}, {Cause{Trigger: "weather"}, false},
		{Cause{Trigger: ByCase}, false}, {Cause{Trigger: ByCase, Case: "C"}, true}, {Cause{Trigger: ByCase, Case: "C", Permits: make([]Permitted, MostPermits+1)}, false},
		{Cause{Trigger: ByScope}, false}, {Cause{Trigger: ByConnection}, false}, {Cause{Trigger: ByCertificate, Connection: "c"}, false},
		{Cause{Trigger: BySchedule, Name: "n", Within: Shortest}, true}, {Cause{Trigger: BySchedule, Name: "n", Within: Shortest - 1}, false},
		{Cause{Trigger: ByHand, Within: ShortestByHand}, true}, {Cause{Trigger: ByHand, Within: ShortestByHand - 1}, false}, {Cause{Trigger: ByHand, Within: Longest + 1}, false},
	} {
		if err := c.cause.Check(); (err == nil) != c.good {
			t.Errorf("%+v: %v", c.cause, err)
		}
	}
}

// What took long to gather gives its reviewers all their time; what did not keeps its
// deadline.
func TestTheTimeOfReviewersIsTheirs(t *testing.T) {
	began := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	r := Begin("rev_1", Cause{Trigger: ByHand, Within: 100 * time.Hour}, began)
	if got := r.Opened(began.Add(10 * time.Hour)); !got.Deadline.Equal(r.Deadline) || got.State != Open {
		t.Errorf("soon gathered, it ends %s", got.Deadline)
	}
	if got := r.Opened(began.Add(60 * time.Hour)); !got.Deadline.Equal(began.Add(160 * time.Hour)) {
		t.Errorf("late gathered, it ends %s", got.Deadline)
	}
}

func flags(t *rapid.T, name string) access.Flags {
	return access.Flags{Events: rapid.SampledFrom([]access.EventFlag{access.EventsNone, access.EventsStandard, access.EventsRestricted}).Draw(t, name), Video: rapid.Bool().Draw(t, name+" video")}
}

// To lower never gives anything, and always takes something: what a limit leaves of the
// flags is what the reviewer said.
func TestLowerOnlyTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := flags(t, "from"), flags(t, "to")
		h := Held{Grant: access.Standard, Scope: "scp", Flags: from, Why: []Why{{Kind: access.SourceRule}, {Kind: access.SourceRequest, Permit: "prm_1"}}}
		left := EffectOf(Lower, h, to).Limit(h).Narrow(from)
		if Lowers(from, to) != (left == to && to != from) {
			t.Fatalf("from %+v to %+v leaves %+v, and Lowers says %t", from, to, left, Lowers(from, to))
		}
		if left.Union(from) != from {
			t.Fatalf("from %+v to %+v gives %+v", from, to, left)
		}
	})
}

// To remove ends what people gave and withholds what rules give; to keep does nothing.
func TestEffects(t *testing.T) {
	rule, permit := Why{Kind: access.SourceRule, Rule: "r"}, Why{Kind: access.SourceRequest, Permit: "prm_1"}
	for _, c := range []struct {
		why  []Why
		want string
	}{{[]Why{rule}, "[] true"}, {[]Why{permit}, "[prm_1] false"}, {[]Why{rule, permit}, "[prm_1] true"}} {
		e := EffectOf(Remove, Held{Why: c.why}, access.Flags{})
		if got := fmt.Sprint(e.End, e.Withhold); got != c.want {
			t.Errorf("%+v: %s", c.why, got)
		}
		if !EffectOf(Keep, Held{Why: c.why}, access.Flags{}).Nothing() {
			t.Error("to keep does something")
		}
	}
}

// What was seen changes with whatever decides whether to keep it, and with nothing else.
func TestSeen(t *testing.T) {
	h := Held{Grant: access.Standard, Scope: "scp", Path: "a/b", Flags: access.Flags{Events: access.EventsStandard}}
	same, renamed := h, h
	same.LastUsed, renamed.Path = time.Now(), "a/c"
	wider, longer, other := h, h, h
	wider.Flags.Video, longer.Until, other.Why = true, time.Unix(1, 0), []Why{{Kind: access.SourceRule}}
	if h.Seen() != same.Seen() || h.Seen() != renamed.Seen() {
		t.Error("it changes with its use, or its name")
	}
	for _, o := range []Held{wider, longer, other} {
		if o.Seen() == h.Seen() {
			t.Errorf("%+v is seen as the same", o)
		}
	}
}

func sampleLines() []Line {
	at := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	return []Line{
		{Item: "1", Connection: "banksia-entra", Person: "per_1", UserName: "gus@banksia.example", Name: `=HYPERLINK("https://evil.example")`, Grant: access.Standard, Path: "southern/banksia", Scope: "scp_1",
			Events: "standard", Video: true, Standing: access.Guest, Why: "request req_1", ApprovedBy: "Ada", Since: at, Reviewed: at, ReviewedBy: "Ada", Verdict: Remove, Comment: "+1, <script>alert(1)</script>", Ended: at, Because: "review", Outcome: "Removed."},
		{Item: "2", Connection: "banksia-entra", Person: "per_2", Name: "\t@SUM(A1)", Grant: access.Administrator, Path: "southern", Scope: "scp_2", Risk: access.RiskHigh},
	}
}

func written(t *testing.T, format string) (string, Head) {
	t.Helper()
	var out bytes.Buffer
	h := Head{Title: "Review of access", Review: "rev_1", About: "case <7> was closed", Unanswered: string(mapping.KeepUnanswered), Counts: Counts{Items: 2, Removed: 1, Open: 1}}
	r, err := NewReport(&out, format, h)
	if err != nil || r == nil {
		t.Fatal(r, err)
	}
	for _, l := range sampleLines() {
		if err := r.Add(l); err != nil {
			t.Fatal(err)
		}
	}
	if h, err = r.End(h); err != nil {
		t.Fatal(err)
	}
	return out.String(), h
}

// Whoever has the JSON form can check its lines against the hash that its last line names;
// the other forms name the same.
func TestAReportCanBeChecked(t *testing.T) {
	text, head := written(t, "json")
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	last := lines[len(lines)-1]
	sum := sha256.Sum256([]byte(strings.Join(lines[:len(lines)-1], "")))
	var said struct{ Report Head }
	if err := json.Unmarshal([]byte(last), &said); err != nil {
		t.Fatal(err)
	}
	if said.Report.SHA256 != hex.EncodeToString(sum[:]) || said.Report.Items != 2 || head.SHA256 != said.Report.SHA256 {
		t.Errorf("it says %+v, and its lines are %x", said.Report, sum)
	}
	html, other := written(t, "html")
	_, third := written(t, "csv")
	if other.SHA256 != head.SHA256 || third.SHA256 != head.SHA256 || !strings.Contains(html, head.SHA256) {
		t.Error("the forms differ in their hash")
	}
}

// A spreadsheet takes no cell for a formula, and loses none.
func TestNoCellIsAFormula(t *testing.T) {
	text, _ := written(t, "csv")
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatal(rows, err)
	}
	for _, row := range rows {
		if len(row) != len(Columns()) {
			t.Errorf("a row has %d cells", len(row))
		}
		for _, cell := range row {
			if harmless(cell) != cell {
				t.Errorf("%q is taken for a formula", cell)
			}
		}
	}
	if rows[1][4] != `'=HYPERLINK("https://evil.example")` || rows[2][4] != "'\t@SUM(A1)" {
		t.Errorf("names are %q, %q", rows[1][4], rows[2][4])
	}
}

// The page runs nothing, fetches nothing, and shows texts as texts.
func TestThePageIsHarmless(t *testing.T) {
	text, _ := written(t, "html")
	for _, bad := range []string{"<script", "http:", "src=", "url(", "<link"} {
		if strings.Contains(strings.ReplaceAll(text, "https://evil.example", ""), bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", "@media print", "&lt;script&gt;", "case &lt;7&gt; was closed", "1 removed", "<thead>"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestThereIsNoOtherFormat(t *testing.T) {
	if r, err := NewReport(&bytes.Buffer{}, "pdf", Head{}); r != nil || err != nil {
		t.Error(r, err)
	}
	for _, f := range Formats() {
		if text, _ := written(t, f); text == "" {
			t.Errorf("%s is empty", f)
		}
	}
}
