package scimtest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// inProcess lets a client speak to a handler without a socket.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, in)
	return w.Result(), nil
}

func check(t *testing.T, h http.Handler) Report {
	t.Helper()
	report, err := Run(t.Context(), Options{BaseURL: testURL, Token: testToken, Transport: inProcess{h}})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestAServerThatIsRightGetsNoFinding(t *testing.T) {
	r := check(t, reference())
	for _, f := range r.Findings {
		if f.Verdict != Holds {
			t.Errorf("%s %s: %s\n%s\n%s", f.ID, f.Verdict, f.Found, f.Sent, f.Received)
		}
	}
	if r.Grade != "A" || len(r.Left) > 0 {
		t.Errorf("grade %s, left %v", r.Grade, r.Left)
	}
}

// A server that reads nothing but the RFC is not blamed for it; one that takes some
// departures and not others is.
func TestAServerThatReadsStrictlyGetsNoFinding(t *testing.T) {
	m, server := kept()
	m.strict = true
	r := check(t, server)
	skipped := 0
	for _, f := range r.Findings {
		if f.Verdict == Skipped && strings.Contains(f.Found, "reads strictly") {
			skipped++
		} else if f.Verdict != Holds {
			t.Errorf("%s %s: %s\n%s\n%s", f.ID, f.Verdict, f.Found, f.Sent, f.Received)
		}
	}
	if skipped != 10 || r.Grade != "A" {
		t.Errorf("%d skipped, grade %s", skipped, r.Grade)
	}
	var one sync.Mutex // request at a time: each has its own strictness
	half := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		one.Lock()
		defer one.Unlock()
		m.strict = !strings.Contains(q.UserAgent(), "patch.op-case")
		server.ServeHTTP(w, q)
	})
	if n := len(complaints(check(t, half))); n != 9 {
		t.Errorf("%d complaints", n)
	}
}
