//go:build failpoints

package crash

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/drawbridge-id/drawbridge/examples"
	"github.com/drawbridge-id/drawbridge/internal/event"
)

// told is an engine of a bridge that has somebody to tell: a webhook hears of ended sessions.
type told struct {
	engine
	file  string        // the configuration
	heard *atomic.Int64 // messages that a session was revoked
}

func (e told) args() []string { return append(e.engine.args(), "--config", e.file) }

func telling(t *testing.T, e engine) told {
	t.Helper()
	heard := &atomic.Int64{}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err == nil && bytes.Contains(body, []byte(`"`+string(event.SessionRevoked)+`"`)) {
			heard.Add(1)
		}
	}))
	t.Cleanup(receiver.Close)
	hook := fmt.Sprintf("\nwebhooks:\n  - name: operations\n    url: %s/hook\n    secret: whsec_bm90LWEtc2VjcmV0LWZvci1sb29wYmFjay1vbmx5\n    events: [ \"session.revoked\" ]\nclients:\n", receiver.URL)
	file := filepath.Join(t.TempDir(), "drawbridge.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(examples.Drawbridge), "\nclients:\n", hook, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return told{e, file, heard}
}
