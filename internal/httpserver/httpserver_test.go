package httpserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

func edge(t *testing.T, log io.Writer) (Edge, *Metrics) {
	t.Helper()
	logger, err := NewLogger(log, "debug")
	if err != nil {
		t.Fatal(err)
	}
	m := NewMetrics(prometheus.NewRegistry())
	return Edge{Log: logger, Metrics: m, Now: time.Now, Route: func(*http.Request) string { return "test" },
		Tag: func(ctx context.Context, _ string) context.Context { return ctx }}, m
}

func TestEveryAnswerCarriesAnIDThatTheClientCannotChoose(t *testing.T) {
	e, _ := edge(t, io.Discard)
	tagged := ""
	e.Tag = func(ctx context.Context, id string) context.Context { tagged = id; return ctx }
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set(RequestIDHeader, "chosen-by-client")
	w := httptest.NewRecorder()
	e.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	if got := w.Header().Get(RequestIDHeader); got == "" || got == "chosen-by-client" || got != tagged {
		t.Errorf("the answer's id is %q, the use case's %q", got, tagged)
	}
}

func TestAPanicIsA500WithAReferenceAndALogLine(t *testing.T) {
	var log bytes.Buffer
	e, m := edge(t, &log)
	w := httptest.NewRecorder()
	e.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 500 || !strings.Contains(w.Body.String(), w.Header().Get(RequestIDHeader)) || strings.Contains(w.Body.String(), "boom") {
		t.Errorf("answered %d %q", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "boom") || testutil.ToFloat64(m.panics) != 1 {
		t.Errorf("nobody was told: %s", log.String())
	}
}

func TestLabelsAreBounded(t *testing.T) {
	e, m := edge(t, io.Discard)
	h := e.Wrap(http.NotFoundHandler())
	for _, verb := range []string{"GET", "EVIL1", "EVIL2", "EVIL3"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(verb, "/x/"+verb, nil))
	}
	if n := testutil.CollectAndCount(m.requests); n != 2 {
		t.Errorf("%d series, want 2: GET and other", n)
	}
}

func TestSecretsDoNotReachTheLog(t *testing.T) {
	var log bytes.Buffer
	e, _ := edge(t, &log)
	s := secret.New("hunter2")
	e.Log.Info("x", Secret("a", s), zap.Any("b", s), zap.Any("c", struct{ S secret.String }{s}), zap.Reflect("d", map[string]secret.String{"k": s}))
	if strings.Contains(log.String(), "hunter2") || !strings.Contains(log.String(), "[redacted]") {
		t.Errorf("the log says %s", log.String())
	}
}

func TestReadinessNamesWhatIsMissing(t *testing.T) {
	h := Operations(prometheus.NewRegistry(), "/api", http.NotFoundHandler(), Check{Name: "store", Run: func(context.Context) error { return nil }},
		Check{Name: "policy", Run: func(context.Context) error { return errors.New("none applied") }})
	for path, want := range map[string]string{"/readyz": "not ready", "/readyz?verbose": "[-] policy: none applied", "/healthz": "ok"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s says %q, want %q", path, w.Body, want)
		}
	}
}

func TestWhatIsBesideDoesNotMakeANodeUnready(t *testing.T) {
	h := Operations(prometheus.NewRegistry(), "/api", http.NotFoundHandler(), Check{Name: "hot", Run: func(context.Context) error { return errors.New("it does not answer") }, Beside: true})
	for path, want := range map[string]string{"/readyz": "ready\n", "/readyz?verbose": "[!] hot: it does not answer\n"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%s says %d %q, want %q", path, w.Code, w.Body, want)
		}
	}
}

func TestServeLetsARunningRequestFinish(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		time.Sleep(50 * time.Millisecond)
		io.WriteString(w, "whole")
	})
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, zap.NewNop(), &Drain{}, Listener{Name: "public", Listener: l, Handler: h}) }()
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answer <- string(b)
	}()
	<-entered
	cancel()
	if got := <-answer; got != "whole" {
		t.Errorf("the request ended as %q", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Whoever is turned away is told when to come again, also by what knows of no such header.
func TestWhoeverIsTurnedAwayIsToldWhenToComeAgain(t *testing.T) {
	e, _ := edge(t, io.Discard)
	for _, c := range []struct {
		status     int
		said, want string
	}{{503, "", "1"}, {429, "", "1"}, {503, "60", "60"}, {500, "", ""}, {200, "", ""}} {
		w := httptest.NewRecorder()
		e.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.said != "" {
				w.Header().Set("Retry-After", c.said)
			}
			w.WriteHeader(c.status)
		})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if got := w.Header().Get("Retry-After"); got != c.want {
			t.Errorf("%d with %q: Retry-After %q", c.status, c.said, got)
		}
	}
}
