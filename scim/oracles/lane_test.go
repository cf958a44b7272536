//go:build lanes

// Package oracles compares filters and patches with packages from npm that were not
// written for the bridge. Where they differ, somebody has looked who is right: what
// is listed here is all that may differ, and what is listed must differ.
package oracles

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// question is one line for testdata/scim-oracles/lane.mjs.
type question struct {
	Filter     string          `json:"filter,omitempty"`
	Type       string          `json:"type,omitempty"`
	Operations json.RawMessage `json:"operations,omitempty"`
	Resource   json.RawMessage `json:"resource"`
}

// answer is what one package says: a truth or a resource, or that it refuses.
type answer struct {
	Is      json.RawMessage `json:"is"`
	Refused *string         `json:"refused"`
	Detail  string          `json:"detail"`
}

// ask puts all questions to one process. Without Node.js or the packages this fails;
// it is never skipped.
func ask(t *testing.T, questions []question) []map[string]answer {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("this lane needs Node.js (make setup-oracles): %v", err)
	}
	var in, stderr bytes.Buffer
	lines := json.NewEncoder(&in)
	for _, q := range questions {
		if err := lines.Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), node, "lane.mjs") //nolint:gosec // a file of ours
	cmd.Dir, cmd.Stdin, cmd.Stderr = "../../testdata/scim-oracles", &in, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var answers []map[string]answer
	scan := bufio.NewScanner(bytes.NewReader(out))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var a map[string]answer
		if err := json.Unmarshal(scan.Bytes(), &a); err != nil {
			t.Fatalf("%v in %s", err, scan.Bytes())
		}
		answers = append(answers, a)
	}
	if scan.Err() != nil || len(answers) != len(questions) {
		t.Fatalf("%d answers to %d questions (%v)\n%s", len(answers), len(questions), scan.Err(), stderr.String())
	}
	return answers
}

// draw makes what is compared. The same seed makes the same, so that a failure can
// be looked at.
type draw struct{ *rand.Rand }

func newDraw(seed uint64) draw { return draw{rand.New(rand.NewPCG(seed, 43))} }

func pick[T any](d draw, from ...T) T { return from[d.IntN(len(from))] }

// oneIn is true once in n times.
func (d draw) oneIn(n int) bool { return d.IntN(n) == 0 }

// words are near misses of each other.
var words = []string{"ada", "Ada", "ADA", "ad", "bob", "bobada", "Ångström", "ångström", "work", "home", "Work", `q"q`, `b\b`, "x y", "7", "Å"}

// instants are equal, near each other, and written in several ways.
var instants = []string{"2026-11-21T09:00:00Z", "2026-11-21T10:00:00+01:00", "2026-11-21T09:00:00.5Z", "2026-11-21T09:00:00.500Z", "2026-11-20T23:59:59Z", "2026-11-21T00:30:00-10:00"}

func (d draw) element() schema.Object {
	o := schema.Object{"value": pick(d, words...)}
	if !d.oneIn(4) {
		o["type"] = pick(d, "work", "home", "Work")
	}
	if d.oneIn(3) {
		o["display"] = pick(d, words...)
	}
	if d.oneIn(4) {
		o["primary"] = false
	}
	return o
}

func (d draw) elements() any {
	list := []any{}
	for range d.IntN(4) {
		list = append(list, d.element())
	}
	if len(list) == 0 {
		return nil
	}
	if d.oneIn(2) {
		list[d.IntN(len(list))].(schema.Object)["primary"] = true
	}
	return list
}

// person is a user as answers show it.
func (d draw) person() schema.Object {
	doc := schema.Object{"id": pick(d, "per_1", "per_2"), "userName": pick(d, words...), "active": d.oneIn(2)}
	for _, name := range []string{"externalId", "title", "nickName", "displayName"} {
		if d.oneIn(2) {
			doc[name] = pick(d, words...)
		}
	}
	name := schema.Object{}
	for _, part := range []string{"givenName", "familyName"} {
		if d.oneIn(2) {
			name[part] = pick(d, words...)
		}
	}
	extension := schema.Object{}
	for _, part := range []string{"department", "employeeNumber"} {
		if d.oneIn(2) {
			extension[part] = pick(d, words...)
		}
	}
	if d.oneIn(3) {
		extension["manager"] = schema.Object{"value": pick(d, "per_1", "per_2")}
	}
	for name, o := range map[string]schema.Object{"name": name, schema.EnterpriseURN: extension} {
		if len(o) > 0 {
			doc[name] = o
		}
	}
	for _, list := range []string{"emails", "phoneNumbers", "roles"} {
		if elements := d.elements(); elements != nil {
			doc[list] = elements
		}
	}
	doc["meta"] = schema.Object{"resourceType": "User", "created": pick(d, instants...), "lastModified": pick(d, instants...)}
	return doc
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string always is one
	return string(b)
}
