package main

import (
	"context"
	"fmt"
	"time"
)

// holder is a bridge whose access tokens are asked about.
type holder struct {
	*bridge
	on     string
	minted []string
}

// tokens measures refresh, introspection and userinfo with a node on both servers, beside those of
// a node alone on its embedded engines: what is compared is measured one right after the other.
func (d *deployment) tokens(ctx context.Context, r *report) error {
	alone, err := start(ctx, d.program)
	if err != nil {
		return err
	}
	defer alone.stop()
	b, address, err := d.demo(ctx, "tokens")
	if err != nil {
		return err
	}
	defer b.stop()
	both := []*holder{{bridge: alone, on: "embedded engines"}, {bridge: b, on: "PostgreSQL and Redis"}}
	for _, h := range both {
		var refreshed result
		if refreshed, h.minted, err = h.refresh(ctx, d.size); err != nil {
			return err
		}
		r.add("refresh, "+h.on, refreshed)
	}
	r.cost("refresh")
	r.promised("2,000/s", r.last.rate() >= 2000)
	counted := d.size
	counted.perRun = max(time.Second, d.size.perRun/4)
	if err := d.statements(ctx, address, r, "refreshes", func() (result, error) { again, _, err := b.refresh(ctx, counted); return again, err }); err != nil {
		return err
	}
	distinct := min(len(both[0].minted), len(both[1].minted), 5000)
	for _, n := range []int{min(100, distinct), distinct} {
		if err := d.compare(ctx, both, n, address, r); err != nil {
			return err
		}
		if n == distinct {
			r.cost("introspection, many tokens in turn")
		} else {
			r.cost("introspection, tokens seen before")
		}
	}
	if err := b.userinfo(ctx, d.size, &r.table, both[1].minted[:min(100, distinct)]); err != nil {
		return err
	}
	r.cost("userinfo")
	return nil
}

// compare asks both about as many tokens, and of the second also what it asked of its servers.
func (d *deployment) compare(ctx context.Context, both []*holder, tokens int, address string, r *report) error {
	ask := func(h *holder) error {
		host, err := h.host()
		if err != nil {
			return err
		}
		asked, err := h.load(ctx, host, d.size.conns, d.size.perRun, anyCount, func(w *wire, n int64) error { return h.introspect(w, h.minted[n%int64(tokens)]) })
		if err == nil {
			r.add(fmt.Sprintf("introspection of %d tokens, %s", tokens, h.on), asked)
		}
		return err
	}
	if err := ask(both[0]); err != nil {
		return err
	}
	alone := r.last.rate()
	return d.untouched(ctx, address, r, func() error {
		if err := ask(both[1]); err != nil {
			return err
		}
		r.promised(fmt.Sprintf("as fast as embedded, within a tenth; it is %.2f of that", r.last.rate()/alone), r.last.rate() >= .9*alone)
		return nil
	})
}
