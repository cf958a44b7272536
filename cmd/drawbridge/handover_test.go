package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/steward"
)

// The note is the customer's: its file holds what the bridge made, byte for byte, and a
// terminal what it does not obey.
func TestANoteIsWrittenAsItWasMade(t *testing.T) {
	made := "Your access\n\nWhere\tO\u2019Hara <Depot> \u202eevil \x1b[31m \\n\n"
	bridge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/permits/prm_1/handover/note" {
			t.Errorf("asked %s", r.URL.Path)
		}
		_ = json.NewEncoder(w).Encode(steward.Handed{Format: "text", Content: made}) //nolint:errcheck // into memory
	}))
	defer bridge.Close()
	folder := t.TempDir()
	if err := (address{APIURL: bridge.URL, AdminToken: "x"}).write(folder); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		c := &cli{out: &out, data: folder}
		cmd := c.grantHandover()
		cmd.SetArgs(append([]string{"prm_1"}, args...))
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	file := filepath.Join(folder, "note.txt")
	run("--out", file)
	if got, err := os.ReadFile(file); err != nil || string(got) != made {
		t.Errorf("%q, %v; want %q", got, err, made)
	}
	want := "Your access\n\nWhere\tO\u2019Hara <Depot> \ufffdevil \ufffd[31m \\n\n"
	if got := run(); got != want {
		t.Errorf("%q; want %q", got, want)
	}
}
