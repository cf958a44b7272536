//go:build failpoints

package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/demo"
)

// built is the program with the failpoints in it, made once.
var built struct {
	once sync.Once
	path string
	err  error
}

func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "drawbridge-crash-")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "drawbridge")
		cmd := exec.Command("go", "build", "-tags", "failpoints", "-o", built.path, "./cmd/drawbridge") //nolint:gosec // our own program
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	endServers()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path)) //nolint:errcheck // a folder for the time of the test
	}
	os.Exit(code)
}

// bridge is a running demo: the bridge, its identity providers and an application.
type bridge struct {
	demo.Announcement
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended
	log   *journal
}

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

// patience is how long a start, or anything else that comes by itself, is waited for on a
// busy machine.
const patience = time.Minute

// start starts the program on an engine's data. An error: it ended before it was ready.
func start(t *testing.T, e engine, env ...string) (*bridge, error) {
	t.Helper()
	b := &bridge{ended: make(chan struct{}), log: &journal{}}
	b.cmd = exec.Command(program(t), append([]string{"demo", "--listen", "127.0.0.1:0", "--json"}, e.args()...)...) //nolint:gosec // our own program
	b.cmd.Env = append(os.Environ(), env...)
	b.cmd.Stderr = b.log
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	go func() {
		_ = b.cmd.Wait() //nolint:errcheck // that it ended is all that matters
		close(b.ended)
	}()
	t.Cleanup(b.kill)
	if err == nil {
		err = json.Unmarshal(line, &b.Announcement)
	}
	if err != nil {
		b.kill()
		return nil, fmt.Errorf("it announced %q: %w\n%s", line, err, b.log)
	}
	return b, nil
}

// restarted starts the program anew where it was killed, which must work.
func restarted(t *testing.T, e engine) *bridge {
	t.Helper()
	b, err := start(t, e)
	for again := 0; err != nil && strings.Contains(err.Error(), "address already in use") && again < 5; again++ {
		time.Sleep(time.Second)
		b, err = start(t, e)
	}
	if err != nil {
		t.Fatalf("it does not start any more: %v", err)
	}
	return b
}

// kill ends the process as kill -9 does, and waits.
func (b *bridge) kill() {
	_ = b.cmd.Process.Kill() //nolint:errcheck // it may have ended by itself
	<-b.ended
}

// stop ends the process as it is asked to, and waits.
func (b *bridge) stop(t *testing.T) {
	t.Helper()
	if err := b.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-b.ended
}

// livesFor says whether the process is there still after a while.
func (b *bridge) livesFor(d time.Duration) bool {
	select {
	case <-b.ended:
		return false
	case <-time.After(d):
		return true
	}
}

// waited says whether something came true before patience ended, or ctx.
func waited(ctx context.Context, come func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if come() {
			return true
		}
	}
	return false
}
