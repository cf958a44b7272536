package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storm is one connection's load beside which another's requests are measured.
type storm struct {
	what string
	op   func(w *wire, n int64) error
}

// fairness measures what one connection's member PATCH takes alone, and while another
// connection sends as much as the bridge lets it.
func fairness(ctx context.Context, b *bridge, s size, t *table) error {
	host, calm, auth, err := b.scim("southern-entra")
	if err != nil {
		return err
	}
	w, err := dial(host)
	if err != nil {
		return err
	}
	defer w.c.Close()
	group, person, err := pair(w, calm, auth)
	if err != nil {
		return err
	}
	patch := func(w *wire, n int64) error {
		if n%2 == 0 {
			return change(w, calm+"/Groups/"+group, auth, fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, person))
		}
		return change(w, calm+"/Groups/"+group, auth, fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\"]"}`, person))
	}
	measure := func(what string) error {
		r, err := b.load(ctx, host, 1, s.perRun, anyCount, patch)
		if err == nil {
			t.add("one member PATCH after the other, "+what, r)
		}
		return err
	}
	if err := measure("alone"); err != nil {
		return err
	}
	storms, err := b.storms(w)
	if err != nil {
		return err
	}
	for _, st := range storms {
		stop, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			_, err := b.load(stop, host, 4*s.conns, time.Hour, anyCount, st.op)
			ended <- err
		}()
		time.Sleep(time.Second)
		err := measure("while another connection sends " + st.what)
		cancel()
		if ended := <-ended; !errors.Is(ended, context.Canceled) && ended != nil {
			err = errors.Join(err, ended)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pair makes a group and a person.
func pair(w *wire, prefix, auth string) (group, person string, err error) {
	status, answer, err := w.do("POST", prefix+"/Groups", auth, jsonType, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Bench pair"}`)
	if err := expect(201, status, answer, err); err != nil {
		return "", "", err
	}
	if group, err = field(answer, "id"); err != nil {
		return "", "", err
	}
	status, answer, err = w.do("POST", prefix+"/Users", auth, jsonType, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"bench-pair@southern.example"}`)
	if err := expect(201, status, answer, err); err != nil {
		return "", "", err
	}
	person, err = field(answer, "id")
	return group, person, err
}

func change(w *wire, path, auth, op string) error {
	status, answer, err := w.do("PATCH", path, auth, jsonType, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+op+`]}`)
	return expect(204, status, answer, err)
}

// storms are loads of the connection with everybody in it, from four times as many
// clients as the other loads have.
func (b *bridge) storms(w *wire) ([]storm, error) {
	_, prefix, auth, err := b.scim(connection)
	if err != nil {
		return nil, err
	}
	fed, err := known(w, prefix, auth, "GL Geelong Managers") // feeds a rule
	if err != nil {
		return nil, err
	}
	hundred := func(n int64) []string {
		at := int(n/2*100) % (len(people) - 100)
		return people[at : at+100]
	}
	return []storm{
		{"PATCHes of a title", func(w *wire, n int64) error {
			status, answer, err := w.do("PATCH", prefix+"/Users/"+people[n%int64(len(people))], auth, jsonType,
				fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"%d"}]}`, n))
			return expect(200, status, answer, err)
		}},
		{"PATCHes of 100 members that feed a rule", func(w *wire, n int64) error {
			op := "add"
			if n%2 == 1 {
				op = "remove"
			}
			return change(w, prefix+"/Groups/"+fed, auth, fmt.Sprintf(`{"op":%q,"path":"members","value":%s}`, op, memberList(hundred(n))))
		}},
		{"searches that no index serves", func(w *wire, n int64) error {
			status, answer, err := w.do("GET", prefix+fmt.Sprintf("/Users?count=10&filter=title%%20co%%20%%22x%d%%22", n), auth, "", "")
			if status == 429 {
				return nil
			}
			return expect(200, status, answer, err)
		}},
	}, nil
}
