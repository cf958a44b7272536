package drive

import (
	"math/bits"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// meter counts every request by its kind, in memory that does not grow with them.
type meter struct {
	mu    sync.Mutex // guards kinds
	kinds map[string]*series
}

// series is one kind's latencies: buckets of at most 1/32 of their value wide.
type series struct {
	count, refused, throttled, lost int
	longest                         time.Duration
	buckets                         [64 * fine]int32
}

const fine = 32

func bucket(d time.Duration) int {
	n := uint64(max(d, 1))
	width := bits.Len64(n)
	if width <= 6 {
		return int(n) // below 64 ns every value has its own
	}
	return (width-6)*fine + int(n>>(width-6))
}

// most is the largest value of a bucket.
func most(b int) time.Duration {
	if b < 2*fine {
		return time.Duration(b)
	}
	shift := b/fine - 1
	return time.Duration((b%fine+fine+1)<<shift - 1)
}

func (m *meter) observe(x idp.Exchange) {
	kind := kindOf(x.Method, x.Path)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.kinds[kind]
	if s == nil {
		s = &series{}
		m.kinds[kind] = s
	}
	s.count++
	s.longest = max(s.longest, x.Took)
	s.buckets[bucket(x.Took)]++
	switch {
	case x.Status == 0:
		s.lost++
	case x.Status == http.StatusTooManyRequests:
		s.throttled++
	case x.Status/100 != 2:
		s.refused++
	}
}

// kindOf leaves out of a request what differs from one to the next: "PATCH
// /Groups/{id}", "GET /Users?filter".
func kindOf(method, path string) string {
	path, query, asked := strings.Cut(path, "?")
	if at := strings.IndexByte(path[1:], '/'); at >= 0 {
		path = path[:at+1] + "/{id}"
	}
	if asked && strings.Contains(query, "filter=") {
		path += "?filter"
	}
	return method + " " + path
}

func (s *series) quantile(q float64) time.Duration {
	rank := int(q * float64(s.count-1))
	for b, n := range s.buckets {
		if rank -= int(n); rank < 0 {
			return min(most(b), s.longest)
		}
	}
	return s.longest
}

// requests are the kinds by their name, ready for the report.
func (m *meter) requests() []Requests {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []Requests{}
	for kind, s := range m.kinds {
		out = append(out, Requests{Kind: kind, Count: s.count, Refused: s.refused, Throttled: s.throttled, Unanswered: s.lost,
			P50: milliseconds(s.quantile(.5)), P99: milliseconds(s.quantile(.99)), Max: milliseconds(s.longest)})
	}
	slices.SortFunc(out, func(a, b Requests) int { return strings.Compare(path(a.Kind)+a.Kind, path(b.Kind)+b.Kind) })
	return out
}

// path puts all that was asked of one resource together.
func path(kind string) string {
	_, p, _ := strings.Cut(kind, " ")
	return strings.TrimSuffix(strings.TrimSuffix(p, "?filter"), "/{id}")
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
