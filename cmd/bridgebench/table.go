package main

import (
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
	rows  [][]string
	last  result
	nodes bool // with the CPU time of the servers and the load, and what was promised
}

func (t *table) add(what string, r result) {
	each := r.cpu.each(r.ops)
	t.last = r
	if r.refused > 0 {
		what += fmt.Sprintf("; %d times told to come again", r.refused)
	}
	row := []string{what, fmt.Sprintf("%.0f/s", r.rate()), timed(r.p50), timed(r.p99), timed(each.bridge)}
	if t.nodes {
		row = append(row, timed(each.postgres), timed(each.redis), timed(each.load), "")
	}
	t.put(row)
}

func (t *table) note(what string, d time.Duration) { t.say(what, short(d)) }

func (t *table) say(what, value string) { t.row(what, value, "", "") }

func (t *table) row(what, value, p50, p99 string) {
	row := []string{what, value, p50, p99, ""}
	if t.nodes {
		row = append(row, "", "", "", "")
	}
	t.put(row)
}

// put adds a row, and shows whoever waits that it goes on.
func (t *table) put(row []string) {
	t.rows = append(t.rows, row)
	fmt.Fprintln(os.Stderr, strings.TrimRight(strings.Join(row, "  "), " "))
}

// promised says beside the last row what was promised of it, and whether it was kept.
func (t *table) promised(what string, kept bool) {
	if kept {
		what += ": kept"
	} else {
		what += ": **not kept**"
	}
	last := t.rows[len(t.rows)-1]
	last[len(last)-1] = what
	fmt.Fprintln(os.Stderr, "    promised:", what)
}

// timed is nothing for what was not timed, or cost next to nothing.
func timed(d time.Duration) string {
	if d < time.Microsecond {
		return ""
	}
	return short(d)
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
	fmt.Fprintf(w, "%s, SQLite with synchronous=FULL; load and bridge share the cores.\n\n", machine())
	if err := aligned(w, []string{"what", "rate or value", "p50", "p99", "bridge CPU each"}, t.rows); err != nil {
		fmt.Fprintln(os.Stderr, "bridgebench:", err)
	}
}

// aligned writes a table of Markdown that is one for whoever reads it as it is, too.
func aligned(w io.Writer, head []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 4, 1, ' ', 0)
	fmt.Fprintf(tw, "| %s\t|\n", strings.Join(head, "\t| "))
	fmt.Fprintln(tw, "|"+strings.Repeat("---\t|", len(head)))
	for _, r := range rows {
		fmt.Fprintf(tw, "| %s\t|\n", strings.Join(r, "\t| "))
	}
	return tw.Flush()
}

func machine() string {
	return fmt.Sprintf("%d cores, %s RAM, %s, %s/%s", runtime.NumCPU(), memory(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
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
