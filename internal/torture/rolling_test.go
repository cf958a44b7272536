//go:build lanes

package torture

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/history/models"
	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// Nodes leave and come back one after the other, as they do when they are upgraded, behind a
// balancer that asks whether they are ready: no request fails, of whatever kind.
func TestNodesLeaveAndJoinWithoutAFailedRequest(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRun(t)
	defer r.end()
	within(t, patience, "the balancer knows three nodes", func() error {
		if n := w.front.standing(); n < 3 {
			return fmt.Errorf("it knows %d", n)
		}
		return nil
	})
	var failed atomic.Int64
	front := r.throughTheFront()
	for n, c := range []*customer{w.customers["banksia-entra"], w.customers["tundra-okta"]} {
		for m := range 2 {
			v := &visitor{actor: front.actor(fmt.Sprint("visitor ", n, m), c), failed: &failed}
			r.actors.Go(v.goAbout)
		}
	}
	for range pick(1, 4) {
		for _, d := range w.nodes {
			r.pass(500 * time.Millisecond)
			if err := d.End(syscall.SIGTERM, 20*time.Second); err != nil {
				t.Errorf("%v\n%s", err, d.Said())
			}
			r.pass(300 * time.Millisecond)
			d.again()
		}
	}
	for _, verb := range []string{"sign in", "deactivate", "refresh", introspection} {
		r.goes(verb, 2, patience)
	}
	r.end()
	r.rec.judge(t, strict)
	if n := failed.Load(); n > 0 {
		t.Errorf("%d requests failed:\n%s", n, r.rec.unanswered())
	}
	w.addsUp(t)
}

func (b *balancer) standing() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.ready)
}

// visitor is an actor who knows the address in front alone.
type visitor struct {
	*actor
	failed *atomic.Int64
}

// throughTheFront is the same run for those who know one node: the address in front.
func (r *run) throughTheFront() *run {
	d := &node{name: "front", public: strings.TrimPrefix(r.issuer, "http://"),
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	w := *r.world
	w.nodes = []*node{d}
	return &run{world: &w, t: r.t, seed: r.seed, rec: r.rec, ctx: r.ctx, serial: r.serial, groups: r.groups}
}

// goAbout does all kinds of things, each of which must succeed.
func (v *visitor) goAbout() {
	p := v.arrive(0, 1)
	for p != nil && v.ctx.Err() == nil {
		v.must("sign in", func(ctx context.Context) error {
			b := v.browser(v.c, v.via)
			began := v.rec.now()
			got, err := b.SignIn(ctx, p.UserName)
			if err == nil {
				v.take(p, got, spanTo(began, v.rec.now()))
			}
			return err
		})
		if len(p.held) == 0 {
			continue
		}
		h := p.held[len(p.held)-1]
		front := v.nodes[0]
		v.must(introspection, func(ctx context.Context) error {
			if o, err := v.shown(ctx, front, introspection, h.current.Access); o != models.Accepted {
				return fmt.Errorf("%s: %w", o, err)
			}
			return nil
		})
		v.must("refresh", func(ctx context.Context) error {
			_, _, err := v.refreshed(ctx, front, h.current.Refresh)
			return err
		})
		before, after := p.Person, p.Person
		before.Active, after.Active = true, false
		v.must("deactivate", func(ctx context.Context) error { return v.idp.UpdatePerson(ctx, p.id, before, after) })
		v.must("activate", func(ctx context.Context) error { return v.idp.UpdatePerson(ctx, p.id, after, before) })
		v.must("look up", func(ctx context.Context) error {
			return v.wire.Send(ctx, http.MethodGet, idp.LookUpPerson(v.c.vendor, p.UserName), nil, nil)
		})
		v.must("introspection of nothing", func(ctx context.Context) error {
			var said map[string]any
			return v.form(ctx, front, "/oauth2/introspect", url.Values{"token": {"nothing"}}, &said)
		})
		p.held = nil
	}
}

// must does something that has to succeed, unless the run ends.
func (v *visitor) must(verb string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.ctx), 15*time.Second)
	defer cancel()
	from := v.rec.now()
	err := do(ctx)
	o := models.Accepted
	if err != nil {
		o = models.Unknown
		v.failed.Add(1)
	}
	v.rec.tally(verb, o, v.rec.now()-from, err)
}
