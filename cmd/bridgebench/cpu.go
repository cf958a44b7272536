package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// spent is CPU time, on all cores together: a figure that other work on the machine disturbs less than a rate.
type spent struct{ bridge, postgres, redis, load time.Duration }

func (s spent) less(b spent) spent {
	return spent{s.bridge - b.bridge, s.postgres - b.postgres, s.redis - b.redis, s.load - b.load}
}

func (s spent) plus(b spent) spent {
	return spent{s.bridge + b.bridge, s.postgres + b.postgres, s.redis + b.redis, s.load + b.load}
}

func (s spent) each(n int64) spent {
	d := time.Duration(max(n, 1))
	return spent{s.bridge / d, s.postgres / d, s.redis / d, s.load / d}
}

// beside are the processes of the servers that a bridge stands on; 0 where there is none.
type beside struct{ postgres, redis int }

// spent is what a bridge, its servers and this program have spent since they began.
func (b *bridge) spent() (s spent, err error) {
	if b.cmd != nil {
		if s.bridge, err = spentBy(b.cmd.Process.Pid); err != nil {
			return s, err
		}
	}
	if s.postgres, err = spentByFamily(b.beside.postgres); err != nil {
		return s, err
	}
	if s.redis, err = spentBy(b.beside.redis); err != nil {
		return s, err
	}
	var r syscall.Rusage
	err = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	s.load = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	return s, err
}

// fieldsOf are those of /proc/PID/stat that follow the name; the first is the state.
func fieldsOf(pid int) ([]string, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(body), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return nil, errors.New("/proc/PID/stat is short")
	}
	return fields, nil
}

// sumOf adds ticks of the processor, of which every Linux shows a hundred a second.
func sumOf(ticks []string) (sum time.Duration, err error) {
	for _, f := range ticks {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * time.Second / 100
	}
	return sum, nil
}

// spentBy is what a process has spent; 0 without one.
func spentBy(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	fields, err := fieldsOf(pid)
	if err != nil {
		return 0, err
	}
	return sumOf(fields[11:13])
}

// spentByFamily is what a process has spent with its children, those that have ended included.
func spentByFamily(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, child := range strings.Fields(string(children)) {
		n, err := strconv.Atoi(child)
		if err != nil {
			return 0, err
		}
		took, err := spentBy(n)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // one that has ended meanwhile counts below
			return 0, err
		}
		sum += took
	}
	fields, err := fieldsOf(pid)
	if err != nil {
		return 0, err
	}
	own, err := sumOf(fields[11:15])
	return sum + own, err
}

// parentOf is a process's parent.
func parentOf(pid int) (int, error) {
	fields, err := fieldsOf(pid)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(fields[1])
}

// busyness is the machine's load average of the last minute.
func busyness() string {
	body, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	last, _, _ := strings.Cut(string(body), " ")
	return last
}
