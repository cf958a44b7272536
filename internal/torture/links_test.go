//go:build lanes

package torture

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// link is the connection of one node with one server.
type link struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
	n     int
}

var proxies = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.New(io.Discard))

func newLink(t testing.TB, name string, port int) *link {
	t.Helper()
	l := &link{t: t, proxy: toxiproxy.NewProxy(proxies, name, fmt.Sprint("127.0.0.1:", freePort(t)), fmt.Sprint("127.0.0.1:", port))}
	if err := l.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.proxy.Stop)
	return l
}

func (l *link) address() string { return l.proxy.Listen }

// toxic puts something bad on the link, on what the node sends ("upstream") or gets ("downstream").
func (l *link) toxic(stream, kind, attributes string) {
	l.t.Helper()
	l.n++
	body := fmt.Sprintf(`{"name":"t%d","type":%q,"stream":%q,"attributes":{%s}}`, l.n, kind, stream, attributes)
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(body)); err != nil {
		l.t.Fatal(err)
	}
}

// cut closes what is open and refuses what is new.
func (l *link) cut() { l.proxy.Stop() }

// halfOpen swallows all that is sent either way, and closes nothing: nobody notices but by waiting.
func (l *link) halfOpen() {
	l.deaf()
	l.mute()
}

// mute swallows what the node sends, deaf what it would get.
func (l *link) mute() { l.toxic("upstream", "timeout", `"timeout":0`) }
func (l *link) deaf() { l.toxic("downstream", "timeout", `"timeout":0`) }

func (l *link) slow(ms, jitter int) {
	l.toxic("downstream", "latency", fmt.Sprintf(`"latency":%d,"jitter":%d`, ms, jitter))
}

// reset resets each connection a moment after it was opened, or heard from.
func (l *link) reset(ms int) { l.toxic("downstream", "reset_peer", fmt.Sprintf(`"timeout":%d`, ms)) }

// heal makes the link as new.
func (l *link) heal() {
	l.t.Helper()
	l.proxy.Toxics.ResetToxics(context.Background())
	l.to(l.proxy.Upstream)
}

// to leads the link, as new, to another server.
func (l *link) to(upstream string) {
	l.t.Helper()
	l.proxy.Stop()
	if err := l.proxy.Update(&toxiproxy.Proxy{Listen: l.proxy.Listen, Upstream: upstream, Enabled: true}); err != nil {
		l.t.Fatal(err)
	}
}
