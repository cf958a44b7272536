package config

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// saved is a test with everything that one may say.
func saved(name string) mapping.TestSource {
	primary, guests, may := "administrator @ southern/banksia", []string{"standard @ southern/banksia/geelong"}, true
	at := time.Date(2026, 12, 1, 8, 0, 0, 5e6, time.UTC)
	return mapping.TestSource{Name: name, At: at, Primary: &primary, Guests: &guests, MaySignIn: &may,
		Sees: []string{"southern/banksia"}, NeverSees: []string{"southern/reefline", "boreal"},
		As: mapping.TestPerson{From: "banksia-entra", Groups: []mapping.TestGroup{{GroupRef: mapping.GroupRef{Group: "GL Account Admins"}},
			{GroupRef: mapping.GroupRef{GroupID: "8d2f, \"x\" #"}}, {GroupRef: mapping.GroupRef{Group: "yes"}, Since: at.AddDate(0, -1, 0)},
			{GroupRef: mapping.GroupRef{Group: "GL Geelong Managers", GroupID: "7c1e"}}},
			Certification: access.Certification{Level: "Trainer", Until: at.AddDate(1, 0, 0)}}}
}

func sampleFile(t testing.TB) []byte {
	t.Helper()
	file, err := os.ReadFile("../examples/drawbridge.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// TestASavedTestReadsAsItWas: what is written into a file is what is read from it, and
// nothing else of the file changes by a byte.
func TestASavedTestReadsAsItWas(t *testing.T) {
	file := sampleFile(t)
	was, err := Parse("f", file, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	once, err := WithTest(file, saved("a test"))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := WithTest(once, saved("a test"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse("f", twice, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := cfg.Policy.Unplaced().Tests
	n := len(was.Policy.Tests)
	if len(tests) != n+2 {
		t.Fatalf("%d tests, then %d", n, len(tests))
	}
	for i, name := range []string{"a test", "a test (2)"} {
		want, _ := json.Marshal(saved(name))
		if got, _ := json.Marshal(tests[n+i]); string(got) != string(want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	lines := strings.Split(string(twice), "\n")
	for line := range strings.Lines(string(file)) {
		at := 0
		for at < len(lines) && lines[at]+"\n" != line {
			at++
		}
		if at == len(lines) {
			t.Fatalf("the line %q is gone", line)
		}
		lines = lines[at+1:]
	}
}

func TestWhereASavedTestGoes(t *testing.T) {
	yes := true
	test := mapping.TestSource{Name: "new", As: mapping.TestPerson{From: "c"}, MaySignIn: &yes}
	const entry = "- name: new\n~  as:\n~    from: \"c\"\n~  may_sign_in: true\n"
	at := func(indent string) string { return indent + strings.ReplaceAll(entry, "~", indent) }
	for _, c := range []struct{ file, want, refused string }{
		{file: "a: 1\n", want: "a: 1\n\ntests:\n" + at("  ")},
		{file: "a: 1", want: "a: 1\n\ntests:\n" + at("  ")},
		{file: "tests:\nz: 1\n", want: "tests:\n" + at("  ") + "z: 1\n"},
		{file: "tests:\n- name: old # first\n  as: {}\n\n# about z\nz: 1\n", want: "tests:\n- name: old # first\n  as: {}\n" + at("") + "\n# about z\nz: 1\n"},
		{file: "tests:\n    - name: old\n      as:\n        x: |\n          tests:\n          - name: no\n# the end\n", want: "tests:\n    - name: old\n      as:\n        x: |\n          tests:\n          - name: no\n" + at("    ") + "# the end\n"},
		{file: "tests: []\n", refused: "in one line"},
		{file: "tests: [ { name: old } ]\n", refused: "in one line"},
		{file: "a: 1\n---\nb: 1\n", refused: "2 documents"},
		{file: "- a\n", refused: "no keys"},
		{file: "a: [\n", refused: "not YAML"},
	} {
		got, err := WithTest([]byte(c.file), test)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%q: %v, %q", c.file, err, got)
			}
			continue
		}
		if err != nil || string(got) != c.want {
			t.Errorf("%q became\n%s\nwant\n%s\n(%v)", c.file, got, c.want, err)
		}
	}
}

// FuzzSavedTest: whatever a test is called and says, it reads back as that, beside what
// stood in the file.
func FuzzSavedTest(f *testing.F) {
	f.Add("tests:\n  - name: a\n", "a", "GL Admins", "Support")
	f.Add("a: 1\n", "yes", "x: y # z", "- \"'")
	f.Add("tests:\n", "\x00\u2028é", "{a}", "5")
	f.Fuzz(func(t *testing.T, file, name, group, value string) {
		primary := "none"
		test := mapping.TestSource{Name: name, As: mapping.TestPerson{From: "c", Groups: []mapping.TestGroup{{GroupRef: mapping.GroupRef{Group: group}}},
			Attributes: map[string]any{"department": value}}, Primary: &primary}
		before, err := testNames([]byte(file))
		if err != nil {
			return
		}
		got, err := WithTest([]byte(file), test)
		if err != nil {
			return
		}
		after, err := testNames(got)
		if err != nil || len(after) != len(before)+1 || len(before) > 0 && !reflect.DeepEqual(after[:len(before)], before) {
			t.Fatalf("%q became\n%s\n%v", file, got, err)
		}
		if last := after[len(after)-1]; utf8.ValidString(name) && !strings.HasPrefix(last, name) {
			t.Fatalf("%q is read as %q in\n%s", name, last, got)
		}
	})
}
