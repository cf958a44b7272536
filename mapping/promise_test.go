package mapping

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

var update = flag.Bool("update", false, "write what is decided now into the promises")

// TestPromises holds every file under testdata: the rules, what is known about a
// person and what the person holds, and what must come of it. Only the parts that
// stand in a file are compared.
func TestPromises(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d promises, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { promise(t, file) })
	}
}

func promise(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{}
	for _, f := range a.Files {
		given[f.Name] = string(f.Data)
	}
	src := asking(readRules(t, given["rules"])...)
	src.Scopes = readRetired(t, src.Scopes, given["retired"])
	for line := range strings.Lines(given["conditions"]) {
		name, cel, _ := strings.Cut(strings.TrimSpace(line), ": ")
		src.Conditions = append(src.Conditions, ConditionSource{Name: name, CEL: cel})
	}
	p, faults := Compile(src)
	got := map[string]string{}
	if faults != nil {
		got["faults"] = faults.Error() + "\n"
	} else {
		facts, now := readFacts(t, given["facts"])
		d := Evaluate(p, facts, now)
		plan := p.Diff(readHeld(t, p, given["held"], given["decided"]), d.Want, readDecided(t, p, given, facts), now)
		got["want"], got["reasons"], got["plan"] = showWant(p, d), showReasons(d), showPlan(p, plan)
		got["holds until"] = showTime(d.ValidUntil) + "\n"
	}
	for i, f := range a.Files {
		switch f.Name {
		case "rules", "conditions", "facts", "held", "decided", "permits", "limits", "retired":
			continue
		}
		if *update {
			a.Files[i].Data = []byte(got[f.Name])
		} else if got[f.Name] != given[f.Name] {
			t.Errorf("%s:\n%s\nwant:\n%s", f.Name, got[f.Name], given[f.Name])
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// readRules reads "rule ID from CONNECTION" and the indented lines below it.
func readRules(t *testing.T, text string) []RuleSource {
	t.Helper()
	var rules []RuleSource
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "rule" {
			id, from, _ := strings.Cut(value, " from ")
			rules = append(rules, RuleSource{ID: id, From: access.ConnectionID(from)})
			continue
		}
		r := &rules[len(rules)-1]
		switch key {
		case "group":
			r.Group = value
		case "group_id":
			r.GroupID = value
		case "all":
			r.All = append(r.All, readRef(value))
		case "any":
			r.Any = append(r.Any, readRef(value))
		case "none":
			r.None = append(r.None, readRef(value))
		case "when":
			r.When = value
		case "not_before":
			r.NotBefore = readTime(t, value)
		case "until":
			r.Until = readTime(t, value)
		case "expires":
			r.Expires = readTime(t, value)
		case "give":
			r.Give = value
		case "guest":
			r.Guest = append(r.Guest, value)
		case "flags":
			r.Flags = readFlags(t, value)
		case "for":
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			r.For = d
		case "mode":
			r.Mode = Mode(value)
		default:
			t.Fatalf("a rule has no %q", key)
		}
	}
	return rules
}

func readRef(text string) GroupRef {
	if id, ok := strings.CutPrefix(text, "group_id "); ok {
		return GroupRef{GroupID: id}
	}
	return GroupRef{Group: text}
}

func readFlags(t *testing.T, text string) access.Flags {
	t.Helper()
	var f access.Flags
	for word := range strings.FieldsSeq(text) {
		if word == "video" {
			f.Video = true
		} else if err := f.Events.UnmarshalText([]byte(strings.TrimPrefix(word, "events="))); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func readTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// readFacts reads "connection", "inactive", "now", "certified", "attr" and "group" lines;
// a line's details stand behind bars. Groups are called g1, g2 … in their order.
func readFacts(t *testing.T, text string) (Facts, time.Time) {
	t.Helper()
	f, now := Facts{Active: true, Person: "per_1"}, noon
	for line := range strings.Lines(text) {
		parts := strings.Split(strings.TrimSpace(line), " | ")
		key, value, _ := strings.Cut(parts[0], " ")
		switch key {
		case "connection":
			f.Connection = access.ConnectionID(value)
		case "inactive":
			f.Active = false
		case "now":
			now = readTime(t, value)
		case "certified":
			f.Certification.Level = value
			for _, d := range parts[1:] {
				f.Certification.Until = readTime(t, strings.TrimPrefix(d, "until "))
			}
		case "attr":
			name, text, _ := strings.Cut(value, " ")
			if f.Attributes == nil {
				f.Attributes = map[string]any{}
			}
			f.Attributes[name] = readValue(text)
		case "group":
			f.Memberships = append(f.Memberships, readMembership(t, len(f.Memberships)+1, value, parts[1:]))
		default:
			t.Fatalf("no fact is called %q", key)
		}
	}
	return f, now
}

// readValue reads an instant, a whole number, a list in brackets, or text.
func readValue(text string) any {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if items, ok := strings.CutPrefix(text, "["); ok {
		var all []any
		for item := range strings.SplitSeq(strings.TrimSuffix(items, "]"), ", ") {
			all = append(all, item)
		}
		return all
	}
	return text
}

func readMembership(t *testing.T, n int, name string, details []string) Membership {
	t.Helper()
	m := Membership{Group: access.GroupID(fmt.Sprintf("g%d", n)), Name: name, Since: noon.AddDate(0, -1, 0)}
	for _, d := range details {
		switch key, value, _ := strings.Cut(d, " "); key {
		case "since":
			m.Since = readTime(t, value)
		case "id":
			m.ExternalID = value
		case "shared":
			m.Shared = true
		default:
			t.Fatalf("no detail is called %q", key)
		}
	}
	return m
}

// readHeld reads "ID standing grant @ path", and its sources behind bars:
// "request r9 guest events=standard from TIME until TIME". It was decided at noon, unless
// decided says when.
func readHeld(t *testing.T, p *Policy, text, decided string) []access.Assignment {
	t.Helper()
	when := noon
	if decided != "" {
		when = readTime(t, strings.TrimSpace(decided))
	}
	var held []access.Assignment
	for line := range strings.Lines(text) {
		parts := strings.Split(strings.TrimSpace(line), " | ")
		words := strings.Fields(parts[0])
		s, ok := p.Tree().Resolve(words[4])
		if !ok {
			t.Fatalf("no scope %q", words[4])
		}
		at := Pair{access.Grant(words[2]), s.ID}
		var sources []access.Source
		for _, d := range parts[1:] {
			sources = addSource(sources, readSource(t, d))
		}
		a := unite(at, sources, when)
		a.ID, a.Person, a.Standing = access.AssignmentID(words[0]), "per_1", access.Standing(words[1])
		held = append(held, a)
	}
	return held
}

func readSource(t *testing.T, text string) access.Source {
	t.Helper()
	words := strings.Fields(text)
	s := access.Source{Kind: access.SourceKind(words[0]), ID: words[1], Standing: access.Guest}
	for i := 2; i < len(words); i++ {
		switch w := words[i]; w {
		case "via":
			i++
			s.Group = access.GroupID(words[i])
		case "primary", "guest":
			s.Standing = access.Standing(w)
		case "from":
			i++
			s.NotBefore = readTime(t, words[i])
		case "until":
			i++
			s.Until = readTime(t, words[i])
		default:
			s.Flags = s.Flags.Union(readFlags(t, w))
		}
	}
	return s
}

// readRetired retires the scopes of these paths.
func readRetired(t *testing.T, scopes []access.Scope, text string) []access.Scope {
	t.Helper()
	tree, err := access.NewTree(scopes)
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(text) {
		is := func(s access.Scope) bool { return tree.Path(s.ID) == path }
		scopes[slices.IndexFunc(scopes, is)].Retired = noon.AddDate(0, 0, -1)
	}
	return scopes
}

// readDecided reads what people decided: permits ("ID standing grant @ path", and behind
// bars its source, case and end) and limits ("ID @ path", and behind bars what they take).
func readDecided(t *testing.T, p *Policy, given map[string]string, f Facts) access.Decided {
	t.Helper()
	by := access.Decided{Certification: f.Certification}
	for line := range strings.Lines(given["permits"]) {
		parts := strings.Split(strings.TrimSpace(line), " | ")
		words, s := strings.Fields(parts[0]), readSource(t, parts[1])
		scope, found := p.Tree().Find(words[4])
		if !found {
			t.Fatalf("no scope %q", words[4])
		}
		permit := access.Permit{ID: access.PermitID(words[0]), Person: f.Person, Grant: access.Grant(words[2]), Scope: scope.ID, Standing: access.Standing(words[1]),
			Flags: s.Flags, NotBefore: s.NotBefore, Until: s.Until, Kind: s.Kind, Request: access.RequestID(s.ID)}
		for _, d := range parts[2:] {
			if reason, ended := strings.CutPrefix(d, "ended "); ended {
				permit.Ended, permit.EndReason = noon.AddDate(0, 0, -1), reason
			}
		}
		by.Permits = append(by.Permits, permit)
	}
	for line := range strings.Lines(given["limits"]) {
		by.Limits = append(by.Limits, readLimit(t, p, strings.TrimSpace(line)))
	}
	return by
}

func readLimit(t *testing.T, p *Policy, text string) access.Limit {
	t.Helper()
	parts := strings.Split(text, " | ")
	id, path, _ := strings.Cut(parts[0], " @ ")
	scope, found := p.Tree().Resolve(path)
	if !found {
		t.Fatalf("no scope %q", path)
	}
	l := access.Limit{ID: access.LimitID(id), Scope: scope.ID}
	for _, d := range parts[1:] {
		switch key, value, _ := strings.Cut(d, " "); key {
		case "of":
			l.Grant = access.Grant(value)
		case "withheld":
			l.Withheld = true
		case "events":
			most := readFlags(t, "events="+value).Events
			l.Events = &most
		case "no-video":
			l.NoVideo = true
		case "lifted":
			l.Lifted = noon.AddDate(0, 0, -1)
		default:
			t.Fatalf("no limit is called %q", d)
		}
	}
	return l
}

func showTime(at time.Time) string {
	if at.IsZero() {
		return "for ever"
	}
	return stamp(at)
}

func showAssignment(p *Policy, a access.Assignment) string {
	text := fmt.Sprintf("%s %s", a.Standing, p.Describe(a.Grant, a.Scope))
	if a.ID != "" {
		text = string(a.ID) + " " + text
	}
	if a.Flags.Events != access.EventsNone {
		text += " events=" + a.Flags.Events.String()
	}
	if a.Flags.Video {
		text += " video"
	}
	if !a.NotBefore.IsZero() {
		text += " from " + stamp(a.NotBefore)
	}
	if !a.Until.IsZero() {
		text += " until " + stamp(a.Until)
	}
	for _, s := range a.Sources {
		text += fmt.Sprintf(" | %s %s", s.Kind, s.ID)
		if s.Group != "" {
			text += " via " + string(s.Group)
		}
	}
	return text + "\n"
}

func showWant(p *Policy, d Decision) string {
	var b strings.Builder
	for _, w := range d.Want {
		b.WriteString(showAssignment(p, w.assignment()))
	}
	return b.String()
}

func showReasons(d Decision) string {
	var b strings.Builder
	for _, r := range d.Reasons {
		near := ""
		if r.Near {
			near = " (near)"
		}
		fmt.Fprintf(&b, "%s: %s%s: %s: %s\n", r.Rule, r.Code, near, r.Group, r.Because)
		for _, g := range r.Gives {
			fmt.Fprintf(&b, "\tgives %s\n", g)
		}
	}
	return b.String()
}

func showPlan(p *Policy, plan Plan) string {
	var b strings.Builder
	for _, a := range plan.Give {
		b.WriteString("+ " + showAssignment(p, a))
	}
	for _, c := range plan.Change {
		b.WriteString("~ " + showAssignment(p, c.To))
	}
	for _, a := range plan.Drop {
		b.WriteString("- " + showAssignment(p, a))
	}
	for _, a := range plan.Keep {
		b.WriteString("= " + showAssignment(p, a))
	}
	return b.String()
}
