package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// manyConnections measures what connections cost: a few, then many, with two people each.
func (d *deployment) manyConnections(ctx context.Context, t *table) error {
	for _, n := range []int{10, d.connections} {
		if err := d.connected(ctx, t, n); err != nil {
			return err
		}
	}
	return nil
}

func (d *deployment) connected(ctx context.Context, t *table, n int) (err error) {
	all, took, err := d.serve(ctx, fmt.Sprintf("of%d", n), 1, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(all)) }()
	s := all[0]
	t.note(fmt.Sprintf("%d connections: first start to ready", n), took)
	ids := names(n)
	auths := make([]string, n)
	var mu sync.Mutex
	var next int
	if err := each(n, d.size.conns, func() error {
		mu.Lock()
		i := next
		next++
		mu.Unlock()
		token, err := s.token(ids[i])
		auths[i] = "Bearer " + token
		return err
	}); err != nil {
		return err
	}
	people := make([]string, 2*n)
	r, err := s.load(ctx, s.Public, d.size.conns, 2*time.Minute, int64(len(people)), func(w *wire, i int64) error {
		c := i % int64(n)
		status, answer, err := w.do("POST", "/scim/v2/"+ids[c]+"/Users", auths[c], jsonType,
			fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"p%d@%s.example","active":true}`, i, ids[c]))
		if err := expect(201, status, answer, err); err != nil {
			return err
		}
		people[i], err = field(answer, "id")
		return err
	})
	if err != nil {
		return err
	}
	t.add(fmt.Sprintf("%d connections: POST /Users, two people each", n), r)
	r, err = s.load(ctx, s.Public, d.size.conns, d.size.perRun, anyCount, func(w *wire, _ int64) error {
		i := rand.IntN(len(people))
		status, answer, err := w.do("GET", "/scim/v2/"+ids[i%n]+"/Users/"+people[i], auths[i%n], "", "")
		return expect(200, status, answer, err)
	})
	if err != nil {
		return err
	}
	t.add(fmt.Sprintf("%d connections: GET /Users/{id} of any", n), r)
	rss, err := s.rss()
	if err != nil {
		return err
	}
	t.say(fmt.Sprintf("%d connections: memory of the node afterwards", n), fmt.Sprintf("%d MB", rss>>20))
	return nil
}
