//go:build lanes

package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/lanes"
)

// node is one process of the built program, with its own links to the servers.
type node struct {
	t          testing.TB
	name       string
	dir        string
	public     string // address
	operations string
	program    string
	database   *link // nil: SQLite, and the node is alone
	hot        *link
	env        []string
	http       *http.Client // whose every connection is to this node
	*lanes.Process
}

// built is the program, made once for all tests.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "drawbridge-torture-program-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "drawbridge")
	out, err := exec.Command("go", "build", "-tags", "lanes", "-o", path, "github.com/drawbridge-id/drawbridge/cmd/drawbridge").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path)) //nolint:errcheck // a temporary folder
	}
	os.Exit(code)
}

func newNode(t testing.TB, n int, dir string) *node {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	d := &node{t: t, name: fmt.Sprint("n", n+1), dir: filepath.Join(dir, fmt.Sprint("n", n+1)), program: program,
		public: fmt.Sprint("127.0.0.1:", freePort(t)), operations: fmt.Sprint("127.0.0.1:", freePort(t))}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	d.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", d.public)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return d
}

// start starts the node; ready waits until it may be sent people.
func (d *node) start() {
	d.t.Helper()
	var err error
	env := append([]string{"LANES_LOOPBACK=1", "LANES_CLOCK=" + filepath.Join(d.dir, "clock")}, d.env...)
	d.Process, err = lanes.Launch(d.dir, d.name, nil, env, d.program, "serve", "--config", filepath.Join(d.dir, "drawbridge.yaml"))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(d.Process.Kill)
}

// One that gives up because nothing answers is started again, as whoever runs it does.
func (d *node) ready() {
	d.t.Helper()
	err := lanes.Until(patience, func() error {
		if d.Gone() {
			d.start()
		}
		return d.isReady(context.Background())
	})
	if err != nil {
		d.t.Fatalf("after %s %s is not ready: %v\n%s", patience, d.name, err, d.Said())
	}
}

const patience = lanes.Patience

func (d *node) isReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.operations+"/readyz?verbose", nil)
	if err != nil {
		return err
	}
	res, err := quick.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // read by brief
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s", res.Status, brief(res.Body))
	}
	return nil
}

// pause stops the process where it stands, as a long collection of garbage, a frozen
// machine or a stolen processor do.
func (d *node) pause() {
	if err := d.Signal(syscall.SIGSTOP); err != nil {
		d.t.Error(err)
	}
}

func (d *node) proceed() {
	if err := d.Signal(syscall.SIGCONT); err != nil {
		d.t.Error(err)
	}
}

// set puts the node's wall clock so much before or behind the machine's.
func (d *node) set(off time.Duration) {
	d.t.Helper()
	d.put("clock", fmt.Sprint(int64(off/time.Second)))
}

// garbage is the file that says how long a node stands still for each collection of it.
const garbage = "garbage"

// collect lets the node stand still for so long again and again, and waits until it has.
func (d *node) collect(each time.Duration) {
	d.t.Helper()
	d.put(garbage, each.String())
	within(d.t, patience, d.name+" stands still", func() error {
		b, err := os.ReadFile(filepath.Join(d.dir, garbage+".stood"))
		if err != nil {
			return err
		}
		if stood, err := time.ParseDuration(string(b)); err != nil || stood < each {
			return fmt.Errorf("%q at most, want %s (%v)", b, each, err)
		}
		return nil
	})
}

// collected is the end of that.
func (d *node) collected() {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, garbage)); err != nil {
		d.t.Fatal(err)
	}
}

// put gives the node a file, whole.
func (d *node) put(name, text string) {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	err := os.WriteFile(path+".new", []byte(text), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// again starts a node that has ended.
func (d *node) again() {
	d.t.Helper()
	d.start()
	d.ready()
}

// administrator is where the node's admin API is, and what opens it.
func (d *node) administrator() (at, token string, err error) {
	body, err := os.ReadFile(filepath.Join(d.dir, "data", "server.json"))
	if err != nil {
		return "", "", err
	}
	var a struct {
		APIURL     string `json:"api_url"`
		AdminToken string `json:"admin_token"`
	}
	err = json.Unmarshal(body, &a)
	return a.APIURL, a.AdminToken, err
}
