package egress

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// server is a TLS server on loopback and a client that trusts it.
func server(t *testing.T, h http.HandlerFunc, o Options) (string, *http.Client) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	o.RootCAs = x509.NewCertPool()
	o.RootCAs.AddCert(s.Certificate())
	c := New(o)
	t.Cleanup(c.CloseIdleConnections)
	return s.URL, c
}

// get reads the whole answer.
func get(t *testing.T, c *http.Client, url string) ([]byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end or to its limit
	return io.ReadAll(resp.Body)
}

func TestAnOrdinaryRequestWorks(t *testing.T) {
	url, c := server(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "keys") }, Options{InsecureAllowLoopback: true})
	if body, err := get(t, c, url); err != nil || string(body) != "keys" {
		t.Errorf("%q, %v", body, err)
	}
}

// Without the exemption no spelling of this machine is reached, whatever resolves it.
func TestThisMachineIsNotReached(t *testing.T) {
	var reached atomic.Int64
	base, c := server(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) }, Options{})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(base, "https://"))
	for _, host := range []string{"127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0", "0.0.0.0",
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]", "127.0.0.1.", "LOCALHOST"} {
		if _, err := get(t, c, "https://"+host+":"+port+"/"); err == nil {
			t.Errorf("%s was reached", host)
		}
	}
	if _, err := get(t, c, base); !fault.Is(err, fault.Denied) {
		t.Errorf("the refusal is named: %v", err)
	}
	if reached.Load() != 0 {
		t.Errorf("%d requests arrived", reached.Load())
	}
}

// A name whose answer is private is refused at the dial, so an answer that changes
// between check and use gains nothing.
func TestANameThatResolvesInwardsIsRefused(t *testing.T) {
	for _, answer := range []string{"127.0.0.1", "10.0.0.7", "169.254.169.254", "100.64.0.1"} {
		c := New(Options{Resolver: resolver(t, answer)})
		_, err := get(t, c, "https://idp.example/.well-known/openid-configuration")
		if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), answer) {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

// resolver answers every question for an IPv4 address with this one.
func resolver(t *testing.T, answer string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(dnsAnswer(buf[:n], net.ParseIP(answer).To4()), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// dnsAnswer repeats the question (RFC 1035 section 4) and answers it if it is for A.
func dnsAnswer(query, ip []byte) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	question := query[12 : end+5]
	isA := question[len(question)-3] == 1
	out := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if !isA {
		return out
	}
	out[7] = 1
	return append(append(out, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4), ip...)
}

func TestOnlyHTTPS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "plain") }))
	t.Cleanup(plain.Close)
	if _, err := get(t, New(Options{}), plain.URL); !fault.Is(err, fault.Denied) {
		t.Errorf("http without the exemption: %v", err)
	}
	loose := New(Options{InsecureAllowLoopback: true})
	t.Cleanup(loose.CloseIdleConnections)
	if body, err := get(t, loose, plain.URL); err != nil || string(body) != "plain" {
		t.Errorf("http to loopback with the exemption: %v", err)
	}
	for _, address := range []string{"http://idp.example/", "http://10.0.0.1/", "http://localhost.idp.example/", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/"} {
		if _, err := get(t, loose, address); !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Int64
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(inner.Close)
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{inner.URL, "https://169.254.169.254/latest/meta-data/", "/elsewhere", "file:///etc/passwd"} {
			url, c := server(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					followed.Add(1)
				}
				w.Header().Set("Location", to)
				w.WriteHeader(code)
			}, Options{InsecureAllowLoopback: true})
			if _, err := get(t, c, url); !fault.Is(err, fault.Denied) {
				t.Errorf("%d to %s: %v", code, to, err)
			}
		}
	}
	if followed.Load() != 0 {
		t.Errorf("%d redirects were followed", followed.Load())
	}
}

// flood writes until the client goes away.
func flood(w io.Writer) (written int) {
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	for written < 1<<30 {
		n, err := w.Write(chunk)
		written += n
		if err != nil {
			return written
		}
	}
	return written
}

func TestALargeAnswerIsCutOff(t *testing.T) {
	sent := make(chan int, 1)
	url, c := server(t, func(w http.ResponseWriter, _ *http.Request) { sent <- flood(w) }, Options{InsecureAllowLoopback: true})
	body, err := get(t, c, url)
	if !fault.Is(err, fault.Limited) || len(body) > MaxResponse {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	c.CloseIdleConnections()
	select {
	case n := <-sent:
		if n > 64<<20 {
			t.Errorf("the server could send %d bytes", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server is still sending")
	}
}

func TestALargeAnswerThatSaysSoIsNotRead(t *testing.T) {
	url, c := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(MaxResponse+1))
	}, Options{InsecureAllowLoopback: true})
	if _, err := get(t, c, url); !fault.Is(err, fault.Limited) {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerOfExactlyTheLimitIsWhole(t *testing.T) {
	for size, ok := range map[int]bool{MaxResponse - 1: true, MaxResponse: true, MaxResponse + 1: false} {
		url, c := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush() // chunked: the length is not told
			_, _ = w.Write(bytes.Repeat([]byte("x"), size))
		}, Options{InsecureAllowLoopback: true})
		body, err := get(t, c, url)
		if (err == nil) != ok || ok && len(body) != size || len(body) > MaxResponse {
			t.Errorf("%d bytes: %d read, %v", size, len(body), err)
		}
	}
}

func TestAGzipBombIsCountedUnpacked(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 256 {
		if _, err := z.Write(make([]byte, 256<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil || bomb.Len() > MaxResponse {
		t.Fatalf("%d bytes, %v", bomb.Len(), err)
	}
	url, c := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}, Options{InsecureAllowLoopback: true})
	if body, err := get(t, c, url); !fault.Is(err, fault.Limited) || len(body) > MaxResponse {
		t.Errorf("%d bytes unpacked, %v", len(body), err)
	}
}

func TestASlowAnswerIsGivenUp(t *testing.T) {
	const patience = 200 * time.Millisecond
	for name, h := range map[string]http.HandlerFunc{
		"no header": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a byte at a time": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		},
	} {
		url, c := server(t, h, Options{InsecureAllowLoopback: true, Timeout: patience})
		begun := time.Now()
		_, err := get(t, c, url)
		if took := time.Since(begun); err == nil || took > 20*patience {
			t.Errorf("%s: %v after %s", name, err, took)
		}
	}
	if c := New(Options{Timeout: time.Hour}); c.Timeout != Timeout {
		t.Errorf("an option may shorten the limit only: %s", c.Timeout)
	}
}

// A server that accepts and never speaks TLS.
func TestASilentServerIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c := New(Options{InsecureAllowLoopback: true, Timeout: 200 * time.Millisecond})
	if _, err := get(t, c, "https://"+l.Addr().String()); !fault.Is(err, fault.Unavailable) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestALargeHeaderIsRefused(t *testing.T) {
	url, c := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 2*MaxHeader))
	}, Options{InsecureAllowLoopback: true})
	if _, err := get(t, c, url); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}

// Threats: T-F6.
func TestCertificatesAreVerified(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	if _, err := get(t, New(Options{InsecureAllowLoopback: true}), s.URL); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an unknown authority: %v", err)
	}
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // what must be refused
	old.StartTLS()
	t.Cleanup(old.Close)
	pool := x509.NewCertPool()
	pool.AddCert(old.Certificate())
	if _, err := get(t, New(Options{InsecureAllowLoopback: true, RootCAs: pool}), old.URL); !fault.Is(err, fault.Unavailable) {
		t.Errorf("TLS 1.1: %v", err)
	}
}

func TestProxySettingsOfTheEnvironmentAreIgnored(t *testing.T) {
	var proxied atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Add(1) }))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	g, ok := New(Options{}).Transport.(*guard)
	if !ok || g.next.Proxy != nil {
		t.Fatal("the transport asks for a proxy")
	}
	// A host that is not loopback: net/http never sends those to a proxy.
	c := New(Options{InsecureAllowLoopback: true, Resolver: resolver(t, "10.0.0.7")})
	if _, err := get(t, c, "https://idp.example/"); !fault.Is(err, fault.Denied) || proxied.Load() != 0 {
		t.Errorf("%d requests went to the proxy; %v", proxied.Load(), err)
	}
}

func TestTheCallersCancellationStaysItsOwn(t *testing.T) {
	address, c := server(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, Options{InsecureAllowLoopback: true})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err == nil {
		_ = resp.Body.Close()
	}
	var asked *url.Error
	if !errors.Is(err, context.Canceled) || !errors.As(err, &asked) {
		t.Errorf("%v", err)
	}
}
