package main

import (
	"context"
	"errors"
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
	docs            string // folder of the documents that get the figures; "": none
	beside          beside
	size            size
	left            int // people who leave, with all nodes running
	cuts            int // times a node is cut off
	connections     int // that are many
	idle            time.Duration
}

// sized reads how much is measured from the environment.
func (d *deployment) sized() (err error) {
	usual := map[string]int{"BENCH_SECONDS": 10, "BENCH_PEOPLE": 60_000, "BENCH_LEAVERS": 500, "BENCH_CUTS": 8, "BENCH_CONNECTIONS": 10_000}
	browsers := 60
	if os.Getenv("BENCH_SMALL") != "" {
		browsers = 2
		usual = map[string]int{"BENCH_SECONDS": 1, "BENCH_PEOPLE": 300, "BENCH_LEAVERS": 20, "BENCH_CUTS": 1, "BENCH_CONNECTIONS": 60}
	}
	for name := range usual {
		if said := os.Getenv(name); said != "" {
			if usual[name], err = strconv.Atoi(said); err != nil || usual[name] < 1 {
				return fmt.Errorf("%s is a number above zero, not %q", name, said)
			}
		}
	}
	seconds := time.Duration(usual["BENCH_SECONDS"]) * time.Second
	d.size = size{people: usual["BENCH_PEOPLE"], perRun: seconds, conns: 16, browsers: browsers, provision: 2 * seconds}
	d.left, d.cuts, d.connections, d.idle = usual["BENCH_LEAVERS"], usual["BENCH_CUTS"], usual["BENCH_CONNECTIONS"], max(seconds/3, 2*time.Second)
	return nil
}

// measure prints what goes into the documents, and puts it there if it was asked to.
func (d *deployment) measure(ctx context.Context) error {
	if err := d.sized(); err != nil {
		return err
	}
	if err := d.await(ctx); err != nil {
		return err
	}
	r := &report{engines: d.versions(ctx), small: os.Getenv("BENCH_SMALL") != "", began: time.Now()}
	for _, part := range []struct {
		name string
		run  func(context.Context, *report) error
	}{{"node", d.oneNode}, {"tokens", d.tokens}, {"leavers", d.leavers}, {"connections", d.manyConnections}} {
		if only := os.Getenv("BENCH_PARTS"); only != "" && !slices.Contains(strings.Split(only, ","), part.name) {
			continue
		}
		r.begin(part.name)
		if err := part.run(ctx, r); err != nil { // what there is by now is shown all the same
			return errors.Join(fmt.Errorf("%s: %w", part.name, err), r.print(os.Stdout))
		}
	}
	if err := r.print(os.Stdout); err != nil || d.docs == "" {
		return err
	}
	return r.paste(d.docs)
}

// demo starts a node with the demo's identity providers on both servers.
func (d *deployment) demo(ctx context.Context, database string) (*bridge, string, error) {
	address, err := d.database(ctx, database)
	if err != nil {
		return nil, "", err
	}
	b, err := start(ctx, d.program, "--store", address, "--hot", "redis://"+d.redis)
	if err == nil {
		b.beside = d.beside
	}
	return b, address, err
}

// oneNode measures one node on both servers: people, members, sign-ins.
func (d *deployment) oneNode(ctx context.Context, r *report) error {
	b, _, err := d.demo(ctx, "one")
	if err != nil {
		return err
	}
	defer b.stop()
	t, short := &r.table, d.size
	short.perRun = max(time.Second, d.size.perRun/3)
	if err := yardstick(ctx, b, short, t); err != nil {
		return err
	}
	if err := provision(ctx, b, d.size, t); err != nil {
		return err
	}
	r.cost("`POST /Users`")
	t.promised("4,000/s at 16 connections", t.last.rate() >= 4000)
	if err := readPeople(ctx, b, short, t); err != nil {
		return err
	}
	r.costOf("`GET /Users/{id}`", "GET /Users/{id}")
	if err := d.hotGroup(ctx, b, r); err != nil {
		return err
	}
	if err := codes(ctx, b, d.size, t); err != nil {
		return err
	}
	r.costOf("authorization of who is signed in, up to the code", authorized)
	r.cost("token by code")
	size, n, err := d.familySize(ctx)
	if err == nil {
		r.say(fmt.Sprintf("what Redis keeps a refresh family in, mean of %d", n), fmt.Sprintf("%d bytes", size))
	}
	return err
}

// hotGroup adds members to one group that feeds a rule, 64 at a time, and does the same
// naively on the same server.
func (d *deployment) hotGroup(ctx context.Context, b *bridge, r *report) error {
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
	ours, err := b.load(ctx, host, 64, d.size.perRun, int64(len(people)), func(w *wire, n int64) error {
		return change(w, prefix+"/Groups/"+hot, auth, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, people[n]))
	})
	if err != nil {
		return err
	}
	r.add("`PATCH`: add one member to one hot group, 64 connections, decided and audited", ours)
	r.cost("a member added, assignments decided and audited")
	naive, err := d.naively(ctx, d.size.perRun)
	if err != nil {
		return err
	}
	r.add("the same naively: a transaction of its own bumps the group's row, 64 connections to PostgreSQL, nothing decided, no HTTP", naive)
	ratio := ours.rate() / naive.rate()
	r.say("ratio of the two", fmt.Sprintf("%.1f times", ratio))
	r.promised("5 times", ratio >= 5)
	return nil
}
