//go:build lanes

package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// seams let the lanes' nodes speak with identity providers on this machine, as the demo does,
// and stand still for a collection of garbage when they are told to.
func seams(env []string) setting {
	if file := os.Getenv("LANES_GARBAGE"); file != "" {
		go collecting(file)
	}
	return setting{insecureLoopbackEgress: slices.Contains(env, "LANES_LOOPBACK=1")}
}

// now is this machine's clock, put forward or back by as many seconds as the file says that
// LANES_CLOCK names. The monotonic clock goes on undisturbed, as it does when somebody sets
// the other.
func now() time.Time {
	watchClock()
	t := time.Now()
	// The wall clock's seconds stand in 33 bits above 30 of nanoseconds: there is no other way
	// to move it and leave the monotonic reading as it is.
	*(*uint64)(unsafe.Pointer(&t)) += uint64(clockOff.Load()) << 30 //nolint:gosec // see above
	return t
}

var clockOff atomic.Int64 // seconds

var watchClock = sync.OnceFunc(func() {
	file := os.Getenv("LANES_CLOCK")
	if file == "" {
		return
	}
	read := func() {
		if b, err := os.ReadFile(file); err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil {
				clockOff.Store(n)
			}
		}
	}
	read()
	go func() {
		for range time.Tick(10 * time.Millisecond) {
			read()
		}
	}()
})
