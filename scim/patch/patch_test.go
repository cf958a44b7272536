package patch

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// promise is one testdata file: a document, and requests that are each applied to
// it. A request's sections follow it: after (absent: the document stays as it is),
// members (absent: not touched), active, notes, or error alone.
type promise struct {
	rt       *schema.ResourceType
	leniency schema.Leniency
	before   schema.Object
	requests []request
}

type request struct {
	operations string
	expect     map[string]string
}

func load(t testing.TB, file string) promise {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := promise{rt: schema.Users(), leniency: schema.Lenient()}
	if strings.HasPrefix(filepath.Base(file), "group") {
		p.rt = schema.Groups()
	}
	for _, f := range a.Files {
		switch f.Name {
		case "before":
			if p.before, err = schema.Stored(f.Data); err != nil {
				t.Fatal(err)
			}
		case "strict":
			p.leniency = schema.Leniency{}
		case "request":
			p.requests = append(p.requests, request{string(f.Data), map[string]string{}})
		case "after", "members", "active", "notes", "error":
			p.requests[len(p.requests)-1].expect[f.Name] = strings.TrimSpace(string(f.Data))
		default:
			t.Fatalf("%s: what is a section %q?", file, f.Name)
		}
	}
	return p
}

func body(operations string) []byte {
	if strings.HasPrefix(strings.TrimSpace(operations), "{") {
		return []byte(operations)
	}
	return fmt.Appendf(nil, `{"schemas":[%q],"Operations":%s}`, MessageURN, operations)
}

func TestPromises(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no promises", err)
	}
	for _, file := range files {
		p := load(t, file)
		for i, r := range p.requests {
			t.Run(fmt.Sprintf("%s/%d", strings.TrimSuffix(filepath.Base(file), ".txtar"), i+1), func(t *testing.T) {
				check(t, p, r)
			})
		}
	}
}

func check(t *testing.T, p promise, r request) {
	before := string(p.before.Encode())
	plan, err := Compile(p.rt, body(r.operations), p.leniency)
	var after schema.Object
	if err == nil {
		after, err = plan.Apply(p.before)
	}
	if got := string(p.before.Encode()); got != before {
		t.Errorf("the document given to Apply was changed\nfrom %s\nto   %s", before, got)
	}
	if err != nil || r.expect["error"] != "" {
		if got := describe(err); got != r.expect["error"] {
			t.Errorf("error\n got %s\nwant %s", got, r.expect["error"])
		}
		return
	}
	want := p.before
	if text, ok := r.expect["after"]; ok {
		if want, err = schema.Stored([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "after", string(after.Encode()), string(want.Encode()))
	equal(t, "members", printMembers(plan.Members), r.expect["members"])
	if text, ok := r.expect["notes"]; ok {
		equal(t, "notes", strings.Join(plan.Notes(), "\n"), text)
	}
	again, err := plan.Apply(after)
	if err != nil {
		t.Fatalf("applied again: %v", err)
	}
	equal(t, "applied again", string(again.Encode()), string(want.Encode()))
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got %s\nwant %s", what, got, want)
	}
}

func describe(err error) string {
	e, ok := errors.AsType[*schema.Error](err)
	if !ok {
		return fmt.Sprint(err)
	}
	return string(e.Kind) + " " + e.Error()
}

func printMembers(edits []MemberEdit) string {
	var lines []string
	for _, e := range edits {
		words := []string{[...]string{"", "add", "remove", "replace", "remove all"}[e.Kind]}
		lines = append(lines, strings.Join(append(words, e.IDs...), " "))
	}
	return strings.Join(lines, "\n")
}
