package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// table is what is printed at the end: one row a measurement.
type table struct {
	rows    [][]string
	engines string // what a node stands on, if not on SQLite alone
}

func (t *table) add(what string, r result) {
	t.rows = append(t.rows, []string{what, fmt.Sprintf("%.0f/s", r.rate()), short(r.p50), short(r.p99), short(r.cpu / time.Duration(r.ops))})
	fmt.Fprintf(os.Stderr, "%-60s %8.0f/s  p50 %s  p99 %s  cpu %s\n", what, r.rate(), short(r.p50), short(r.p99), short(r.cpu/time.Duration(r.ops)))
}

func (t *table) note(what string, d time.Duration) { t.say(what, short(d)) }

func (t *table) say(what, value string) {
	t.rows = append(t.rows, []string{what, value, "", "", ""})
	fmt.Fprintf(os.Stderr, "%-60s %s\n", what, value)
}

func (t *table) row(what, value, p50, p99 string) {
	t.rows = append(t.rows, []string{what, value, p50, p99, ""})
	fmt.Fprintf(os.Stderr, "%-60s %s  p50 %s  p99 %s\n", what, value, p50, p99)
}

func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "%d cores, %s RAM, %s, %s/%s, %s; load and bridge share the cores.\n\n",
		runtime.NumCPU(), memory(), runtime.Version(), runtime.GOOS, runtime.GOARCH, cmp.Or(t.engines, "SQLite with synchronous=FULL"))
	tw := tabwriter.NewWriter(w, 0, 4, 1, ' ', 0)
	fmt.Fprintln(tw, "| what\t| rate or value\t| p50\t| p99\t| bridge CPU each\t|")
	fmt.Fprintln(tw, "|---\t|---\t|---\t|---\t|---\t|")
	for _, r := range t.rows {
		fmt.Fprintf(tw, "| %s\t| %s\t| %s\t| %s\t| %s\t|\n", r[0], r[1], r[2], r[3], r[4])
	}
	if err := tw.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "bridgebench:", err)
	}
}

// memory is the machine's, from the kernel.
func memory() string {
	body, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(body), "\n")
	var kb int64
	if _, err := fmt.Sscanf(line, "MemTotal: %d kB", &kb); err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.0f GiB", float64(kb)/(1<<20))
}
