package scim

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// link finds out what each operation is about and which others it refers to, and
// reserves the ids of those.
func (b *bulk) link(operations []operation) {
	b.tasks = make([]task, len(operations))
	twice := map[string]bool{}
	for i, op := range operations {
		b.tasks[i].operation = op
		if op.method != http.MethodPost || op.bulkID == "" {
			continue
		}
		_, again := b.created[op.bulkID]
		b.created[op.bulkID], twice[op.bulkID] = i, twice[op.bulkID] || again
	}
	for i := range b.tasks {
		t := &b.tasks[i]
		if t.fault == nil && t.method == http.MethodPost && twice[t.bulkID] {
			t.fault = schema.Errorf(schema.InvalidValue, "bulkId", "several operations create %q; each needs a bulkId of its own", schema.Clip(t.bulkID))
		}
		if err := b.target(t); t.fault == nil {
			t.fault = err
		}
		if t.fault == nil {
			t.fault = b.refer(t)
		}
		if t.fault != nil {
			t.behind = nil // it waits for nobody, and is in no circle
		}
	}
	for i := range b.tasks {
		for _, to := range b.tasks[i].behind {
			b.reserve(&b.tasks[to])
		}
	}
}

// target finds the resource or type that a path names, by the routes that a request
// of its own would take.
func (b *bulk) target(t *task) error {
	collection, item, hasItem := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(t.path, "/"), "/"), "/")
	pattern := collection
	if hasItem {
		pattern += "/*"
		var err error
		if !strings.HasPrefix(item, bulkPrefix) {
			item, err = decodeItem(item)
		}
		if err != nil {
			return err
		}
	}
	at, found := b.s.routes[pattern]
	if !found {
		return noRoute(schema.Clip(collection))
	}
	if at[t.method] == nil {
		return &Error{Status: http.StatusMethodNotAllowed, Detail: "This address takes " + allow(at) + "."}
	}
	k := slices.IndexFunc(b.kinds, func(k kind) bool { return k.plural == collection })
	if k < 0 {
		return schema.Errorf(schema.InvalidValue, "path", "a bulk operation changes a resource; send this in a request of its own")
	}
	t.kind, t.item = b.kinds[k], item
	if !strings.HasPrefix(item, bulkPrefix) {
		t.id = item
	}
	return nil
}

// refer finds the operations that an operation must come behind.
func (b *bulk) refer(t *task) (err error) {
	if t.method != http.MethodDelete {
		if t.refers, err = references(t.data, t.method, t.kind.rt); err != nil {
			return err
		}
	}
	if name, ok := strings.CutPrefix(t.item, bulkPrefix); ok {
		if err := b.referTo(t, name, "path"); err != nil {
			return err
		}
	}
	for _, r := range t.refers {
		for _, name := range r.names() {
			if err := b.referTo(t, name, "data"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bulk) referTo(t *task, name, where string) error {
	to, known := b.created[name]
	if !known {
		return schema.Errorf(schema.InvalidValue, where, "no operation of this request creates %q", bulkPrefix+schema.Clip(name))
	}
	if !slices.Contains(t.behind, to) {
		t.behind = append(t.behind, to)
	}
	return nil
}

// reserve gives an id to a resource that others refer to, so that they can be read
// before it is there.
func (b *bulk) reserve(t *task) {
	if b.ids[t.bulkID] == "" && t.fault == nil {
		b.ids[t.bulkID] = t.kind.of(b.c.dir).NewID()
	}
}

// prepare reads an operation's data, which needs no store: the less is done while
// others wait for it. What is wrong with it is the operation's fault.
func (b *bulk) prepare(i int) {
	t := &b.tasks[i]
	if t.do != nil || t.fault != nil {
		return
	}
	for _, to := range t.behind {
		if b.ids[b.tasks[to].bulkID] == "" {
			return // refused already, and this one with it
		}
	}
	if name, ok := strings.CutPrefix(t.item, bulkPrefix); ok {
		t.id = b.ids[name]
	}
	data := resolved(t.data, t.refers, b.ids)
	if int64(len(data)) > t.kind.maxBody {
		t.fault = tooLong(t.kind.maxBody)
		return
	}
	t.fault = b.read(t, data)
}

// read is what the handlers do with a body.
func (b *bulk) read(t *task, data []byte) error {
	match := Match{}
	if t.ifMatch != "" {
		match = parseMatch([]string{t.ifMatch})
	}
	switch t.method {
	case http.MethodPatch:
		return b.readPatch(t, data, match)
	case http.MethodDelete:
		t.good, t.do = http.StatusNoContent, func(ctx context.Context, d Directory) (Resource, error) {
			effect, err := t.kind.of(d).Delete(ctx, t.id, match)
			return Resource{Effect: effect}, err
		}
		return nil
	}
	in, checked, err := t.kind.read(data, b.c.dialect.Leniency)
	if err != nil {
		return err
	}
	b.c.note(checked.Notes)
	t.asked = in.asked()
	if t.method == http.MethodPut {
		t.good, t.do = http.StatusOK, func(ctx context.Context, d Directory) (Resource, error) {
			return t.kind.of(d).Replace(ctx, t.id, match, in)
		}
		return nil
	}
	in.ID = b.ids[t.bulkID]
	t.good, t.do = http.StatusCreated, func(ctx context.Context, d Directory) (Resource, error) {
		return t.kind.of(d).Create(ctx, in)
	}
	return nil
}

func (b *bulk) readPatch(t *task, data []byte, match Match) error {
	plan, err := patch.Compile(t.kind.rt, data, b.c.dialect.Leniency)
	if err != nil {
		return err
	}
	b.c.note(plan.Notes())
	t.asked = patched(plan)
	t.good, t.do = t.kind.patchStatus(b.c.dialect), func(ctx context.Context, d Directory) (Resource, error) {
		return t.kind.of(d).Patch(ctx, t.id, match, plan, Want{})
	}
	return nil
}
