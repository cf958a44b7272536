package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/demo"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// running is a demo: in this process (startDemo), or the real binary (startBinary).
type running struct {
	demo.Announcement
	t    testing.TB
	data string
	stop func() // ends it and waits; more than once is the same as once
	log  *journal
}

// journal is what a demo wrote to standard error.
type journal struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// startDemo runs `drawbridge demo --json --data data`, with more arguments, in this process.
func startDemo(t testing.TB, data string, more ...string) *running {
	t.Helper()
	more = append(more, demoFlags(t, data)...)
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	d := &running{t: t, data: data, log: &journal{}}
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"demo", "--listen", "127.0.0.1:0", "--json", "--data", data}, more...), os.Environ(), strings.NewReader(""), in, d.log)
		in.Close() //nolint:errcheck // a pipe's writer closes without error
		ended <- code
	}()
	d.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case code := <-ended:
			if code != exitDone {
				t.Errorf("the demo ended with %d:\n%s", code, d.log)
			}
		case <-time.After(20 * time.Second):
			t.Error("the demo did not end")
		}
	})
	t.Cleanup(d.stop)
	d.hear(out)
	return d
}

// hear reads the first line of standard output, which is all there is.
func (d *running) hear(out io.Reader) {
	d.t.Helper()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &d.Announcement)
	}
	if err != nil {
		d.t.Fatalf("the demo announced %q (%v):\n%s", line, err, d.log)
	}
}

// client is Fleet Web's registration in the hands of another relying party, with
// a browser of its own.
func (d *running) client(connection string) *oidctest.Client {
	c := d.Clients[0]
	return &oidctest.Client{Issuer: d.Issuer, ClientID: c.ClientID, ClientSecret: secret.New(c.ClientSecret), RedirectURI: c.RedirectURI, Connection: connection}
}

// connection finds one by its id.
func (d *running) connection(id string) demo.AnnouncedConnection {
	d.t.Helper()
	for _, c := range d.Connections {
		if c.ID == id {
			return c
		}
	}
	d.t.Fatalf("the demo has no connection %s", id)
	return demo.AnnouncedConnection{}
}

// command runs another command of the program against the demo.
func (d *running) command(args ...string) (code int, out string) {
	var b journal
	code = run(d.t.Context(), append(args, "--data", d.data), os.Environ(), strings.NewReader(""), &b, &b)
	return code, b.String()
}

// browser keeps cookies and follows redirects, and runs no script.
func newBrowser(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: 15 * time.Second}
}

// page is where a browser came to rest.
type page struct {
	url    string
	status int
	body   string
}

func visit(t testing.TB, c *http.Client, req *http.Request) page {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return page{url: res.Request.URL.String(), status: res.StatusCode, body: string(body)}
}

func get(t testing.TB, c *http.Client, at string) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	return visit(t, c, req)
}
