package httpserver

import (
	"context"
	"crypto/rand"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// RequestIDHeader carries a request's id in answers. An id that a client sends is
// not believed: it would end up in our audit trail.
const RequestIDHeader = "X-Request-Id"

// Edge is what every public request passes through.
type Edge struct {
	Log     *zap.Logger
	Metrics *Metrics
	Now     func() time.Time
	// Tag puts the request's id where use cases find it.
	Tag func(ctx context.Context, id string) context.Context
	// Route names a request for metrics: a bounded set, never a path with ids.
	Route func(*http.Request) string
}

// Metrics are the edge's own.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	panics   prometheus.Counter
}

// NewMetrics registers the edge's metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_http_requests_total",
			Help: "Requests answered, by route, method and status code."}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "drawbridge_http_request_duration_seconds",
			Help: "Time from the request's header to the end of its answer.", Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}}, []string{"route"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "drawbridge_http_panics_total", Help: "Requests that ended in a programming error."}),
	}
	r.MustRegister(m.requests, m.duration, m.panics)
	return m
}

// Wrap gives next a request id, one log line, one metric, and a 500 instead of a
// dropped connection if it panics before it answered.
func (e Edge) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := e.Now()
		id := rand.Text()
		w.Header().Set(RequestIDHeader, id)
		seen := &recorder{ResponseWriter: w}
		defer func() { e.tell(r, seen, id, e.Now().Sub(started)) }()
		defer func() { e.recovered(recover(), seen, id) }()
		next.ServeHTTP(seen, r.WithContext(e.Tag(r.Context(), id)))
	})
}

func (e Edge) recovered(p any, w *recorder, id string) {
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it by identity
		panic(p)
	}
	e.Metrics.panics.Inc()
	e.Log.Error("panic", zap.String("request_id", id), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
	if w.status == 0 {
		http.Error(w, "The service failed. Reference: "+id, http.StatusInternalServerError)
	}
}

func (e Edge) tell(r *http.Request, w *recorder, id string, took time.Duration) {
	route, status := e.Route(r), w.status
	if status == 0 {
		status = http.StatusOK
	}
	e.Metrics.requests.WithLabelValues(route, method(r.Method), strconv.Itoa(status)).Inc()
	e.Metrics.duration.WithLabelValues(route).Observe(took.Seconds())
	level := zap.DebugLevel
	if status >= http.StatusInternalServerError {
		level = zap.WarnLevel
	}
	e.Log.Log(level, "request", zap.String("request_id", id), zap.String("route", route), zap.String("method", method(r.Method)),
		zap.Int("status", status), zap.Duration("took", took))
}

// method bounds the label: a client may send any word.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// recorder remembers the status; Unwrap lets http.ResponseController reach the
// connection below.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	if later := status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests; later && r.Header().Get("Retry-After") == "" {
		r.Header().Set("Retry-After", "1") // second: whoever comes sooner makes it worse
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
