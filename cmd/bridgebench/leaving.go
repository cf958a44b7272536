package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

const (
	loopbackSecret = "sample-secret-for-loopback-only"
	customer       = "c00000"
	clientAuth     = "&client_id=fleet-web&client_secret=" + loopbackSecret
)

// exodus is three nodes with people who have signed in, and now leave.
type exodus struct {
	nodes    []*serving
	provider *http.Server
	people   []person
	auth     string // of SCIM, at the first node
	asks     []*wire
}

type person struct{ name, id, token string }

// leavers measures how long a deactivation takes until no node accepts the person: with three
// nodes that run, and with one of them cut off from both servers that still serves.
func (d *deployment) leavers(ctx context.Context, r *report) (err error) {
	x, err := d.exodus(ctx, d.left+d.cuts)
	if x != nil {
		defer func() { err = errors.Join(err, x.end()) }()
	}
	if err != nil {
		return err
	}
	l, accepted, err := x.leave(ctx, d.left)
	if err != nil {
		return err
	}
	r.add("deactivation of one after the other, until no node accepts the person", l)
	r.promised("10 ms at the median, 50 ms at p99", l.p50 < 10*time.Millisecond && l.p99 < 50*time.Millisecond)
	r.cost("deactivation of a person with one session, the first of three nodes")
	r.say(fmt.Sprintf("… of the introspections right after it, at each of the nodes, accepted of %d", 3*l.ops), fmt.Sprint(accepted))
	r.promised("none", accepted == 0)
	var longest, last time.Duration
	for _, p := range x.people[d.left:] {
		answered, believed, err := x.cutOff(ctx, p)
		if err != nil {
			return err
		}
		longest, last = max(longest, answered), max(last, believed)
		if believed > answered {
			accepted++
		}
	}
	r.say(fmt.Sprintf("the same with one node cut off from both servers right before it, %d times: longest", d.cuts), short(longest))
	r.promised("2 s: 1 s and the lease", longest <= 2*time.Second)
	r.say("… the last moment at which the node that was cut off accepted the person", short(last))
	r.promised("before the answer", accepted == 0)
	return nil
}

// exodus starts it: an identity provider of this program's own, and nodes that can be cut off.
func (d *deployment) exodus(ctx context.Context, n int) (x *exodus, err error) {
	x = &exodus{}
	var known []oidctest.Person
	for i := range n {
		p := person{name: fmt.Sprintf("p%05d@%s.example", i, customer)}
		x.people = append(x.people, p)
		known = append(known, oidctest.Person{ObjectID: fmt.Sprintf("object-%05d", i), UserName: p.name, Email: p.name, GivenName: "P", FamilyName: fmt.Sprint(i), DisplayName: p.name, Active: true})
	}
	front, err := freeAddress()
	if err != nil {
		return x, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return x, err
	}
	at := "http://" + l.Addr().String()
	idp, err := oidctest.NewOkta(oidctest.Config{Name: customer, ID: customer, BaseURL: at, ClientID: "bridge", ClientSecret: secret.New(loopbackSecret),
		RedirectURIs: []string{"http://" + front + "/connect/" + customer + "/callback"}, Directory: oidctest.NewDirectory(known, nil)})
	if err != nil {
		return x, errors.Join(err, l.Close())
	}
	x.provider = &http.Server{Handler: idp.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = x.provider.Serve(l) }() // until it is closed
	x.nodes, _, err = d.serve(ctx, wanted{database: "three", nodes: 3, connections: 1, provider: idp.Issuer(), front: front, linked: true})
	if err != nil {
		return x, err
	}
	return x, x.enter(ctx)
}

func (x *exodus) end() error {
	for _, w := range x.asks {
		w.close()
	}
	err := end(x.nodes)
	if x.provider != nil {
		err = errors.Join(err, x.provider.Close())
	}
	return err
}

// enter makes the people known, gives them something, signs them in, and has each node see them.
func (x *exodus) enter(ctx context.Context) error {
	w, err := dial(x.nodes[0].Public)
	if err != nil {
		return err
	}
	defer w.close()
	token, err := x.nodes[0].token(customer)
	if err != nil {
		return err
	}
	x.auth = "Bearer " + token
	ids := make([]string, len(x.people))
	for i := range x.people {
		body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"externalId":"object-%05d","active":true}`, x.people[i].name, i)
		status, answer, err := w.do("POST", "/scim/v2/"+customer+"/Users", x.auth, jsonType, body)
		if err := expect(201, status, answer, err); err != nil {
			return err
		}
		if ids[i], err = field(answer, "id"); err != nil {
			return err
		}
		x.people[i].id = ids[i]
	}
	if err := group(w, "/scim/v2/"+customer, x.auth, "Drivers", ids); err != nil {
		return err
	}
	var mu sync.Mutex
	next := 0
	err = each(len(x.people), 8, func() error {
		mu.Lock()
		i := next
		next++
		mu.Unlock()
		b := bridge{demo: demo{Issuer: "http://" + x.nodes[0].Public, Clients: []client{{"fleet-web", loopbackSecret, "http://127.0.0.1:8080/callback"}}}}
		in, err := b.signIn(ctx, x.people[i].name)
		x.people[i].token = in.AccessToken
		return err
	})
	for _, s := range x.nodes { // only now: one that is not used is closed
		if err != nil {
			return err
		}
		if w, err = dial(s.Public); err == nil {
			x.asks = append(x.asks, w)
		}
	}
	return err
}

// accepts asks a node whether it accepts a token. One that cannot answer does not.
func accepts(w *wire, token string) (bool, error) {
	status, answer, err := w.do("POST", "/oauth2/introspect", "", formType, "token="+token+clientAuth)
	if err = expect(200, status, answer, err); errors.Is(err, errBusy) {
		return false, nil
	}
	return bytes.HasPrefix(answer, []byte(`{"active":true`)), err
}

// deactivate gives how long it took until the answer.
func (x *exodus) deactivate(p person) (time.Duration, error) {
	began := time.Now()
	status, answer, err := x.asks[0].do("PATCH", "/scim/v2/"+customer+"/Users/"+p.id, x.auth, jsonType,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":false}}]}`)
	return time.Since(began), expect(200, status, answer, err)
}

// seen asks every node about a person, who is accepted: what nobody remembers is quick to forget.
func (x *exodus) seen(p person) error {
	for i, w := range x.asks {
		if ok, err := accepts(w, p.token); err != nil || !ok {
			return fmt.Errorf("before %s left, %s did not accept them: %w", p.name, x.nodes[i].Name, errors.Join(err, errBusy))
		}
	}
	return nil
}

// leave has so many people leave, one after the other, and counts who is accepted afterwards.
func (x *exodus) leave(ctx context.Context, n int) (r result, accepted int, err error) {
	var times []time.Duration
	for _, p := range x.people[:n] {
		if err := errors.Join(x.seen(p), ctx.Err()); err != nil {
			return r, 0, err
		}
		before, err := x.nodes[0].spent()
		if err != nil {
			return r, 0, err
		}
		took, err := x.deactivate(p)
		if err != nil {
			return r, 0, err
		}
		after, err := x.nodes[0].spent()
		if err != nil {
			return r, 0, err
		}
		times = append(times, took)
		r.took, r.cpu = r.took+took, r.cpu.plus(after.less(before))
		for _, w := range x.asks {
			ok, err := accepts(w, p.token)
			if err != nil {
				return r, 0, err
			}
			if ok {
				accepted++
			}
		}
	}
	slices.Sort(times)
	r.ops, r.p50, r.p99 = int64(n), times[n/2], times[n*99/100]
	return r, accepted, nil
}

// cutOff cuts the last node off and has a person leave. believed is when it accepted them for the
// last time, counted from when the request was sent.
func (x *exodus) cutOff(ctx context.Context, p person) (answered, believed time.Duration, err error) {
	if err := x.seen(p); err != nil {
		return 0, 0, err
	}
	last := len(x.nodes) - 1
	for _, k := range x.nodes[last].links {
		k.sever(true)
	}
	began, asked := time.Now(), make(chan error, 1)
	go func() {
		for ; time.Since(began) < 2*time.Second; time.Sleep(2 * time.Millisecond) {
			ok, err := accepts(x.asks[last], p.token)
			if err != nil {
				asked <- err
				return
			}
			if ok {
				believed = time.Since(began)
			}
		}
		asked <- nil
	}()
	answered, err = x.deactivate(p)
	time.Sleep(time.Until(began.Add(2 * time.Second)))
	for _, k := range x.nodes[last].links {
		k.sever(false)
	}
	if err = errors.Join(err, <-asked); err != nil {
		return answered, believed, err
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err = x.nodes[last].ready(); err == nil || time.Now().After(end) || ctx.Err() != nil {
			return answered, believed, err
		}
	}
}
