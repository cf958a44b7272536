//go:build lanes

package oracles

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
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
