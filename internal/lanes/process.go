// Package lanes starts what the lanes need that is not ours: a PostgreSQL, a Redis, each in a folder
// of its own, on loopback, and ended by its process id. It is for tests. Without the servers'
// programs a lane fails, and says what to install; it is never skipped.
package lanes

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Patience is how long what servers do by themselves is waited for, on a machine that has much else to do.
const Patience = 90 * time.Second

// Process is one that a lane started. It ends with the lane.
type Process struct {
	name  string
	log   string // file
	cmd   *exec.Cmd
	ended chan struct{}
}

// Launch starts a program, as somebody else if as says so, with its output in a file of dir.
func Launch(dir, name string, as *syscall.Credential, env []string, program string, args ...string) (*Process, error) {
	p := &Process{name: name, log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // a folder of ours, read by others
	if err != nil {
		return nil, err
	}
	defer out.Close()                      //nolint:errcheck // the process has its own
	p.cmd = exec.Command(program, args...) //nolint:gosec,noctx // a server of ours, ended by End or Kill
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr, p.cmd.Env = dir, out, out, append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: as}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() //nolint:errcheck // whoever ended it knows why; the log says the rest
		close(p.ended)
	}()
	return p, nil
}

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends it a signal, if it is still there.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// End sends a signal and waits; whoever does not end is killed, which is an error.
func (p *Process) End(s os.Signal, patience time.Duration) error {
	if p == nil {
		return nil
	}
	err := p.Signal(s)
	select {
	case <-p.ended:
		return err
	case <-time.After(patience):
	}
	_ = p.Signal(syscall.SIGCONT) //nolint:errcheck // it may have been stopped
	p.Kill()
	return errors.Join(err, fmt.Errorf("%s did not end within %s of %s", p.name, patience, s))
}

// Kill is kill -9, also of a process that is stopped or gone.
func (p *Process) Kill() {
	if p == nil {
		return
	}
	_ = p.Signal(syscall.SIGKILL) //nolint:errcheck // it may be gone
	<-p.ended
}

// Gone reports whether it has ended.
func (p *Process) Gone() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Said is the end of what it wrote.
func (p *Process) Said() string {
	if p == nil {
		return ""
	}
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

// Until waits for something that others do by themselves; the error is the last one.
func Until(patience time.Duration, is func() error) (err error) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if err = is(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// FreePort is one of loopback that nobody uses, and that is given to no outgoing connection: those
// have ports from 32768 on. It is given out once.
func FreePort() (int, error) {
	given.mu.Lock()
	defer given.mu.Unlock()
	var err error
	for range 100 {
		port := 20000 + rand.IntN(12000) //nolint:gosec // no secret
		if given.ports[port] {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil { //nolint:noctx // it ends at once
			given.ports[port] = true
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no port is free: %w", err)
}

// given are the ports that this process has given out.
var given = struct {
	mu    sync.Mutex // guards ports
	ports map[int]bool
}{ports: map[int]bool{}}

// InMemory is a new folder whose writes wait for no disk, where there is one: hardly a test asks
// what survives a power cut. Its path is short, for sockets.
func InMemory(name string) (string, error) {
	under := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		under = "/dev/shm"
	}
	return os.MkdirTemp(under, "drawbridge-"+name+"-")
}

// Unprivileged is somebody whom PostgreSQL accepts, which root is not, and gives them folders;
// nil, who runs this, if that is not root.
func Unprivileged(folders ...string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, needs("PostgreSQL", "make setup-postgres", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	err = errors.Join(err1, err2)
	for _, f := range folders {
		err = errors.Join(err, os.Chown(f, int(uid), int(gid))) //nolint:gosec // 32 bits
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

func needs(server, do string, err error) error {
	return fmt.Errorf("this lane needs %s (%s): %w", server, do, err)
}
