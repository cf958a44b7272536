package scimtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// The collections, as targets.
const (
	users  = "/Users"
	groups = "/Groups"
	bulk   = "/Bulk"
)

// nameOf is the attribute that a collection's resources are named by.
var nameOf = map[string]string{users: "userName", groups: "displayName"}

const mediaSCIM = "application/scim+json"

// Ids that no server has given out.
const (
	nobody     = "00000000-5c1e-4000-8000-000000000000"
	nobodyElse = "00000001-5c1e-4000-8000-000000000000"
)

// object is a JSON object on its way out.
type object = map[string]any

// trial is one check at work. Its methods end the check when something is wrong.
type trial struct {
	*run
	ctx context.Context
	id  string
}

// send sends one request. The body is nil, a string sent as it is, or a value
// written as JSON. headers are "Name: value" and replace the usual ones; "Name:"
// takes one away.
func (t *trial) send(method, target string, body any, headers ...string) (*reply, error) {
	q := request{method: method, target: target, header: http.Header{}}
	q.header.Set("Authorization", "Bearer "+t.client.token)
	q.header.Set("Accept", mediaSCIM)
	q.header.Set("User-Agent", "drawbridge-scimtest ("+t.id+")")
	name := ""
	switch b := body.(type) {
	case nil:
	case string:
		q.body = []byte(b)
	default:
		if o, ok := b.(object); ok && (method == http.MethodPost || method == http.MethodPut) {
			b = t.completed(target, o)
		}
		text, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		q.body = text
		name, _ = follow(body, nameOf[collectionOf(target)]).(string)
	}
	if body != nil {
		q.header.Set("Content-Type", mediaSCIM)
	}
	for _, h := range headers {
		key, value, _ := strings.Cut(h, ":")
		q.header.Del(key)
		if value = strings.TrimSpace(value); value != "" {
			q.header.Set(key, value)
		}
	}
	r, err := t.client.send(t.ctx, q)
	if err != nil {
		return nil, err
	}
	r.made = t.ledger.note(r, name)
	return r, nil
}

// ask is send; no answer ends the trial.
func (t *trial) ask(method, target string, body any, headers ...string) *reply {
	r, err := t.send(method, target, body, headers...)
	if err != nil {
		panic(unanswered(t.ctx, request{method: method, target: target}, err))
	}
	return r
}

func (t *trial) get(target string, headers ...string) *reply {
	return t.ask(http.MethodGet, target, nil, headers...)
}

func (t *trial) post(target string, body any, headers ...string) *reply {
	return t.ask(http.MethodPost, target, body, headers...)
}

func (t *trial) put(target string, body any, headers ...string) *reply {
	return t.ask(http.MethodPut, target, body, headers...)
}

func (t *trial) del(target string, headers ...string) *reply {
	return t.ask(http.MethodDelete, target, nil, headers...)
}

// together sends the same number of requests at once and waits for all of them.
func (t *trial) together(n int, send func(i int) (*reply, error)) []*reply {
	replies, errs := make([]*reply, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { replies[i], errs[i] = send(i) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			panic(unanswered(t.ctx, request{method: "one of the requests", target: "at once"}, err))
		}
	}
	return replies
}

// skip ends the trial without a finding.
func (t *trial) skip(format string, args ...any) {
	panic(stop{verdict: Skipped, found: fmt.Sprintf(format, args...)})
}

// has skips a check of an attribute that the server's schema does not have.
func (t *trial) has(attribute string) {
	if t.known != nil && !t.known[strings.ToLower(attribute)] {
		t.skip("the server's schema has no %s", attribute)
	}
}

// name is a name of this run for a person.
func (t *trial) name() string { return t.ledger.name(users, t.id) }

// person is a body for POST /Users with a name of its own; the extra attributes
// replace or add.
func (t *trial) person(extra object) object {
	body := object{"schemas": []string{urnUser}, "userName": t.name(), "active": true,
		"name": object{"givenName": "Robin", "familyName": "Sample"}}
	for k, v := range extra {
		body[k] = v
	}
	return body
}

// team is a body for POST /Groups.
func (t *trial) team(members ...thing) object {
	return object{"schemas": []string{urnGroup}, "displayName": t.ledger.name(groups, t.id), "members": refs(members...)}
}

// refs are members as a group names them.
func refs(members ...thing) []object {
	list := []object{}
	for _, m := range members {
		list = append(list, object{"value": m.id})
	}
	return list
}

// user makes a person to work on. If that fails the check is skipped: the checks of
// creation say so.
func (t *trial) user(extra object) thing { return t.made(users, t.person(extra)) }

// group makes a group to work on.
func (t *trial) group(members ...thing) thing { return t.made(groups, t.team(members...)) }

func (t *trial) made(collection string, body object) thing {
	r := t.post(collection, body)
	if r.made.id == "" {
		t.skip("what it needs could not be made: POST %s is answered %d", collection, r.status)
	}
	return r.made
}

// fresh reads a resource as it is now.
func (t *trial) fresh(of thing) *reply { return t.get(of.at()).is(http.StatusOK) }

// patch sends operations: pairs of op, path and value as objects.
func (t *trial) patch(of thing, operations ...object) *reply {
	return t.ask(http.MethodPatch, of.at(), patchBody(operations...))
}

func patchBody(operations ...object) object {
	if operations == nil {
		operations = []object{}
	}
	return object{"schemas": []string{urnPatch}, "Operations": operations}
}

// op is one operation of a PATCH; an empty path is left out, and so is a nil value.
func op(kind, path string, value any) object {
	o := object{"op": kind}
	if path != "" {
		o["path"] = path
	}
	if value != nil {
		o["value"] = value
	}
	return o
}

// query escapes a query parameter's value, blanks as %20.
func query(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
