//go:build lanes

package torture

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/history"
	"github.com/drawbridge-id/drawbridge/internal/history/models"
	"github.com/drawbridge-id/drawbridge/internal/idp"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

func asSCIM(err error, into **idp.SCIMError) bool { return errors.As(err, into) }

// leaver lets somebody come, sign in, and lose what they have in one of many ways; then
// everything they held is shown to every node; then they come back.
func leaver(a *actor) {
	p := a.arrive(0, 1)
	for p != nil && a.ctx.Err() == nil && p.lives < 4 {
		for range 1 + a.rng.IntN(2) {
			if _, ok := a.signIn(p); !ok {
				a.rest(20, 80)
			}
		}
		a.everywhere(p)
		if len(p.held) > 0 && a.rng.IntN(3) > 0 {
			a.renew(p, a.rng.IntN(len(p.held)))
		}
		if !a.lose(p) {
			return
		}
	}
}

// lose ends something, shows that it has ended, and gives it back.
func (a *actor) lose(p *person) bool {
	switch k := a.rng.IntN(10); {
	case k < 4:
		ok := a.turn(p, false) && a.gone(p) && a.turn(p, true)
		a.everywhere(p) // what comes back revives nothing
		return ok
	case k < 7:
		place := a.rng.IntN(2)
		return a.leave(p, place) && a.left(p) && a.join(p, place)
	case k < 8:
		return a.shut(p) && a.gone(p)
	}
	return a.remove(p) && a.gone(p) && a.provision(p) && a.join(p, 0) && a.join(p, 1)
}

// gone shows all that somebody held, who has nothing left.
func (a *actor) gone(p *person) bool {
	a.everywhere(p)
	a.dead(p)
	a.rest(0, 300)
	a.everywhere(p)
	return true
}

func (a *actor) left(p *person) bool {
	a.everywhere(p)
	a.rest(0, 200)
	a.everywhere(p)
	return true
}

// prober shows what anybody was given, of late or long ago, to any node.
func prober(a *actor) {
	id, h, ok := a.rec.pick(a.rng.IntN(1<<30), a.rng.IntN(1<<30))
	if ok && h.door != refreshing {
		a.show(a.node(), id, []string{introspection, userinfo}[a.rng.IntN(2)], h.token)
	}
	a.rest(0, 4)
}

// switcher moves one session between two places, while others ask whether what was made
// before stands.
func switcher(a *actor) {
	p := a.arrive(0, 1)
	if p == nil {
		return
	}
	for range 3 {
		browser, ok := a.signIn(p)
		if !ok {
			a.rest(50, 100)
			continue
		}
		a.switching(p, browser)
	}
}

// era is what one switch gave.
type era struct{ name, credential, token string }

func (a *actor) switching(p *person, browser *oidctest.Client) {
	h := p.held[len(p.held)-1]
	choice, err := a.choices(a.node(), h.current.Access)
	if err != nil {
		return
	}
	name := "active grant of " + h.session
	a.rec.object(name, models.ActiveGrant("s0"))
	eras := &erasOf{all: []era{{"s0", h.access, h.current.Access}}}
	asking, stop := context.WithCancel(a.ctx)
	var askers sync.WaitGroup
	for n := range 2 {
		b := a.run.actor(fmt.Sprintf("asker %s %d", h.session, n), a.c)
		askers.Go(func() {
			for asking.Err() == nil {
				b.stands(name, eras)
			}
		})
	}
	defer askers.Wait()
	defer stop()
	for n := 1; n <= 5; n++ {
		a.rest(20, 60)
		to := a.fleet(n % 2)
		var code oidctest.Granted
		t := a.try("switch", 6*time.Second, func(ctx context.Context) (err error) {
			code, err = browser.Code(ctx, grantScope(choice[to]))
			return err
		})
		before := eras.last()
		asked := models.Asked{Verb: models.Switch, What: fmt.Sprint("s", n)}
		a.rec.step(name, models.Step{Node: t.node, At: history.Span{From: t.at.From, To: t.at.From}, Asked: asked, Outcome: models.Accepted})
		if asked.Verb = models.Switched; t.o != models.Unknown {
			a.rec.step(name, models.Step{Node: t.node, At: history.Span{From: t.at.To, To: t.at.To}, Asked: asked, Outcome: t.o})
		}
		a.rec.ended(history.End{Key: eraOf(before.credential), What: "switched", Node: t.node, At: t.at, Acked: t.acked()})
		if !t.acked() || !a.exchange(p, browser, code) {
			return
		}
		is := p.held[len(p.held)-1]
		eras.add(era{fmt.Sprint("s", n), is.access, is.current.Access})
	}
}

// exchange redeems a code, once.
func (a *actor) exchange(p *person, browser *oidctest.Client, code oidctest.Granted) bool {
	var got oidctest.Tokens
	t := a.try("exchange", quickly, func(ctx context.Context) (err error) {
		got, err = browser.Exchange(ctx, code.Code, code.Verifier, code.Nonce)
		return err
	})
	if t.acked() {
		a.take(p, got, t.at)
	}
	return t.acked()
}

// erasOf are the switches of one session, for those who ask beside.
type erasOf struct {
	mu  sync.Mutex // guards all
	all []era
}

func (e *erasOf) add(one era) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, one)
}

func (e *erasOf) last() era {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all[len(e.all)-1]
}

func (e *erasOf) any(n int) era {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all[max(0, len(e.all)-1-n%3)]
}

// stands asks a node whether what one of the last switches made is accepted.
func (a *actor) stands(name string, eras *erasOf) {
	one, d := eras.any(a.rng.IntN(3)), a.node()
	ctx, cancel := context.WithTimeout(a.ctx, 3*time.Second)
	defer cancel()
	at := history.Span{From: a.rec.now()}
	o, _ := a.shown(ctx, d, introspection, one.token) //nolint:errcheck // no answer is no step
	at.To = a.rec.now()
	if o != models.Unknown {
		a.rec.step(name, models.Step{Node: d.name, At: at, Asked: models.Asked{Verb: models.Stand, What: one.name}, Outcome: o})
	}
	a.rest(5, 25)
}

// refresher lets two clients race for each successor of one family, and shows at last that
// what is older ends it.
func refresher(a *actor) {
	p := a.arrive(0)
	if p == nil {
		return
	}
	for range 4 {
		if _, ok := a.signIn(p); !ok {
			a.rest(50, 100)
			continue
		}
		h := p.held[len(p.held)-1]
		name := h.family + " of " + p.UserName
		a.rec.object(name, models.Family(h.current.Refresh))
		live := h.current.Refresh
		for range 2 + a.rng.IntN(5) {
			next, ok := a.both(name, h, live)
			if !ok {
				break
			}
			live = next
		}
		a.rec.ended(history.End{Key: h.family, What: "reuse", At: history.Span{From: a.rec.now(), To: history.Open}})
		a.rec.ended(history.End{Key: h.session, What: "reuse", At: history.Span{From: a.rec.now(), To: history.Open}})
		a.rotate(name, h, h.current.Refresh, a.node()) // the first of all
		a.rotate(name, h, live, a.node())
	}
}

// both sends one token to two nodes at once, and gives the successor.
func (a *actor) both(name string, h held, token string) (next string, ok bool) {
	nodes := shuffled(a.rng, a.nodes)
	var got [2]string
	var racing sync.WaitGroup
	for i := range got {
		d := nodes[i%len(nodes)]
		racing.Go(func() { got[i] = a.rotate(name, h, token, d) })
	}
	racing.Wait()
	for _, next := range got {
		if next != "" {
			return next, true
		}
	}
	return "", false
}

func (a *actor) rotate(name string, h held, token string, d *node) string {
	ctx, cancel := context.WithTimeout(a.ctx, 4*time.Second)
	defer cancel()
	at := history.Span{From: a.rec.now()}
	got, o, err := a.refreshed(ctx, d, token)
	at.To = a.rec.now()
	a.rec.tally("rotate", o, at.To-at.From, err)
	a.rec.step(name, models.Step{Node: d.name, At: at, Asked: models.Asked{Verb: models.Refresh, What: token}, Outcome: o, Got: got.Refresh})
	if o == models.Accepted {
		id := fmt.Sprint("access-", a.serial.Add(1))
		a.rec.made(id, holding{got.Access, introspection}, at, a.rec.keysOf(h.access)...)
	}
	return got.Refresh
}

// redeemer redeems codes at several nodes at once.
func redeemer(a *actor) {
	p := a.arrive(1)
	if p == nil {
		return
	}
	for range 3 {
		browser, ok := a.signIn(p)
		if !ok {
			a.rest(50, 100)
			continue
		}
		var g oidctest.Granted
		t := a.try("code", 6*time.Second, func(ctx context.Context) (err error) {
			g, err = browser.Code(ctx, url.Values{})
			return err
		})
		if !t.acked() {
			continue
		}
		h := p.held[len(p.held)-1]
		for _, key := range []string{h.session, h.family} { // a second use ends what the first gave
			a.rec.ended(history.End{Key: key, What: "replay of a code", At: history.Span{From: a.rec.now(), To: history.Open}})
		}
		a.redeemEverywhere(g)
	}
}

func (a *actor) redeemEverywhere(g oidctest.Granted) {
	name := fmt.Sprint("code-", a.serial.Add(1))
	a.rec.object(name, models.Code())
	var racing sync.WaitGroup
	alone := a.rng.IntN(2) == 0 // who comes first has it; of several at once, perhaps nobody
	for i := range 4 {
		d := a.nodes[i%len(a.nodes)]
		if alone && i == 1 {
			racing.Wait()
		}
		racing.Go(func() {
			ctx, cancel := context.WithTimeout(a.ctx, 4*time.Second)
			defer cancel()
			at := history.Span{From: a.rec.now()}
			_, o, err := a.redeemed(ctx, d, g)
			at.To = a.rec.now()
			a.rec.tally("redeem", o, at.To-at.From, err)
			a.rec.step(name, models.Step{Node: d.name, At: at, Asked: models.Asked{Verb: models.Redeem, What: name}, Outcome: o})
		})
	}
	racing.Wait()
}

// members lets several change one group at once, and others read it.
func (r *run) members(c *customer) {
	boss := r.actor("group", c)
	g := idp.Group{ObjectID: fmt.Sprint("set-", r.seed), Name: fmt.Sprint("Set ", r.seed)}
	var id string
	if !boss.insist("group", func(ctx context.Context) (err error) {
		id, _, err = boss.idp.PushGroup(ctx, g, nil)
		return err
	}, func(attempt) {}) {
		return
	}
	name := "members of " + g.Name
	r.rec.object(name, models.Members())
	for n := range 3 {
		a := r.actor(fmt.Sprint("writer ", n), c)
		var mine []*person
		for range 2 {
			if p := a.arrive(); p != nil {
				mine = append(mine, p)
			}
		}
		r.act(a, func(a *actor) { a.changes(name, id, g, mine) })
	}
	r.act(r.actor("reader", c), func(a *actor) { a.reads(name, id) })
}

func (a *actor) changes(name, id string, g idp.Group, mine []*person) {
	p := mine[a.rng.IntN(len(mine))]
	member := []idp.Member{{ID: p.id, Display: p.UserName}}
	verb, do := models.Add, a.idp.AddMembers
	if a.rng.IntN(2) == 0 {
		verb, do = models.Remove, a.idp.RemoveMembers
	}
	t := a.try(verb, 4*time.Second, func(ctx context.Context) error { return do(ctx, id, g, member, member) })
	a.rec.step(name, models.Step{Node: t.node, At: t.at, Asked: models.Asked{Verb: verb, What: p.id}, Outcome: t.o})
	if t.o == models.Unknown {
		a.rest(1000, 1500) // each of them may yet take effect: too many cannot be decided
	}
	a.rest(40, 120)
}

func (a *actor) reads(name, id string) {
	d := a.node()
	var is []string
	t := a.try("read", 4*time.Second, func(ctx context.Context) (err error) {
		a.via.asked(d)
		is, err = a.membersOf(ctx, d, id)
		return err
	})
	if t.acked() {
		a.rec.step(name, models.Step{Node: t.node, At: t.at, Asked: models.Asked{Verb: models.Read}, Outcome: t.o, Got: models.Set(is)})
	}
	a.rest(40, 120)
}

func (a *actor) membersOf(ctx context.Context, d *node, id string) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.issuer+"/scim/v2/"+a.c.id+"/Groups/"+id, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.c.token.Reveal())
	var said struct {
		Members []struct {
			Value string `json:"value"`
		} `json:"members"`
	}
	err = d.ask(req, &said)
	var out []string
	for _, m := range said.Members {
		out = append(out, m.Value)
	}
	return out, err
}
