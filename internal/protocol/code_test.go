package protocol_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/protocol"
)

// TestEachFaultIsLookedForInTheCode: this package has the loops of the code a second time, so
// what it finds in its own says nothing of theirs. Each fault is named with what finds it there.
func TestEachFaultIsLookedForInTheCode(t *testing.T) {
	listed := map[string]string{}
	for line := range strings.Lines(read(t, "testdata/code.txt")) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		fault, by, ok := strings.Cut(line, "  ")
		if _, twice := listed[fault]; twice || !ok {
			t.Errorf("not one line of a fault and what finds it: %s", line)
		}
		listed[fault] = by
	}
	for _, f := range protocol.Faults() {
		by, ok := listed[f.String()]
		delete(listed, f.String())
		switch what := strings.Fields(by); {
		case !ok:
			t.Errorf("testdata/code.txt does not say what finds in the code: %s", f)
		case len(what) > 2 && what[0] == "none":
		case len(what) == 2 && what[0] == "planted":
			mentioned(t, f, "../planted/testdata/caught.txt", `(?m)^`+regexp.QuoteMeta(what[1])+`\s`)
		case len(what) == 3 && what[0] == "test":
			mentioned(t, f, "../../"+what[1]+"/*_test.go", `(?m)^func `+what[2]+`\(`)
		default:
			t.Errorf("%s: neither planted, nor a test, nor none with a reason: %q", f, by)
		}
	}
	for f := range listed {
		t.Errorf("there is no such fault: %s", f)
	}
}

// mentioned looks for what finds a fault in the files where it would stand.
func mentioned(t *testing.T, f protocol.Fault, files, what string) {
	t.Helper()
	names, err := filepath.Glob(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if regexp.MustCompile(what).MatchString(read(t, name)) {
			return
		}
	}
	t.Errorf("%s: nothing in %s is %s", f, files, what)
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name) //nolint:gosec // of this repository
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
