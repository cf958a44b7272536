package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Whoever stops serve and starts a demo asks the demo, though serve's address is
// still there.
func TestTheBridgeThatWasStartedLastIsAsked(t *testing.T) {
	before, after, none := t.TempDir(), t.TempDir(), t.TempDir()
	for folder, started := range map[string]time.Duration{before: -time.Hour, after: -time.Minute} {
		if err := (address{APIURL: folder}).write(folder); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(started)
		if err := os.Chtimes(filepath.Join(folder, addressFile), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, folders := range [][]string{{before, after, none}, {none, after, before}} {
		if got, found := latest(folders); !found || got != after {
			t.Errorf("of %v, %q is asked (%t)", folders, got, found)
		}
	}
	if got, found := latest([]string{none}); found {
		t.Errorf("a bridge was found in %q, where none has been", got)
	}
}
