package bridge_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// viewing counts the read transactions that are open.
type viewing struct {
	store.Engine
	open *atomic.Int64
}

func (e viewing) View(ctx context.Context, fn func(store.Querier) error) error {
	e.open.Add(1)
	defer e.open.Add(-1)
	return e.Engine.View(ctx, fn)
}

// reader takes an answer and looks around at every piece.
type reader struct {
	header http.Header
	status int
	pieces int
	bytes  int
	first  bytes.Buffer
	look   func(*reader)
}

func (r *reader) Header() http.Header    { return r.header }
func (r *reader) WriteHeader(status int) { r.status = status }

func (r *reader) Write(b []byte) (int, error) {
	if r.pieces == 0 {
		r.first.Write(b)
	}
	r.pieces, r.bytes = r.pieces+1, r.bytes+len(b)
	r.look(r)
	return len(b), nil
}

// TestALargeGroupIsStreamed: the members of a large group are read and sent a page at
// a time. The first go out before the second page is read, what is held does not grow
// with the group, and however slow the reader is, no read transaction waits for it,
// which would keep the write-ahead log from being emptied.
func TestALargeGroupIsStreamed(t *testing.T) {
	const size = 12_000
	var open atomic.Int64
	w := newWorld(t, func(w *world) {
		w.aroundStore = func(e store.Engine) store.Engine { return viewing{e, &open} }
	})
	group := w.hugeGroup(banksia, "GL Geelong Managers", w.people(banksia, size))
	var least, most uint64
	out := &reader{header: http.Header{}, look: func(r *reader) {
		if n := open.Load(); n != 0 {
			t.Fatalf("%d read transactions are open while the reader reads", n)
		}
		if r.pieces%10 != 1 {
			return
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if least == 0 {
			least = m.HeapAlloc
		}
		most = max(most, m.HeapAlloc)
	}}
	r := httptest.NewRequest("GET", "/scim/v2/banksia-entra/Groups/"+group, nil)
	r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
	w.scim.ServeHTTP(out, r)
	if out.status != 200 || out.bytes < size*100 || out.pieces < 40 {
		t.Fatalf("answered %d with %d bytes in %d pieces", out.status, out.bytes, out.pieces)
	}
	if n := bytes.Count(out.first.Bytes(), []byte(`"value":"per_`)); n == 0 || n > 1000 {
		t.Errorf("the first piece has %d members", n)
	}
	if grown := int64(most) - int64(least); grown > 1<<20 {
		t.Errorf("%d KiB more were held in the course of an answer of %d KiB", grown>>10, out.bytes>>10)
	}
}

// BenchmarkGetLargeGroup is GET of a group of 10 and of 200,000 over HTTP: to the first
// byte, and to the last.
func BenchmarkGetLargeGroup(b *testing.B) {
	w := newWorld(b)
	people := w.people(banksia, 200_000)
	server := httptest.NewServer(w.scim)
	defer server.Close()
	for _, size := range []int{10, 200_000} {
		group := w.hugeGroup(banksia, fmt.Sprint("group of ", size), people[:size])
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var first time.Duration
			for b.Loop() {
				r, err := http.NewRequestWithContext(w.ctx, "GET", server.URL+"/scim/v2/banksia-entra/Groups/"+group, nil)
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+w.tokens[banksia])
				began := time.Now()
				answer, err := http.DefaultClient.Do(r)
				if err != nil || answer.StatusCode != 200 {
					b.Fatal(answer, err)
				}
				body := bufio.NewReader(answer.Body)
				if _, err := body.ReadByte(); err != nil {
					b.Fatal(err)
				}
				first = max(first, time.Since(began))
				if _, err := io.Copy(io.Discard, body); err != nil {
					b.Fatal(err)
				}
				w.do(answer.Body.Close())
			}
			b.ReportMetric(float64(first.Microseconds())/1000, "worst-first-byte-ms")
		})
	}
}
