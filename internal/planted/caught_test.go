//go:build planted

package planted_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const top = "../.."

// catch is a line of testdata/caught.txt.
type catch struct {
	bug, pkg, test string
	budget         time.Duration
}

func catches(t *testing.T) (all []catch) {
	t.Helper()
	text, err := os.ReadFile("testdata/caught.txt")
	if err != nil {
		t.Fatal(err)
	}
	only := os.Getenv("BUG")
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		budget, err := time.ParseDuration(f[len(f)-1])
		if len(f) != 4 || err != nil {
			t.Fatalf("a line is a bug, a package, its tests and a duration: %s", line)
		}
		if only == "" || strings.Contains(f[0], only) {
			all = append(all, catch{f[0], f[1], f[2], budget})
		}
	}
	return all
}

// names are the bugs that the package has.
func names(t *testing.T) (all []string) {
	t.Helper()
	source, err := os.ReadFile("planted.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`Name = "([^"]+)"`).FindAllSubmatch(source, -1) {
		all = append(all, string(m[1]))
	}
	return all
}

// TestEveryPlantedBugIsCaught: with a bug alive, the test that is named for it fails in time.
// Without any, the same tests pass, so that it is the bug which is caught. BUG=name runs those
// alone whose names have that in them.
func TestEveryPlantedBugIsCaught(t *testing.T) {
	all := catches(t)
	binaries := compiled(t, all)
	healthy(t, all, binaries)
	var mu sync.Mutex // guards caught
	caught := 0
	turn := make(chan struct{}, 2)
	t.Run("bugs", func(t *testing.T) {
		for _, c := range all {
			t.Run(c.bug, func(t *testing.T) {
				t.Parallel()
				turn <- struct{}{}
				defer func() { <-turn }()
				if c.isCaught(t, binaries[c.pkg]) {
					mu.Lock()
					defer mu.Unlock()
					caught++
				}
			})
		}
	})
	planted := slices.Compact(slices.Sorted(slices.Values(names(t))))
	t.Logf("caught %d of %d planted bugs", caught, len(planted))
	if os.Getenv("BUG") != "" {
		return
	}
	for _, n := range planted {
		if !slices.ContainsFunc(all, func(c catch) bool { return c.bug == n }) {
			t.Errorf("no test is named that catches %s", n)
		}
	}
	if len(all) != len(planted) {
		t.Errorf("%d bugs are planted, and %d lines say what catches them", len(planted), len(all))
	}
}

// compiled builds the tests of each package once, with every bug in them, and those that need
// servers too.
func compiled(t *testing.T, all []catch) map[string]string {
	t.Helper()
	binaries, dir := map[string]string{}, t.TempDir()
	for _, c := range all {
		if binaries[c.pkg] != "" {
			continue
		}
		binaries[c.pkg] = filepath.Join(dir, strings.ReplaceAll(c.pkg, "/", "_")+".test")
		cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "planted,lanes", "-o", binaries[c.pkg], "./"+c.pkg) //nolint:gosec // our own packages
		cmd.Dir = top
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.pkg, err, out)
		}
	}
	return binaries
}

// healthy runs what must catch bugs where there are none.
func healthy(t *testing.T, all []catch, binaries map[string]string) {
	t.Helper()
	tests := map[string][]string{}
	for _, c := range all {
		tests[c.pkg] = append(tests[c.pkg], c.test)
	}
	for pkg, these := range tests {
		run := "^(" + strings.Join(these, "|") + ")$"
		out, err := executed(t, pkg, binaries[pkg], run, "", 5*time.Minute)
		if err != nil {
			t.Fatalf("%s: with no bug alive, %s fails: %v\n%s", pkg, run, err, out)
		}
		for _, test := range these {
			if !bytes.Contains(out, []byte("--- PASS: "+test+" ")) {
				t.Fatalf("%s has no test %s", pkg, test)
			}
		}
	}
}

func (c catch) isCaught(t *testing.T, binary string) bool {
	t.Helper()
	began := time.Now()
	out, err := executed(t, c.pkg, binary, "^"+c.test+"$", c.bug, c.budget)
	took := time.Since(began).Round(100 * time.Millisecond)
	var exit *exec.ExitError
	switch {
	case err == nil:
		t.Errorf("%s is alive, and %s passes", c.bug, c.test)
	case !errors.As(err, &exit) || !bytes.Contains(out, []byte("--- FAIL: "+c.test)) && !bytes.Contains(out, []byte("panic: ")):
		t.Errorf("%s is alive, and %s comes to no end within %s (%v)", c.bug, c.test, c.budget, err)
	default:
		t.Logf("%-28s caught by %s in %s", c.bug, c.test, took)
		return true
	}
	return false
}

// executed runs tests of a package where its test data lies.
func executed(t *testing.T, pkg, binary, run, bug string, budget time.Duration) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), budget)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run", run, "-test.v") //nolint:gosec // compiled here
	cmd.Dir = filepath.Join(top, filepath.FromSlash(pkg))
	cmd.Env = append(os.Environ(), "BRIDGE_PLANTED="+bug)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	return out, err
}
