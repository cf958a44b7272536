package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// deployment is what nodes are measured on: a PostgreSQL and a Redis that .ci/bench-nodes
// has started for it, and nothing else uses.
type deployment struct {
	program, folder string
	postgres        string // address, with {} for the name of a database
	redis           string
	size            size
	members         int // added to one group, at most
	left            int // people who leave, with all nodes running
	cuts            int // times a node is cut off
	connections     int // that are many
	idle            time.Duration
}

// sized reads how much is measured from the environment.
func (d *deployment) sized() (err error) {
	usual := map[string]int{"BENCH_SECONDS": 10, "BENCH_PEOPLE": 40_000, "BENCH_MEMBERS": 20_000, "BENCH_LEAVERS": 500, "BENCH_CUTS": 8, "BENCH_CONNECTIONS": 10_000}
	if os.Getenv("BENCH_SMALL") != "" {
		usual = map[string]int{"BENCH_SECONDS": 1, "BENCH_PEOPLE": 300, "BENCH_MEMBERS": 300, "BENCH_LEAVERS": 20, "BENCH_CUTS": 1, "BENCH_CONNECTIONS": 100}
	}
	for name := range usual {
		if said := os.Getenv(name); said != "" {
			if usual[name], err = strconv.Atoi(said); err != nil || usual[name] < 1 {
				return fmt.Errorf("%s is a number above zero, not %q", name, said)
			}
		}
	}
	seconds := time.Duration(usual["BENCH_SECONDS"]) * time.Second
	d.size = size{people: usual["BENCH_PEOPLE"], perRun: seconds, conns: 16}
	d.members = min(usual["BENCH_MEMBERS"], d.size.people)
	d.left, d.cuts, d.connections, d.idle = usual["BENCH_LEAVERS"], usual["BENCH_CUTS"], usual["BENCH_CONNECTIONS"], max(seconds, 2*time.Second)
	return nil
}

// measure prints one table of everything.
func (d *deployment) measure(ctx context.Context) error {
	if err := d.sized(); err != nil {
		return err
	}
	if err := d.await(ctx); err != nil {
		return err
	}
	t := &table{engines: d.versions(ctx)}
	for _, part := range []struct {
		name string
		run  func(context.Context, *table) error
	}{{"node", d.oneNode}, {"embedded", d.embedded}, {"leavers", d.leavers}, {"connections", d.manyConnections}} {
		if only := os.Getenv("BENCH_PARTS"); only != "" && !slices.Contains(strings.Split(only, ","), part.name) {
			continue
		}
		if err := part.run(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	t.print(os.Stdout)
	return nil
}

// oneNode measures one node on both servers: people, members, tokens.
func (d *deployment) oneNode(ctx context.Context, t *table) error {
	address, err := d.database(ctx, "one")
	if err != nil {
		return err
	}
	b, err := start(ctx, d.program, "--store", address, "--hot", "redis://"+d.redis)
	if err != nil {
		return err
	}
	defer b.stop()
	if err := yardstick(ctx, b, d.size, t); err != nil {
		return err
	}
	if err := provision(ctx, b, d.size, t); err != nil {
		return err
	}
	if err := d.hotGroup(ctx, b, t); err != nil {
		return err
	}
	return d.tokens(ctx, b, t, "PostgreSQL and Redis", address)
}

// embedded measures tokens on the engines of a node alone, for comparison.
func (d *deployment) embedded(ctx context.Context, t *table) error {
	b, err := start(ctx, d.program)
	if err != nil {
		return err
	}
	defer b.stop()
	return d.tokens(ctx, b, t, "embedded engines", "")
}

// hotGroup adds members to one group that feeds a rule, 64 at a time, and does the same
// naively on the same server.
func (d *deployment) hotGroup(ctx context.Context, b *bridge, t *table) error {
	host, prefix, auth, err := b.scim(connection)
	if err != nil {
		return err
	}
	w, err := dial(host)
	if err != nil {
		return err
	}
	defer w.c.Close()
	hot, err := known(w, prefix, auth, "GL Geelong Managers")
	if err != nil {
		return err
	}
	ours, err := b.load(ctx, host, 64, d.size.perRun, int64(d.members), func(w *wire, n int64) error {
		return change(w, prefix+"/Groups/"+hot, auth, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, people[n]))
	})
	if err != nil {
		return err
	}
	t.add("PATCH add one member to one hot group, 64 connections, decided and audited", ours)
	naive, err := d.naively(ctx, d.size.perRun)
	if err != nil {
		return err
	}
	t.say("the same naively: a transaction of its own bumps the group's row, 64 connections, nothing decided, no HTTP", fmt.Sprintf("%.0f/s", naive))
	t.say("ratio", fmt.Sprintf("%.1f", ours.rate()/naive))
	return nil
}

// tokens measures refresh, and introspection with what it asked of the servers.
func (d *deployment) tokens(ctx context.Context, b *bridge, t *table, on, address string) error {
	r, minted, err := b.refresh(ctx, d.size)
	if err != nil {
		return err
	}
	t.add("refresh, "+on, r)
	host, err := b.host()
	if err != nil {
		return err
	}
	ask := func(of int) (result, error) {
		return b.load(ctx, host, d.size.conns, d.size.perRun, anyCount, func(w *wire, n int64) error { return b.introspect(w, minted[n%int64(of)]) })
	}
	for _, tokens := range []int{min(100, len(minted)), len(minted)} {
		what := fmt.Sprintf("introspection of %d tokens, %s", tokens, on)
		if address == "" {
			if r, err = ask(tokens); err != nil {
				return err
			}
			t.add(what, r)
			continue
		}
		if err := d.untouched(ctx, address, t, what, func() (result, error) { return ask(tokens) }); err != nil {
			return err
		}
	}
	return nil
}
