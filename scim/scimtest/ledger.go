package scimtest

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// ledger knows what a run may have made. A name is written down before it is sent,
// so that a lost answer or an interruption hides nothing.
type ledger struct {
	prefix string // of every name of this run; nobody else's begins so

	mu    sync.Mutex // guards what follows
	given int
	open  []named // given out, and not known to have become a resource
	made  []thing
}

// named is a name and the collection that it was meant for.
type named struct{ collection, name string }

// thing is a resource of this run.
type thing struct {
	collection, id, name string
	reply                *reply // to the POST that made it
}

func (t thing) at() string { return t.collection + "/" + t.id }

func newLedger(nonce string) *ledger { return &ledger{prefix: "scimtest-" + nonce + "-"} }

// name gives out a name nobody has, with the check's id in it for whoever finds it.
func (l *ledger) name(collection, id string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given++
	name := fmt.Sprintf("%s%s-%d", l.prefix, id, l.given)
	if collection == users {
		name += "@check.example"
	}
	l.open = append(l.open, named{collection, name})
	return name
}

// note reads an answer: what a success made is ours to remove.
func (l *ledger) note(r *reply, name string) thing {
	if r.sent.method != http.MethodPost || !r.ok() {
		return thing{}
	}
	switch collection := collectionOf(r.sent.target); collection {
	case users, groups:
		made := thing{collection: collection, id: idOf(r), name: name, reply: r}
		if l.add(made) {
			return made
		}
	case bulk:
		l.noteBulk(r)
	}
	return thing{}
}

// collectionOf is a target without its query.
func collectionOf(target string) string {
	collection, _, _ := strings.Cut(target, "?")
	return collection
}

func (l *ledger) noteBulk(r *reply) {
	v, err := decode(r.body)
	list, ok := follow(v, "Operations").([]any)
	if err != nil || !ok {
		return // the names are still open, and are looked for at the end
	}
	for _, op := range list {
		method, _ := follow(op, "method").(string)
		location, _ := follow(op, "location").(string)
		for _, c := range []string{groups, users} {
			if strings.EqualFold(method, http.MethodPost) && strings.Contains(location, c+"/") {
				l.add(thing{collection: c, id: idAtEnd(location)})
			}
		}
	}
}

// add takes a resource over, if it is ours: a server that answers a POST with
// somebody else's resource must not make us delete it.
func (l *ledger) add(made thing) bool {
	if !plainID(made.id) || made.reply != nil && !l.ours(made.reply) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = slices.DeleteFunc(l.open, func(n named) bool { return n.name == made.name })
	l.made = append(l.made, made)
	return true
}

// plainID reports whether an id can stand in a path as it is.
func plainID(id string) bool {
	return strings.Trim(id, ".") != "" && !strings.ContainsFunc(id, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`/?#%\`, r)
	})
}

func (l *ledger) ours(r *reply) bool {
	v, err := decode(r.body)
	if err != nil {
		return len(r.body) == 0 // only a Location
	}
	name, named := follow(v, nameOf[collectionOf(r.sent.target)]).(string)
	return !named || strings.HasPrefix(strings.ToLower(name), l.prefix)
}

// idOf is the id in a body, or the end of the Location.
func idOf(r *reply) string {
	if v, err := decode(r.body); err == nil {
		if id, ok := follow(v, "id").(string); ok && id != "" {
			return id
		}
	}
	if location := r.header.Get("Location"); location != "" {
		return idAtEnd(location)
	}
	return ""
}

// sweep removes all that this run made, groups before people, the newest first, and
// then looks for names whose fate is not known. What it could not remove it names.
func (r *run) sweep(ctx context.Context) (left []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTimeout)
	defer cancel()
	r.client.allow(2*len(r.ledger.made) + 2*len(r.ledger.open) + 50)
	t := &trial{run: r, ctx: ctx, id: "sweep"}
	slices.Reverse(r.ledger.made)
	slices.SortStableFunc(r.ledger.made, func(a, b thing) int { return strings.Compare(a.collection, b.collection) }) // "/Groups" < "/Users"
	for _, made := range r.ledger.made {
		if err := t.remove(made); err != nil {
			left = append(left, fmt.Sprintf("%s (%s): %v", made.at(), made.name, err))
		}
	}
	for _, n := range r.ledger.open {
		left = append(left, t.hunt(n)...)
	}
	return left
}

// remove deletes a resource; one that is gone already is as good.
func (t *trial) remove(made thing) error {
	for try := 0; ; try++ {
		r, err := t.send(http.MethodDelete, made.at(), nil)
		switch {
		case err == nil && (r.ok() || r.status == http.StatusNotFound || r.status == http.StatusGone):
			return nil
		case err == nil && (try == 2 || !passing(r.status)):
			return fmt.Errorf("DELETE is answered %d", r.status)
		case try == 2:
			return err
		}
		if err := pause(t.ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// passing reports whether a refusal may be another one's fault, and pass.
func passing(status int) bool {
	return status >= 500 || status == http.StatusConflict || status == http.StatusTooManyRequests
}

// hunt looks for a resource by its reserved name and removes it. A server that
// cannot be asked by name has nothing to say here.
func (t *trial) hunt(n named) (left []string) {
	r, err := t.send(http.MethodGet, n.collection+"?filter="+query(nameOf[n.collection]+` eq "`+n.name+`"`), nil)
	if err != nil {
		return []string{fmt.Sprintf("perhaps %s %s: %v", n.collection, n.name, err)}
	}
	list, _ := resourcesOf(r)
	for _, v := range list {
		id, _ := follow(v, "id").(string)
		name, _ := follow(v, nameOf[n.collection]).(string)
		if !plainID(id) || !strings.EqualFold(name, n.name) {
			continue
		}
		found := thing{collection: n.collection, id: id, name: name}
		if err := t.remove(found); err != nil {
			left = append(left, fmt.Sprintf("%s (%s): %v", found.at(), name, err))
		}
	}
	return left
}

// expect writes down a name that was made up elsewhere.
func (l *ledger) expect(collection, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, named{collection, name})
}

// idAtEnd is the id that a location ends with; "" if it is none that we would use.
func idAtEnd(location string) string {
	if id := path.Base(location); plainID(id) {
		return id
	}
	return ""
}
