package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/credential"
)

// zeros are as many as are read.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '0'
	}
	return len(b), nil
}

// TestWhatIsNoPlanRequestIsRefusedBeforeAnythingIsRead: with what is wrong, and never
// with what was sent.
func TestWhatIsNoPlanRequestIsRefusedBeforeAnythingIsRead(t *testing.T) {
	token := credential.NewOpaque(credential.KindAdmin)
	h := New(Config{Token: credential.DigestOf(token.Reveal())})
	long := strings.Repeat("x", 2000)
	for name, x := range map[string]struct {
		body   io.Reader
		accept string
		status int
		says   string
	}{
		"nothing":         {strings.NewReader(""), "", 400, "body"},
		"no source":       {strings.NewReader(`{"file":"a.yaml"}`), "", 400, "source is missing"},
		"null":            {strings.NewReader(`{"source":null}`), "", 400, "source is missing"},
		"text":            {strings.NewReader(`{"source":"rules"}`), "", 400, "source is missing"},
		"other types":     {strings.NewReader(`{"source":{"rules":7}}`), NDJSON, 400, "source is not a policy"},
		"unknown levels":  {strings.NewReader(`{"source":{"scopes":[{"id":"x","level":"moon"}]}}`), "", 400, `no level is called \"moon\"`},
		"a long file":     {strings.NewReader(`{"source":{},"file":"` + long + `"}`), "", 400, "at most 1024 bytes"},
		"too many people": {strings.NewReader(`{"source":{},"most":10001}`), "", 400, "at most 10000"},
		"full as one":     {strings.NewReader(`{"source":{},"full":true}`), "", 400, "line by line only"},
		"too large":       {io.LimitReader(io.MultiReader(strings.NewReader(`{"source":`), zeros{}), MaxPolicyBytes+1), "", 413, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, Prefix+"/policy/plans", x.body)
			r.Header.Set("Authorization", "Bearer "+token.Reveal())
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", x.accept)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != x.status || !strings.Contains(w.Body.String(), x.says) || strings.Contains(w.Body.String(), long) {
				t.Errorf("answered %d %.300s, want %d and %q", w.Code, w.Body, x.status, x.says)
			}
		})
	}
}
