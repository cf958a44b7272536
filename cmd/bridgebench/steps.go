package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	connection = "banksia-entra"
	jsonType   = "application/scim+json"
	formType   = "application/x-www-form-urlencoded"
	anyCount   = 1 << 40
)

// people are the ids that provision made, for the steps after it.
var people []string

// errBusy is an answer that asks for patience: 429, or a 503 because too many wait.
var errBusy = errors.New("the bridge is busy")

func expect(want, got int, answer []byte, err error) error {
	if err == nil && (got == http.StatusTooManyRequests || got == http.StatusServiceUnavailable) {
		return fmt.Errorf("%w: %d %.300s", errBusy, got, answer)
	}
	if err == nil && got != want {
		err = fmt.Errorf("answered %d, want %d: %.300s", got, want, answer)
	}
	return err
}

// field is the first value of that name in an answer: ids and tokens need no
// unescaping, and parsing all of it would cost the load more than asking.
func field(answer []byte, name string) (string, error) {
	_, rest, found := bytes.Cut(answer, []byte(`"`+name+`":"`))
	value, _, ended := bytes.Cut(rest, []byte(`"`))
	if !found || !ended {
		return "", fmt.Errorf("no %s in %.300s", name, answer)
	}
	return string(value), nil
}

// provision makes people, and measures it.
func provision(ctx context.Context, b *bridge, s size, t *table) error {
	host, prefix, auth, err := b.scim(connection)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	create := func(w *wire, n int64) error {
		body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"bench-%d","userName":"bench-%d@banksia.example","active":true,"displayName":"Bench Person %d","name":{"givenName":"Bench","familyName":"Person"},"emails":[{"primary":true,"type":"work","value":"bench-%d@banksia.example"}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Depot %d"}}`, n, n, n, n, n%40)
		status, answer, err := w.do("POST", prefix+"/Users", auth, jsonType, body)
		if err := expect(201, status, answer, err); err != nil {
			return err
		}
		id, err := field(answer, "id")
		mu.Lock()
		defer mu.Unlock()
		people = append(people, id)
		return err
	}
	r, err := b.load(ctx, host, s.conns, s.provision, int64(s.people), create)
	if err != nil {
		return err
	}
	t.add(fmt.Sprintf("POST /Users, durable, %d of them", r.ops), r)
	return nil
}

// readPeople measures GET by id and by filter with everybody there.
func readPeople(ctx context.Context, b *bridge, s size, t *table) error {
	host, prefix, auth, err := b.scim(connection)
	if err != nil {
		return err
	}
	get := func(path func() string) func(*wire, int64) error {
		return func(w *wire, _ int64) error {
			status, answer, err := w.do("GET", prefix+path(), auth, "", "")
			return expect(200, status, answer, err)
		}
	}
	r, err := b.load(ctx, host, s.conns, s.perRun, anyCount, get(func() string { return "/Users/" + people[rand.IntN(len(people))] }))
	if err != nil {
		return err
	}
	t.add("GET /Users/{id}", r)
	r, err = b.load(ctx, host, s.conns, s.perRun, anyCount, get(func() string {
		return "/Users?filter=" + url.QueryEscape(fmt.Sprintf(`userName eq "bench-%d@banksia.example"`, rand.IntN(len(people))))
	}))
	if err != nil {
		return err
	}
	t.add(fmt.Sprintf("GET /Users?filter=userName eq, among %d", len(people)), r)
	return nil
}

// members fills groups, and compares one member added to a small and a large one.
func members(ctx context.Context, b *bridge, s size, t *table) error {
	host, prefix, auth, err := b.scim(connection)
	if err != nil {
		return err
	}
	w, err := dial(host)
	if err != nil {
		return err
	}
	defer w.c.Close()
	small, err := known(w, prefix, auth, "GL Geelong Managers") // of the sample organisation; both feed a rule
	if err != nil {
		return err
	}
	if err := fill(w, prefix, auth, small, people[:8]); err != nil {
		return err
	}
	large, err := known(w, prefix, auth, "GL Hobart Managers")
	if err != nil {
		return err
	}
	began := time.Now()
	if err := fill(w, prefix, auth, large, people[:len(people)-2000]); err != nil {
		return err
	}
	t.note(fmt.Sprintf("a group that feeds a rule gets %d members, 1,000 a PATCH", len(people)-2000), time.Since(began))
	for left, n := s.memberships-len(people), 0; left > 0; n++ {
		size := min(left, 2000)
		at := n * 2000 % (len(people) - size)
		if err := group(w, prefix, auth, fmt.Sprintf("Bench group %d", n), people[at:at+size]); err != nil {
			return err
		}
		left -= size
	}
	if err := settled(ctx, w, prefix, auth); err != nil {
		return err
	}
	spare := people[len(people)-2000:]
	for _, g := range []struct{ what, id string }{{"PATCH add or remove one member, group of 10", small}, {fmt.Sprintf("PATCH add or remove one member, group of %d", len(people)-2000), large}} {
		r, err := b.load(ctx, host, s.conns, s.perRun, anyCount, func(w *wire, n int64) error {
			who, op := spare[(n/2)%int64(len(spare))], "add"
			body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":%q,"path":"members","value":[{"value":%q}]}]}`, op, who)
			if n%2 == 1 {
				body = fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members[value eq \"%s\"]"}]}`, who)
			}
			status, answer, err := w.do("PATCH", prefix+"/Groups/"+g.id, auth, jsonType, body)
			return expect(204, status, answer, err)
		})
		if err != nil {
			return err
		}
		t.add(g.what, r)
	}
	rss, err := b.rss()
	if err != nil {
		return err
	}
	t.say(fmt.Sprintf("memory with %d people and %d memberships", len(people), s.memberships), fmt.Sprintf("%d MB", rss>>20))
	return nil
}

// settled waits until the background work has decided everybody: each list of a
// large change ends, so a probe is enough to keep the load apart from it.
func settled(ctx context.Context, w *wire, prefix, auth string) error {
	quiet := 0
	for quiet < 20 {
		began := time.Now()
		status, answer, err := w.do("PATCH", prefix+"/Users/"+people[0], auth, jsonType,
			fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"%d"}]}`, began.UnixNano()))
		if err := expect(200, status, answer, err); err != nil {
			return err
		}
		if time.Since(began) < 3*time.Millisecond {
			quiet++
		} else {
			quiet = 0
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// known finds a group by its name.
func known(w *wire, prefix, auth, name string) (string, error) {
	status, answer, err := w.do("GET", prefix+"/Groups?excludedAttributes=members&filter="+url.QueryEscape(fmt.Sprintf("displayName eq %q", name)), auth, "", "")
	if err := expect(200, status, answer, err); err != nil {
		return "", err
	}
	var found struct{ Resources []struct{ ID string } }
	if err := json.Unmarshal(answer, &found); err != nil || len(found.Resources) != 1 {
		return "", fmt.Errorf("looking for the group %s: %d found, %w", name, len(found.Resources), err)
	}
	return found.Resources[0].ID, nil
}

// group makes a group with these members.
func group(w *wire, prefix, auth, name string, ids []string) error {
	status, answer, err := w.do("POST", prefix+"/Groups", auth, jsonType, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q}`, name))
	if err := expect(201, status, answer, err); err != nil {
		return err
	}
	id, err := field(answer, "id")
	if err != nil {
		return err
	}
	return fill(w, prefix, auth, id, ids)
}

// fill adds members, 1,000 a PATCH.
func fill(w *wire, prefix, auth, id string, ids []string) error {
	for part := range slices.Chunk(ids, 1000) {
		body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":` + memberList(part) + `}]}`
		status, answer, err := w.do("PATCH", prefix+"/Groups/"+id, auth, jsonType, body)
		if err := expect(204, status, answer, err); err != nil {
			return err
		}
	}
	return nil
}

func memberList(ids []string) string {
	var list []string
	for _, p := range ids {
		list = append(list, fmt.Sprintf(`{"value":%q}`, p))
	}
	return "[" + strings.Join(list, ",") + "]"
}

// leavers measures a deactivation with ten sessions, and that the very next
// introspection says no.
func leavers(ctx context.Context, b *bridge, _ size, t *table) error {
	conn := b.demo.Connections[0]
	host, prefix, auth, err := b.scim(conn.ID)
	if err != nil {
		return err
	}
	w, err := dial(host)
	if err != nil {
		return err
	}
	defer w.c.Close()
	status, answer, err := w.do("GET", prefix+"/Users?filter="+url.QueryEscape(fmt.Sprintf("userName eq %q", conn.People[0])), auth, "", "")
	if err := expect(200, status, answer, err); err != nil {
		return err
	}
	var found struct{ Resources []struct{ ID string } }
	if err := json.Unmarshal(answer, &found); err != nil || len(found.Resources) != 1 {
		return fmt.Errorf("looking for %s: %d found, %w", conn.People[0], len(found.Resources), err)
	}
	set := func(active string) (time.Duration, error) {
		began := time.Now()
		status, answer, err := w.do("PATCH", prefix+"/Users/"+found.Resources[0].ID, auth, jsonType,
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"`+active+`"}]}`)
		return time.Since(began), expect(200, status, answer, err)
	}
	var times []time.Duration
	for range 30 {
		var tokens []string
		for range 10 {
			in, err := b.relyingParty().SignIn(ctx, conn.People[0])
			if err != nil {
				return err
			}
			tokens = append(tokens, in.AccessToken)
		}
		took, err := set("False")
		if err != nil {
			return err
		}
		times = append(times, took)
		for _, token := range tokens {
			status, answer, err := w.do("POST", "/oauth2/introspect", "", formType, "token="+token+b.clientAuth())
			if err := expect(200, status, answer, err); err != nil {
				return err
			}
			if !bytes.HasPrefix(answer, []byte(`{"active":false`)) {
				return fmt.Errorf("after the deactivation a token is %s", answer)
			}
		}
		if _, err := set("True"); err != nil {
			return err
		}
	}
	slices.Sort(times)
	t.rows = append(t.rows, []string{"deactivation of a person with 10 sessions, until its 200", "", short(times[len(times)/2]), short(times[len(times)*99/100]), ""})
	t.say("the very next introspection of each of the 300 tokens", "inactive")
	return nil
}

// restart measures a later start, with everything there.
func restart(ctx context.Context, b *bridge, _ size, t *table) error {
	if err := b.halt(); err != nil {
		return err
	}
	took, err := b.launch(ctx)
	if err != nil {
		return err
	}
	t.note("start to ready, later start, all demo servers included", took)
	return nil
}
