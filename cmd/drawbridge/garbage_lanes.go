//go:build lanes

package main

import (
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// rubbish is what is looked through for garbage: chains that are followed link by link.
type rubbish struct{ next *rubbish }

// links are as many as a chain has; stride is how far apart two lie that follow one another,
// so that each has to be fetched.
const links, stride = 1 << 20, 100_003

// collecting lets this process collect garbage again and again while the file is there that
// LANES_GARBAGE names, each time for as long as the file says: chains are made until it takes
// so long on this machine. With GODEBUG=gcstoptheworld=2 at its start nothing else runs
// meanwhile; how long nothing ran at most is put beside the file, as .stood.
func collecting(file string) {
	var longest atomic.Int64
	go func() {
		for last := time.Now(); ; last = time.Now() {
			time.Sleep(10 * time.Millisecond)
			longest.Store(max(longest.Load(), int64(time.Since(last))))
		}
	}()
	var all []*rubbish
	for ; ; time.Sleep(100 * time.Millisecond) {
		b, err := os.ReadFile(file)
		if err != nil { // not yet, or no more
			all = nil
			longest.Store(0)
			continue
		}
		least, err := time.ParseDuration(strings.TrimSpace(string(b)))
		if err != nil {
			panic(err)
		}
		began := time.Now()
		runtime.GC()
		if time.Since(began) < least {
			for range max(1, len(all)) {
				all = append(all, pile())
			}
		}
		if err := os.WriteFile(file+".stood", []byte(time.Duration(longest.Load()).String()), 0o600); err != nil {
			panic(err)
		}
	}
}

// pile is the first of a chain.
func pile() *rubbish {
	all := make([]*rubbish, links)
	for i := range all {
		all[i] = &rubbish{}
	}
	for i := range all {
		all[i].next = all[(i+stride)%links]
	}
	return all[0]
}
