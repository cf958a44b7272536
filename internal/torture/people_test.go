//go:build lanes

package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/history"
	"github.com/drawbridge-id/drawbridge/internal/history/models"
	"github.com/drawbridge-id/drawbridge/internal/idp"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// actor does one thing after the other, as its seed says, for people of one customer.
type actor struct {
	*run
	name string
	rng  *rand.Rand
	c    *customer
	via  *route
	wire *idp.Wire
	idp  idp.Dialect
	// impatient is how long the identity provider waits for an answer before it asks
	// another node the same: zero is for as long as vendors do.
	impatient time.Duration
}

func (r *run) actor(name string, c *customer) *actor {
	a := &actor{run: r, name: name, rng: rand.New(rand.NewPCG(r.seed, hash(name))), c: c}
	a.via = &route{w: r.world, rng: rand.New(rand.NewPCG(r.seed, hash(name+" on the way")))}
	wire := &idp.Wire{Base: r.issuer + "/scim/v2/" + c.id, Token: c.token, Client: &http.Client{Transport: a.via}, Now: time.Now, Manner: idp.OktaManner()}
	if a.idp = idp.Okta(wire, false, idp.Fleet{}); c.vendor == "entra" {
		wire.Manner = idp.EntraManner(false)
		a.idp = idp.Entra(wire, false, idp.Fleet{})
	}
	a.wire = wire
	return a
}

func hash(s string) (h uint64) {
	for _, c := range []byte(s) {
		h = h*1099511628211 ^ uint64(c)
	}
	return h
}

// node is any: nobody knows which of them are well.
func (a *actor) node() *node { return a.nodes[a.rng.IntN(len(a.nodes))] }

// person is somebody whom one actor alone changes.
type person struct {
	idp.Person
	id     string // the bridge's
	lives  int    // how often they were made anew
	places [2]bool
	held   []held
}

// held is what a sign-in gave.
type held struct {
	session, family string
	access, refresh string // names of credentials
	current         tokens
	lost            bool // an answer was lost: the family goes on unseen
}

func (p *person) key() string { return fmt.Sprintf("%s#%d", p.UserName, p.lives) }

func (p *person) at(fleet string) string { return p.key() + "@" + fleet }

// anyPlace is what every change of somebody's places may end, and promises nothing about.
func (p *person) anyPlace() string { return p.key() + "@*" }

// attempt is one try of something: how it began and ended, and at which node.
type attempt struct {
	at   history.Span
	node string
	o    models.Outcome
}

func (t attempt) acked() bool { return t.o == models.Accepted }

// try does something once.
func (a *actor) try(verb string, patience time.Duration, do func(context.Context) error) attempt {
	ctx, cancel := context.WithTimeout(a.ctx, patience)
	defer cancel()
	from := a.rec.now()
	o, err := outcome(do(ctx))
	t := attempt{history.Span{From: from, To: a.rec.now()}, a.via.by(), o}
	a.rec.tally(verb, o, t.at.To-from, err)
	if o == models.Unknown {
		t.at.To = history.Open
	}
	return t
}

// insist tries until it is acknowledged, as identity providers do; each try is told. It gives
// up when the run is over.
func (a *actor) insist(verb string, do func(context.Context) error, told func(attempt)) bool {
	for a.ctx.Err() == nil {
		patience := 6 * time.Second
		if a.impatient > 0 && a.rng.IntN(2) == 0 {
			patience = time.Duration(1 + a.rng.Int64N(int64(a.impatient)))
		}
		t := a.try(verb, patience, do)
		if a.ctx.Err() != nil && !t.acked() {
			t.o, t.at.To = models.Unknown, history.Open
		}
		told(t)
		if t.acked() {
			return true
		}
		if a.impatient == 0 {
			a.rest(20, 60)
		}
	}
	return false
}

// rest waits between so many and so many milliseconds.
func (a *actor) rest(least, most int) {
	select {
	case <-a.ctx.Done():
	case <-time.After(time.Duration(least+a.rng.IntN(most-least+1)) * time.Millisecond):
	}
}

// arrive makes a new person, in the groups of these places.
func (a *actor) arrive(places ...int) *person {
	var p *person
	select {
	case spare := <-a.c.spare:
		p = &person{Person: spare}
	default:
		a.t.Errorf("%s has no people left", a.c.id)
		return nil
	}
	if !a.provision(p) {
		return nil
	}
	for _, place := range places {
		if !a.join(p, place) {
			return nil
		}
	}
	return p
}

// provision sends somebody for the first time, or anew after they were deleted.
func (a *actor) provision(p *person) bool {
	p.lives, p.places, p.held = p.lives+1, [2]bool{}, nil
	return a.insist("create", func(ctx context.Context) (err error) {
		p.id, _, err = a.idp.PushPerson(ctx, p.Person)
		return err
	}, func(t attempt) { a.rec.begun(p.key(), t.at) })
}

func (a *actor) fleet(place int) string { return fleets[a.c.id][place] }

func (a *actor) grp(place int) (string, idp.Group) {
	name := group(a.fleet(place))
	return a.groups[a.fleet(place)], idp.Group{ObjectID: "grp-" + name, Name: name}
}

// join puts somebody into the group of a place.
func (a *actor) join(p *person, place int) bool {
	id, g := a.grp(place)
	member := []idp.Member{{ID: p.id, Display: p.UserName}}
	p.places[place] = true
	return a.insist("join", func(ctx context.Context) error { return a.idp.AddMembers(ctx, id, g, member, member) }, func(t attempt) {
		a.rec.begun(p.at(a.fleet(place)), t.at)
		a.rec.ended(history.End{Key: p.anyPlace(), What: "joined", Node: t.node, At: t.at})
	})
}

// leave takes somebody out of the group of a place.
func (a *actor) leave(p *person, place int) bool {
	id, g := a.grp(place)
	member := []idp.Member{{ID: p.id, Display: p.UserName}}
	p.places[place] = false
	return a.insist("leave", func(ctx context.Context) error { return a.idp.RemoveMembers(ctx, id, g, member, nil) }, func(t attempt) {
		a.rec.ended(history.End{Key: p.at(a.fleet(place)), What: "removed from " + g.Name, Node: t.node, At: t.at, Acked: t.acked()})
		a.rec.ended(history.End{Key: p.anyPlace(), What: "left", Node: t.node, At: t.at})
	})
}

// turn switches somebody off, or on again.
func (a *actor) turn(p *person, on bool) bool {
	before, after := p.Person, p.Person
	before.Active, after.Active = !on, on
	verb := map[bool]string{false: "deactivate", true: "activate"}[on]
	done := a.insist(verb, func(ctx context.Context) error { return a.idp.UpdatePerson(ctx, p.id, before, after) }, func(t attempt) {
		if on {
			a.rec.begun(p.key(), t.at)
			return
		}
		a.rec.ended(history.End{Key: p.key(), What: "active=false", Node: t.node, At: t.at, Acked: t.acked()})
	})
	p.Active = on
	return done
}

// remove deletes somebody.
func (a *actor) remove(p *person) bool {
	return a.insist("delete", func(ctx context.Context) error {
		err := a.wire.Send(ctx, http.MethodDelete, "/Users/"+p.id, nil, nil)
		if e := (*idp.SCIMError)(nil); asSCIM(err, &e) && e.Status == http.StatusNotFound {
			return nil // an earlier try, whose answer was lost, did it
		}
		return err
	}, func(t attempt) {
		a.rec.ended(history.End{Key: p.key(), What: "DELETE", Node: t.node, At: t.at, Acked: t.acked()})
	})
}

// shut ends all of somebody's sessions, as an administrator does.
func (a *actor) shut(p *person) bool {
	return a.insist("end sessions", func(ctx context.Context) error {
		d := a.node()
		a.via.asked(d)
		return a.api(ctx, d, http.MethodPost, "/sessions/end", map[string]any{"person": p.id, "connection": a.c.id}, nil)
	}, func(t attempt) {
		for _, h := range p.held {
			a.rec.ended(history.End{Key: h.session, What: "sessions ended by an administrator", Node: t.node, At: t.at, Acked: t.acked()})
		}
	})
}

// signIn signs somebody in, in a new browser, each step at any node.
func (a *actor) signIn(p *person) (*oidctest.Client, bool) {
	b := a.browser(a.c, a.via)
	var got oidctest.Tokens
	t := a.try("sign in", 10*time.Second, func(ctx context.Context) (err error) {
		got, err = b.SignIn(ctx, p.UserName)
		return err
	})
	if !t.acked() {
		return nil, false
	}
	a.take(p, got, t.at)
	return b, true
}

// take keeps what an application was given, with what it stands on.
func (a *actor) take(p *person, got oidctest.Tokens, at history.Span) {
	n := a.serial.Add(1)
	sid := fmt.Sprint(got.Claims["sid"])
	h := held{session: sid, family: fmt.Sprint("family-", n), access: fmt.Sprint("access-", n), refresh: fmt.Sprint("refresh-", n), current: tokens{got.AccessToken, got.RefreshToken}}
	keys := []string{p.key(), p.anyPlace(), p.at(placeOf(got.Claims)), sid, h.family, eraOf(h.access)}
	a.rec.made(h.access, holding{got.AccessToken, introspection}, at, keys...)
	a.rec.made(h.refresh, holding{"", refreshing}, at, keys...)
	p.held = append(p.held[max(0, len(p.held)-5):], h)
}

// eraOf names the time between two switches in which a credential was made.
func eraOf(access string) string { return "era of " + access }

func placeOf(claims map[string]any) string {
	grant, _ := claims["active_grant"].(map[string]any) //nolint:errcheck // none is ""
	scope, _ := grant["scope"].(map[string]any)         //nolint:errcheck // none is ""
	path, _ := scope["path"].(string)                   //nolint:errcheck // none is ""
	return path[strings.LastIndex(path, "/")+1:]
}

// renew uses a refresh token; what it gives stands on the same.
func (a *actor) renew(p *person, i int) {
	h := &p.held[i]
	if h.lost {
		return
	}
	d := a.node()
	var got tokens
	t := a.try("refresh", 4*time.Second, func(ctx context.Context) error {
		a.via.asked(d)
		var err error
		got, _, err = a.refreshed(ctx, d, h.current.Refresh)
		return err
	})
	a.rec.used(h.refresh, refreshing, d.name, t.at, t.o)
	if !t.acked() {
		h.lost = true
		return
	}
	keys := a.rec.keysOf(h.access)
	n := a.serial.Add(1)
	h.access, h.refresh, h.current = fmt.Sprint("access-", n), fmt.Sprint("refresh-", n), got
	a.rec.made(h.access, holding{got.Access, introspection}, t.at, keys...)
	a.rec.made(h.refresh, holding{"", refreshing}, t.at, keys...)
}

// everywhere shows all that somebody holds to every node at once, whatever they think of it.
func (a *actor) everywhere(p *person) {
	for _, d := range shuffled(a.rng, a.nodes) {
		for _, h := range p.held {
			door := []string{introspection, userinfo}[a.rng.IntN(2)]
			a.show(d, h.access, door, h.current.Access)
		}
	}
}

// dead shows the refresh tokens of somebody who has been ended: it would be dangerous for
// the living, whom a second use ends.
func (a *actor) dead(p *person) {
	for _, h := range p.held {
		if !h.lost {
			a.show(a.node(), h.refresh, refreshing, h.current.Refresh)
		}
	}
}

func shuffled(rng *rand.Rand, nodes []*node) []*node {
	out := slices.Clone(nodes)
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// show shows a credential to a node.
func (a *actor) show(d *node, id, door, token string) models.Outcome {
	ctx, cancel := context.WithTimeout(a.ctx, 3*time.Second)
	defer cancel()
	at := history.Span{From: a.rec.now()}
	o, err := a.shown(ctx, d, door, token)
	at.To = a.rec.now()
	a.rec.tally(door, o, at.To-at.From, err)
	a.rec.used(id, door, d.name, at, o)
	return o
}

// choices are the grants that the person of a token may switch to, by fleet.
func (a *actor) choices(d *node, token string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(a.ctx, 4*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.issuer+"/me/grants", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	var list struct {
		Grants []struct {
			ID    string `json:"id"`
			Scope struct {
				Path string `json:"path"`
			} `json:"scope"`
		} `json:"grants"`
	}
	if err := d.ask(req, &list); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, g := range list.Grants {
		out[g.Scope.Path[strings.LastIndex(g.Scope.Path, "/")+1:]] = g.ID
	}
	return out, nil
}

func grantScope(id string) url.Values {
	return url.Values{"scope": {"openid offline_access grant:" + id}}
}

func spanTo(from, to time.Duration) history.Span { return history.Span{From: from, To: to} }
