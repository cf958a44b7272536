//go:build lanes

package torture

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one that the lane started. It ends with the lane, by its id.
type process struct {
	name string
	log  string // file

	mu    sync.Mutex // guards cmd and ended
	cmd   *exec.Cmd
	ended chan struct{}
}

// launch starts a program, as somebody else if as says so, with its output in a file of dir.
func launch(dir, name string, as *syscall.SysProcAttr, env []string, program string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log")}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close() //nolint:errcheck // the process has its own
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, out, out, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if as != nil {
		cmd.SysProcAttr.Credential = as.Credential
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait() //nolint:errcheck // whoever ended it knows why; the log says the rest
		close(p.ended)
	}()
	return p, nil
}

func (p *process) signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// end sends a signal and waits; whoever does not end is killed.
func (p *process) end(s os.Signal, patience time.Duration) error {
	if p == nil {
		return nil
	}
	err := p.signal(s)
	select {
	case <-p.ended:
		return err
	case <-time.After(patience):
	}
	_ = p.signal(syscall.SIGCONT) //nolint:errcheck // it may have been stopped
	_ = p.signal(syscall.SIGKILL) //nolint:errcheck // it may be gone by now
	<-p.ended
	return errors.Join(err, fmt.Errorf("%s did not end within %s of %s", p.name, patience, s))
}

// kill is kill -9, also of a process that is stopped.
func (p *process) kill() {
	if p == nil {
		return
	}
	_ = p.signal(syscall.SIGKILL) //nolint:errcheck // it may be gone
	<-p.ended
}

func (p *process) gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// said is the end of what a process wrote.
func (p *process) said() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

// freePort is one of loopback that nobody uses.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it was never used
	return l.Addr().(*net.TCPAddr).Port
}

// memory is a folder whose writes wait for no disk: no test here asks what survives a power cut.
func memory(t testing.TB, name string) string {
	t.Helper()
	under := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		under = "/dev/shm"
	}
	dir, err := os.MkdirTemp(under, "drawbridge-torture-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// unprivileged is somebody whom PostgreSQL accepts, which root is not: nil if we are one.
func unprivileged(t testing.TB, dirs ...string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("this lane needs PostgreSQL (make setup-postgres): %v", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}} //nolint:gosec // of the system
}

// within waits for something that others do by themselves.
func within(t testing.TB, d time.Duration, what string, is func() error) {
	t.Helper()
	if err := awaited(d, is); err != nil {
		t.Fatalf("after %s, %s: %v", d, what, err)
	}
}

func awaited(d time.Duration, is func() error) (err error) {
	for end := time.Now().Add(d); ; time.Sleep(20 * time.Millisecond) {
		if err = is(); err == nil || time.Now().After(end) {
			return err
		}
	}
}
