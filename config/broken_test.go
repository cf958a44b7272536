package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBrokenConfigurations holds the exact report of every file, and every directory,
// under testdata/broken. The first line of a file says what is promised.
func TestBrokenConfigurations(t *testing.T) {
	t.Chdir("testdata/broken")
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		name, isFile := strings.CutSuffix(e.Name(), ".yaml")
		if !isFile && (!e.IsDir() || e.Name() == "besides") {
			continue
		}
		seen++
		t.Run(name, func(t *testing.T) { checkGolden(t, e.Name(), name+".golden") })
	}
	goldens, _ := filepath.Glob("*.golden")
	if len(goldens) != seen {
		t.Errorf("%d configurations, but %d reports", seen, len(goldens))
	}
}

func checkGolden(t *testing.T, path, golden string) {
	_, err := Load(path, []string{"PATH=/bin"})
	var problems *Problems
	if !errors.As(err, &problems) {
		t.Fatalf("the configuration is broken, but the error is %v", err)
	}
	got := err.Error() + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil || got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s%v", got, want, err)
	}
}
