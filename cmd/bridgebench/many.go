package main

import (
	"context"
	"errors"
	"fmt"
)

// few connections are what many are held against, with as many people.
const few = 10

// spread is one node with a number of connections.
type spread struct {
	*serving
	n      int
	ids    []string
	auths  []string // SCIM's, by connection; those made so far
	people []place
	posts  result
	gets   result
	rss    int64
}

// place is where a person is read, and what opens it.
type place struct{ path, auth string }

// manyConnections measures what connections cost: the same load spread over a few, then over many.
func (d *deployment) manyConnections(ctx context.Context, r *report) error {
	a, err := d.spread(ctx, r, few)
	if err != nil {
		return err
	}
	b, err := d.spread(ctx, r, d.connections)
	if err != nil {
		return err
	}
	told := func(what string, few, many result) {
		r.say(fmt.Sprintf("%s spread over %d connections beside over %d: rate, CPU of the bridge each", what, b.n, a.n),
			fmt.Sprintf("%.2f, %.2f times", many.rate()/few.rate(), float64(many.cpu.each(many.ops).bridge)/max(1, float64(few.cpu.each(few.ops).bridge))))
	}
	told("`POST /Users`", a.posts, b.posts)
	told("`GET /Users/{id}`", a.gets, b.gets)
	r.say("memory for each connection more", fmt.Sprintf("%.1f KB", float64(b.rss-a.rss)/1024/float64(max(1, b.n-a.n))))
	return nil
}

// spread measures with n connections.
func (d *deployment) spread(ctx context.Context, r *report, n int) (s *spread, err error) {
	servers := &bridge{beside: d.beside}
	before, err := servers.spent()
	if err != nil {
		return nil, err
	}
	all, took, err := d.serve(ctx, wanted{database: fmt.Sprintf("of%d", n), nodes: 1, connections: n})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end(all)) }()
	s = &spread{serving: all[0], n: n, ids: names(n)}
	after, err := s.spent()
	if err != nil {
		return s, err
	}
	r.whole(fmt.Sprintf("%d connections: the first start, with all of them in the file, until ready; CPU in all", n), took, after.less(before))
	if s.rss, err = s.serving.rss(); err != nil {
		return s, err
	}
	r.say(fmt.Sprintf("%d connections: memory of the node then", n), fmt.Sprintf("%d MB", s.rss>>20))
	for _, step := range []func(context.Context, *deployment, *report) error{s.open, s.post, s.get, s.widely} {
		if err := step(ctx, d, r); err != nil {
			return s, err
		}
	}
	if s.rss, err = s.serving.rss(); err != nil {
		return s, err
	}
	r.say(fmt.Sprintf("%d connections: memory of the node at last", n), fmt.Sprintf("%d MB", s.rss>>20))
	return s, nil
}

// open makes a SCIM token for each connection, for nine loads' time at most.
func (s *spread) open(ctx context.Context, d *deployment, r *report) error {
	host, prefix, auth, err := s.operator()
	if err != nil {
		return err
	}
	made := make([]string, s.n)
	tokens, err := s.load(ctx, host, d.size.conns, 9*d.size.perRun, int64(s.n), func(w *wire, i int64) error {
		token, err := newToken(w, prefix, auth, s.ids[i])
		made[i] = "Bearer " + token
		return err
	})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d connections: SCIM tokens made, %d of them, each a change of what all nodes know", s.n, tokens.ops)
	if int(tokens.ops) < s.n {
		what += fmt.Sprintf(" (**not all**: %s had passed, so the rows below are of those alone)", 9*d.size.perRun)
	}
	r.add(what, tokens)
	var open []string
	for i, token := range made {
		if token != "" {
			open = append(open, s.ids[i])
			s.auths = append(s.auths, token)
		}
	}
	s.ids = open
	return nil
}

// post makes people, spread over all.
func (s *spread) post(ctx context.Context, d *deployment, r *report) (err error) {
	k := int64(len(s.ids))
	made := make([]place, max(d.connections, few*few))
	s.posts, err = s.load(ctx, s.Public, d.size.conns, 2*d.size.perRun, int64(len(made)), func(w *wire, i int64) error {
		c := i % k
		status, answer, err := w.do("POST", "/scim/v2/"+s.ids[c]+"/Users", s.auths[c], jsonType,
			fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"p%d@%s.example","active":true}`, i, s.ids[c]))
		if err := expect(201, status, answer, err); err != nil {
			return err
		}
		id, err := field(answer, "id")
		made[i] = place{"/scim/v2/" + s.ids[c] + "/Users/" + id, s.auths[c]}
		return err
	})
	if err != nil {
		return err
	}
	r.add(fmt.Sprintf("%d connections: `POST /Users`, %d people over all", s.n, s.posts.ops), s.posts)
	for _, p := range made {
		if p.path != "" { // there was time for it
			s.people = append(s.people, p)
		}
	}
	return nil
}

// get reads people, each after the other, so that each request is of another connection than the one before.
func (s *spread) get(ctx context.Context, d *deployment, r *report) (err error) {
	s.gets, err = s.load(ctx, s.Public, d.size.conns, d.size.perRun, anyCount, func(w *wire, n int64) error {
		p := s.people[n%int64(len(s.people))]
		status, answer, err := w.do("GET", p.path, p.auth, "", "")
		return expect(200, status, answer, err)
	})
	if err == nil {
		r.add(fmt.Sprintf("%d connections: `GET /Users/{id}`, of all in turn", s.n), s.gets)
	}
	return err
}

// widely changes what every node knows of all connections, one change after the other.
func (s *spread) widely(ctx context.Context, d *deployment, r *report) error {
	host, prefix, auth, err := s.operator()
	if err != nil {
		return err
	}
	changed, err := s.load(ctx, host, 1, d.size.perRun, 500, func(w *wire, i int64) error {
		path := prefix + "/connections/" + s.ids[i%int64(len(s.ids))] + "/tokens"
		status, answer, err := w.do("POST", path, auth, "application/json", `{"note":"bridgebench","days":1}`)
		if err := expect(201, status, answer, err); err != nil {
			return err
		}
		id, err := field(answer, "id")
		if err != nil {
			return err
		}
		status, answer, err = w.do("DELETE", path+"/"+id, auth, "", "")
		return expect(204, status, answer, err)
	})
	if err == nil {
		r.add(fmt.Sprintf("%d connections: two wide changes (a SCIM token is made, and revoked), one pair after the other", s.n), changed)
	}
	return err
}
