package mapping

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// TestTestsOfPolicies holds every file under testdata/tests: rules, the tests that a
// policy carries beside them, and how these come out.
func TestTestsOfPolicies(t *testing.T) {
	files, err := filepath.Glob("testdata/tests/*.txtar")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { testOfPolicy(t, file) })
	}
}

func testOfPolicy(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	src := PolicySource{Scopes: pacific(), Connections: connections()}
	for i, f := range a.Files {
		switch f.Name {
		case "attributes":
			for name := range strings.FieldsSeq(string(f.Data)) {
				src.Attributes = append(src.Attributes, AttributeSource{Name: name, From: name})
			}
		case "rules":
			src.Rules = readRules(t, string(f.Data))
		case "tests":
			src.Tests = readTests(t, string(f.Data))
		case "results":
			got := showResults(t, src)
			if *update {
				a.Files[i].Data = []byte(got)
			} else if got != string(f.Data) {
				t.Errorf("%s\nwant:\n%s", got, f.Data)
			}
		default:
			t.Fatalf("no part is called %q", f.Name)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// readTests reads "test NAME" and the indented lines below it.
func readTests(t *testing.T, text string) []TestSource {
	t.Helper()
	var tests []TestSource
	line := 0
	for l := range strings.Lines(text) {
		line++
		key, value, _ := strings.Cut(strings.TrimSpace(l), " ")
		if key == "test" {
			tests = append(tests, TestSource{Name: value, Written: Written{Pos: Pos{File: "tests", Line: line, Col: 1}}})
			continue
		}
		readTest(t, &tests[len(tests)-1], key, value)
	}
	return tests
}

func readTest(t *testing.T, test *TestSource, key, value string) {
	t.Helper()
	switch key {
	case "from":
		test.As.From = access.ConnectionID(value)
	case "inactive":
		test.As.Inactive = true
	case "at":
		test.At = readTime(t, value)
	case "group":
		name, details, _ := strings.Cut(value, " | ")
		g := TestGroup{GroupRef: GroupRef{Group: name}}
		if since, ok := strings.CutPrefix(details, "since "); ok {
			g.Since = readTime(t, since)
		}
		test.As.Groups = append(test.As.Groups, g)
	case "group_id":
		test.As.Groups = append(test.As.Groups, TestGroup{GroupRef: GroupRef{GroupID: value}})
	case "certified":
		level, until, _ := strings.Cut(value, " | until ")
		test.As.Certification.Level = level
		if until != "" {
			test.As.Certification.Until = readTime(t, until)
		}
	case "attribute":
		name, v, _ := strings.Cut(value, " = ")
		if test.As.Attributes == nil {
			test.As.Attributes = map[string]any{}
		}
		test.As.Attributes[name] = v
	case "primary":
		test.Primary = &value
	case "guests":
		guests := []string{}
		for g := range strings.SplitSeq(value, ", ") {
			if g != "" && g != "none" {
				guests = append(guests, g)
			}
		}
		test.Guests = &guests
	case "sees":
		test.Sees = append(test.Sees, value)
	case "never_sees":
		test.NeverSees = append(test.NeverSees, value)
	case "may_sign_in":
		may := value == "true"
		test.MaySignIn = &may
	default:
		t.Fatalf("a test has no %q", key)
	}
}

func showResults(t *testing.T, src PolicySource) string {
	p, err := Compile(src)
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, r := range RunTests(p, src.Tests, noon) {
		if r.Passed != (len(r.Failures) == 0) || r.Passed && len(r.Reasons) > 0 {
			t.Errorf("%+v says two things", r)
		}
		if r.Passed {
			fmt.Fprintf(&b, "ok    %s\n", r.Name)
			continue
		}
		fmt.Fprintf(&b, "FAIL  %s\n", r.Name)
		for _, f := range r.Failures {
			fmt.Fprintf(&b, "      want %s\n      got  %s\n", f.Want, f.Got)
		}
		for _, reason := range r.Reasons {
			fmt.Fprintf(&b, "      %s\n", reason)
		}
	}
	return b.String()
}

// What RunTests is asked and what it answers crosses the API as JSON.
func TestTestsCrossJSON(t *testing.T) {
	none, guests, no := "none", []string{}, false
	src := TestSource{Name: "a", As: TestPerson{From: "ironbark-entra", Groups: []TestGroup{{GroupRef: GroupRef{Group: "A", GroupID: "x"}, Since: noon}},
		Attributes: map[string]any{"department": "Support"}, Certification: access.Certification{Level: "Trainer", Until: noon}},
		At: noon, Primary: &none, Guests: &guests, MaySignIn: &no}
	body, err := json.Marshal(src)
	if err != nil {
		t.Fatal(err)
	}
	var back TestSource
	if err := json.Unmarshal(body, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(body) || back.Guests == nil || back.MaySignIn == nil {
		t.Errorf("%s\nbecame %s, %v", body, again, err)
	}
}

func TestSightIsTheOnion(t *testing.T) {
	p := compile(t)
	held := []access.Assignment{{Grant: access.Standard, Scope: "adl"}, {Grant: access.Associate, Scope: "cor"}, {Grant: access.Elevated, Scope: "cns"}}
	for s, want := range map[access.ScopeID]Seeing{"adl": Seen, "iron": NameOnly, "pac": NameOnly, "host": NameOnly, "per": Unseen, "cor": NameOnly, "cns": Seen, "nor": Unseen, "nobody": Unseen} {
		if got := Sight(p.Tree(), held, s); got != want {
			t.Errorf("%s: %d, want %d", s, got, want)
		}
	}
}

// A policy carries a bounded number of tests.
func TestTooManyTestsAreOneFault(t *testing.T) {
	src := PolicySource{Scopes: pacific(), Connections: connections(), Tests: make([]TestSource, maxTests+1)}
	if _, err := Compile(src); err == nil || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("%.200v", err)
	}
	yes := true
	few := TestSource{Name: "crowd", As: TestPerson{From: "ironbark-entra", Groups: slices.Repeat([]TestGroup{{GroupRef: GroupRef{Group: "A"}}}, maxTestGroups+1)}, MaySignIn: &yes}
	if _, err := Compile(PolicySource{Scopes: pacific(), Connections: connections(), Tests: []TestSource{few}}); err == nil {
		t.Error("a crowd of groups is taken")
	}
}

// FuzzTests: whatever a test says, it is refused or runs, and saying so twice says
// the same.
func FuzzTests(f *testing.F) {
	f.Add("an Adelaide manager", "ironbark-entra", "GL Adelaide Managers", "standard @ pacific/ironbark/adelaide", "pacific/ironbark", "department")
	f.Add("", "nobody", "", "none", ".", "")
	f.Add("x", "pacific-entra", "Field Installers", "technician@.", "a//b", "departmnt")
	f.Add("y", "pacific-entra", "\xff", "standard @ {fleet}", "", "\x00")
	rule := RuleSource{ID: "m", From: "ironbark-entra", Group: "GL {fleet} Managers", Give: "standard @ pacific/ironbark/{fleet}"}
	f.Fuzz(func(t *testing.T, name, from, group, primary, path, attribute string) {
		test := TestSource{Name: name, As: TestPerson{From: access.ConnectionID(from), Groups: []TestGroup{{GroupRef: GroupRef{Group: group}}},
			Attributes: map[string]any{attribute: attribute}}, Primary: &primary, Guests: &[]string{primary}, Sees: []string{path}, NeverSees: []string{path}}
		src := PolicySource{Scopes: pacific(), Connections: connections(), Rules: []RuleSource{rule}, Tests: []TestSource{test},
			Attributes: []AttributeSource{{Name: "department", From: "title"}}}
		_, refused := Compile(src)
		src.Tests = nil
		p, err := Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		results := RunTests(p, []TestSource{test}, noon)
		if results[0].Passed { // no scope is seen and never seen
			t.Fatalf("%+v passed; at load: %v", test, refused)
		}
		if again := RunTests(p, []TestSource{test}, noon.In(time.FixedZone("", 3600))); fmt.Sprint(again) != fmt.Sprint(results) {
			t.Fatalf("%v\nthen %v", results, again)
		}
	})
}

// A group stands once in a test that is made of somebody: by its name, by its id where a
// rule asks for that, and by both where both count.
func TestOneGroupIsOneEntryOfASavedTest(t *testing.T) {
	p, err := Compile(asking(
		RuleSource{ID: "by-id", From: "ironbark-entra", GroupID: "oid-7", Give: "standard @ pacific/ironbark"},
		RuleSource{ID: "all-groups", From: "ironbark-entra", Group: "A", When: "size(user.groups) > 1", Give: "elevated @ pacific/ironbark"}))
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Connection: "ironbark-entra", Person: "per_1", Active: true, Memberships: []Membership{
		{Group: "g1", Name: "A", ExternalID: "oid-1"}, {Group: "g2", Name: "B", ExternalID: "oid-7"}, {Group: "g3", Name: "C", ExternalID: "oid-7", Shared: true}}}
	got := TestOf(p, f, noon).As.Groups
	want := []TestGroup{{GroupRef: GroupRef{Group: "A"}}, {GroupRef: GroupRef{Group: "B", GroupID: "oid-7"}}, {GroupRef: GroupRef{Group: "C"}}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
