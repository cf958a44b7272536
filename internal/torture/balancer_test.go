//go:build lanes

package torture

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// balancer is the address in front of the nodes: it sends each request to one that said it
// was ready, in turn, and asks each of them every 50 ms.
type balancer struct {
	url  string
	next atomic.Int64

	mu    sync.Mutex // guards the rest
	nodes []*node
	ready []*node
}

func newBalancer(t testing.TB) *balancer {
	t.Helper()
	b := &balancer{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.Host = "http", r.In.Host
			r.Out.URL.Host = r.In.Context().Value(chosen{}).(*node).public
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Second, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				t.Logf("the balancer: %v", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := b.choose()
		if d == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), chosen{}, d)))
	}))
	b.url = s.URL
	ctx, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { b.watch(ctx) })
	t.Cleanup(func() {
		stop()
		watching.Wait()
		s.Close()
	})
	return b
}

type chosen struct{}

func (b *balancer) choose() *node {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ready) == 0 {
		return nil
	}
	return b.ready[int(b.next.Add(1))%len(b.ready)]
}

func (b *balancer) add(d *node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = append(b.nodes, d)
}

func (b *balancer) watch(ctx context.Context) {
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		b.mu.Lock()
		nodes := slices.Clone(b.nodes)
		b.mu.Unlock()
		is := make([]bool, len(nodes))
		var asked sync.WaitGroup
		for i, d := range nodes {
			asked.Go(func() { is[i] = d.isReady(ctx) == nil })
		}
		asked.Wait()
		b.mu.Lock()
		b.ready = nil
		for i, d := range nodes {
			if is[i] {
				b.ready = append(b.ready, d)
			}
		}
		b.mu.Unlock()
	}
}
