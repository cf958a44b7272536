package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// report is what a run over nodes has measured, for docs/performance.md, and what each operation
// costs, for docs/scaling.md.
type report struct {
	table
	engines string
	small   bool
	began   time.Time
	parts   []part
	costs   [][]string
}

// part is measured in one go.
type part struct {
	name, load string
	at         time.Time
	from       int // its first row
}

func (r *report) begin(name string) {
	r.nodes = true
	r.parts = append(r.parts, part{name, busyness(), time.Now(), len(r.rows)})
	fmt.Fprintln(os.Stderr, r.parts[len(r.parts)-1].title())
}

func (p part) title() string {
	return fmt.Sprintf("Part `%s`, begun at %s with a load average of %s, %s:", p.name, p.at.UTC().Format("15:04 UTC"), p.load, machine())
}

// cost notes what the last load cost, under the name of the operation.
func (r *report) cost(operation string) {
	each := r.last.cpu.each(r.last.ops)
	r.costs = append(r.costs, []string{operation, timed(each.bridge), timed(each.postgres), timed(each.redis)})
}

// costOf notes what the row of that name has cost.
func (r *report) costOf(operation, what string) {
	for _, row := range r.rows {
		if row[0] == what {
			r.costs = append(r.costs, []string{operation, row[4], row[5], row[6]})
		}
	}
}

// whole adds something that was done once, with what all of it cost.
func (r *report) whole(what string, took time.Duration, cpu spent) {
	r.put([]string{what, short(took), "", "", timed(cpu.bridge), timed(cpu.postgres), timed(cpu.redis), timed(cpu.load), ""})
}

// print writes both blocks, as they stand in the documents.
func (r *report) print(w io.Writer) error {
	for _, block := range r.blocks() {
		if _, err := fmt.Fprintf(w, "%s, in docs/%s:\n\n%s\n", block.name, block.file, block.text); err != nil {
			return err
		}
	}
	return nil
}

// block is a part of a document between two marks.
type block struct{ file, name, text string }

func (r *report) blocks() []block {
	var figures, costs bytes.Buffer
	day := r.began.UTC().Format("2006-01-02")
	fmt.Fprintf(&figures, "Measured on %s: %s; %s. Load, bridges and servers share the cores.\n", day, machine(), r.engines)
	if r.small {
		fmt.Fprint(&figures, "\n**A small run, which shows that everything works: its figures mean nothing.**\n")
	}
	for i, p := range r.parts {
		rows := r.rows[p.from:]
		if i+1 < len(r.parts) {
			rows = r.rows[p.from:r.parts[i+1].from]
		}
		fmt.Fprintf(&figures, "\n%s\n\n", p.title())
		_ = aligned(&figures, []string{"what", "measured", "p50", "p99", "CPU each: bridge", "PostgreSQL", "Redis", "load", "promised"}, rows) // a buffer takes everything
	}
	loads := make([]string, len(r.parts))
	for i, p := range r.parts {
		loads[i] = p.load
	}
	fmt.Fprintf(&costs, "Measured on %s by `make bench-nodes`, with load averages of %s when its parts began.\n\n", day, strings.Join(loads, ", "))
	_ = aligned(&costs, []string{"Operation", "CPU of the bridge", "of PostgreSQL", "of Redis"}, r.costs)
	return []block{{"performance.md", "figures", figures.String()}, {"scaling.md", "costs", costs.String()}}
}

// paste puts the blocks into the documents of a folder.
func (r *report) paste(docs string) error {
	for _, b := range r.blocks() {
		path := filepath.Join(docs, b.file)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pasted, err := b.into(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := os.WriteFile(path, []byte(pasted), 0o644); err != nil { //nolint:gosec // a document
			return err
		}
	}
	return nil
}

// into replaces what stands between the marks of a document.
func (b block) into(document string) (string, error) {
	begin, end := "<!-- make bench-nodes: "+b.name+" -->\n", "<!-- end of "+b.name+" -->\n"
	before, rest, found := strings.Cut(document, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", errors.New("it lacks the lines " + begin + " and " + end)
	}
	return before + begin + "\n" + b.text + "\n" + end + after, nil
}
