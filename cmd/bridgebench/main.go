// Command bridgebench measures a running bridge over HTTP from a second process:
// it starts `drawbridge demo` in a temporary folder, drives bounded loads at
// loopback, and prints one table with the machine's cores and memory. `make bench`
// runs it; docs/performance.md keeps what it printed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// size is how much is measured. The defaults are those of docs/performance.md.
type size struct {
	people      int
	memberships int
	perRun      time.Duration
	conns       int
	browsers    int           // that fetch codes
	provision   time.Duration // at most, for all people
	only        string
}

func main() {
	var s size
	program := flag.String("program", "bin/drawbridge", "the built program")
	flag.IntVar(&s.people, "people", 100_000, "people to provision")
	flag.IntVar(&s.memberships, "memberships", 500_000, "memberships to provision")
	flag.DurationVar(&s.perRun, "per-run", 5*time.Second, "how long each load lasts")
	flag.IntVar(&s.conns, "connections", 16, "connections of each load")
	flag.IntVar(&s.browsers, "browsers", 200, "browsers that fetch codes: no more than a minute allows, after which none is good")
	flag.DurationVar(&s.provision, "provision", 10*time.Minute, "how long people are provisioned at most")
	flag.StringVar(&s.only, "only", "", "these steps beside provisioning, of yardstick, read, members, lookups, fairness, codes, sessions, leavers, restart; all if empty")
	var n deployment
	flag.StringVar(&n.postgres, "nodes", "", "measure nodes on this PostgreSQL instead, with {} for the name of a database")
	flag.StringVar(&n.redis, "redis", "", "address of the nodes' Redis")
	flag.StringVar(&n.folder, "folder", "", "folder of the nodes")
	flag.StringVar(&n.docs, "docs", "", "folder of the documents into which the figures of the nodes go")
	nothing := flag.Bool("serve-nothing", false, "be the server that the step yardstick measures")
	flag.Parse()
	if *nothing {
		fmt.Fprintln(os.Stderr, "bridgebench:", serveNothing())
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	run := func() error { return measure(ctx, *program, s) }
	if n.program = *program; n.postgres != "" {
		run = func() error { return n.measure(ctx) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bridgebench:", err)
		os.Exit(1)
	}
}

// steps are run in this order.
var steps = []struct {
	name string
	run  func(context.Context, *bridge, size, *table) error
}{{"yardstick", yardstick}, {"provision", provision}, {"read", readPeople}, {"members", members}, {"lookups", lookups}, {"fairness", fairness}, {"codes", codes}, {"sessions", sessions}, {"leavers", leavers}, {"restart", restart}}

func measure(ctx context.Context, program string, s size) error {
	b, err := start(ctx, program)
	if err != nil {
		return err
	}
	defer b.stop()
	t := &table{}
	t.note("start to ready, first start (makes keys)", b.firstStart)
	for _, step := range steps {
		if step.name != "provision" && s.only != "" && !slices.Contains(strings.Split(s.only, ","), step.name) {
			continue // provisioning always runs: most of the rest needs people
		}
		if err := step.run(ctx, b, s, t); err != nil {
			return err
		}
	}
	t.print(os.Stdout)
	return nil
}
