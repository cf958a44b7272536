//go:build !planted && !failpoints

package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// What is made to break the program on purpose is in no program that people run: without
// its build tag each place is a constant, which the compiler folds away with all that
// hangs on it, down to its name. This test's own binary is the program (TestMain).
func TestNothingPlantedIsInTheProgram(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`(?:Name|Point) = "([^"]+)"`)
	for _, source := range []string{"../../internal/planted/planted.go", "../../internal/failpoint/failpoint.go"} {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		names := name.FindAllSubmatch(text, -1)
		if len(names) < 5 {
			t.Fatalf("%s: %d names found", source, len(names))
		}
		for _, n := range names {
			if bytes.Contains(program, n[1]) {
				t.Errorf("the program has %s in it", n[1])
			}
		}
	}
	for _, last := range []string{"PLANTED", "FAILPOINT"} {
		variable := strings.Join([]string{"BRIDGE", last}, "_") // put together, or this test would find itself
		if bytes.Contains(program, []byte(variable)) {
			t.Errorf("the program reads %s", variable)
		}
	}
}
