//go:build lanes

package torture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/drawbridge-id/drawbridge/internal/lanes"
)

// The disk of PostgreSQL is full for a while. With root, that is a small disk in a namespace
// of its own; without, files may not grow, which PostgreSQL meets in the same places.
func TestTheDiskOfPostgreSQLIsFull(t *testing.T) {
	p, full, free := smallPostgres(t)
	w := newWorldOn(t, 3, p, newRedis(t, memory(t, "redis")))
	w.suffer(t, nemesis{name: "full disk", hurt: func(r *run) {
		full()
		r.pass(pick(4*time.Second, 15*time.Second))
		free()
		if p.Gone() {
			p.start()
		}
		within(t, patience, "PostgreSQL writes again", func() error { return p.Exec("drawbridge", "create temporary table t (i int)") })
	}})
}

// smallPostgres is a server whose disk can be made full, and free again.
func smallPostgres(t *testing.T) (p *pgServer, full, free func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Log("without root there is no disk of its own: files may not grow, instead")
		p = newPostgres(t, memory(t, "postgres"))
		return p, func() { p.grow(t, 1<<20) }, func() { p.grow(t, unix.RLIM_INFINITY) }
	}
	dir := memory(t, "postgres")
	p = notYetPostgres(t, dir, "min_wal_size=32MB", "max_wal_size=48MB")
	who, err := lanes.Unprivileged(dir)
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.Command("unshare", "-m", "sh", "-c", fmt.Sprintf("mount -t tmpfs -o size=180m,mode=0700,uid=%d,gid=%d tmpfs %s && echo there && exec sleep infinity", who.Uid, who.Gid, dir))
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := holder.StdoutPipe()
	if err == nil {
		err = holder.Start()
	}
	if err == nil {
		_, err = said.Read(make([]byte, 8))
	}
	if err != nil {
		t.Fatalf("a disk of its own: %v", err)
	}
	t.Cleanup(func() {
		_ = holder.Process.Kill() //nolint:errcheck // the disk goes with it
		_ = holder.Wait()         //nolint:errcheck // it was killed
	})
	pid := strconv.Itoa(holder.Process.Pid)
	p.In = []string{"nsenter", "-t", pid, "-m", "setpriv", "--reuid", fmt.Sprint(who.Uid), "--regid", fmt.Sprint(who.Gid), "--clear-groups"}
	p.make()
	junk := filepath.Join("/proc", pid, "root", dir, "junk")
	return p, func() { stuff(t, junk) }, func() {
		if err := os.Remove(junk); err != nil {
			t.Error(err)
		}
	}
}

// stuff writes until nothing more fits.
func stuff(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it is full
	for b := make([]byte, 1<<20); len(b) > 1; {
		if _, err := f.Write(b); errors.Is(err, syscall.ENOSPC) {
			b = b[:len(b)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// grow says how large files of the server may become.
func (s *pgServer) grow(t *testing.T, most uint64) {
	t.Helper()
	all, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	of := strconv.Itoa(s.PID())
	for _, e := range all {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil || (e.Name() != of && parent(string(b)) != of) {
			continue // it has gone, or is somebody else's
		}
		if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: unix.RLIM_INFINITY}, nil); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
}

// parent is the fourth field of a process's stat, behind its name in brackets.
func parent(stat string) string {
	var state, of string
	for i := len(stat) - 1; i >= 0; i-- {
		if stat[i] == ')' {
			_, _ = fmt.Sscan(stat[i+1:], &state, &of) //nolint:errcheck // the kernel wrote it
			break
		}
	}
	return of
}
