package scim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// Operations share a commit as long as they hold the store no longer than this, and
// no more of them than that: other connections wait behind them.
const (
	longestTogether = 12 * time.Millisecond
	mostTogether    = 128
)

// mostCircle is how many operations may refer to each other in a circle: all of them
// are kept or undone as one.
const mostCircle = 100

// bulk is one bulk request under way (RFC 7644 section 3.7).
type bulk struct {
	s       *Server
	c       *call
	kinds   []kind // people before the groups that hold them
	failOn  int    // 0: never
	failed  int
	tasks   []task
	created map[string]int    // by bulkId: the operation that creates it
	ids     map[string]string // by bulkId: the id, reserved before it is created
}

// task is an operation with what becomes of it.
type task struct {
	operation
	kind   kind
	item   string      // of the path; may be a reference
	id     string      // that item stands for
	refers []referring // in data
	behind []int       // the operations that it refers to
	do     func(context.Context, Directory) (Resource, error)
	good   int // the status when do succeeds
	asked  traffic.Operation
	result
}

// result is what is told of an operation.
type result struct {
	status   int // 0: not processed
	location string
	version  int64 // 0: none
	refused  *Error
	where    string // what refused is about, and why, for who looks at the traffic
	why      string
	effect   *traffic.Effect
}

// bulk answers POST /Bulk. An operation means what it would mean as a request of
// its own; what is shared is the commit.
func (s *Server) bulk(kinds ...kind) action {
	return func(ctx context.Context, c *call) error {
		c.told.Message, c.told.Types = true, typesOf(served(c, kinds))
		sent, err := body(c, s.maxBulk)
		if err != nil {
			return s.bulkTooLarge(err)
		}
		b := &bulk{s: s, c: c, kinds: served(c, kinds), created: map[string]int{}, ids: map[string]string{}}
		if err := b.inTurn(ctx, sent); err != nil {
			return err
		}
		if err := s.write(c, http.StatusOK, b.append); err != nil {
			return err
		}
		return b.summary()
	}
}

// inTurn carries out what was sent. The places are everybody's, so nobody has one
// while a client is slow to send a body or to read the answer.
func (b *bulk) inTurn(ctx context.Context, sent []byte) error {
	if err := enter(ctx, b.s.limits.bulks, b.c.connection); err != nil {
		return err
	}
	defer b.s.limits.bulks.Leave(b.c.connection)
	r, err := parseBulk(sent, b.c.dialect.Leniency)
	if err != nil {
		return err
	}
	b.c.note(r.notes)
	b.c.operations, b.failOn = len(r.operations), r.failOn
	b.link(r.operations)
	b.run(ctx)
	b.tell()
	return nil
}

// bulkTooLarge names the limit, as RFC 7644 section 3.7.4 asks.
func (s *Server) bulkTooLarge(err error) error {
	if e := asError(err); e.Status == http.StatusRequestEntityTooLarge {
		return TooLarge(fmt.Sprintf("The size of the bulk operation exceeds the maxPayloadSize (%d).", s.maxBulk))
	}
	return err
}

// run carries out all operations, or as many as failOnErrors allows.
func (b *bulk) run(ctx context.Context) {
	behind := make([][]int, len(b.tasks))
	for i := range b.tasks {
		behind[i] = b.tasks[i].behind
	}
	units := plan(behind)
	for at := 0; at < len(units) && !b.stopped(); {
		batch := units[at:min(at+mostTogether, len(units))]
		for _, i := range operationsOf(batch) {
			b.prepare(i)
		}
		done := b.commit(ctx, batch)
		for _, i := range operationsOf(batch[:done]) { // its documents are not needed any more
			b.tasks[i].do, b.tasks[i].data, b.tasks[i].refers = nil, nil, nil
		}
		at += done
	}
}

func (b *bulk) stopped() bool { return b.failOn > 0 && b.failed >= b.failOn }

// commit carries out as many units as may share a commit, and says how many. What a
// commit did not keep, none of its operations has done.
func (b *bulk) commit(ctx context.Context, batch []unit) int {
	done, before, alone := 0, b.failed, false
	err := b.c.dir.Together(ctx, func(dir Directory) error {
		b.failed, alone = before, false // this may run again, and then the first time did not happen
		for _, i := range operationsOf(batch) {
			b.tasks[i].result = result{}
		}
		began := b.s.now()
		for done = 0; done < len(batch) && !b.stopped(); done++ {
			if done > 0 && b.s.now().Sub(began) >= longestTogether {
				break
			}
			if alone = !b.unit(ctx, dir, batch[done]); alone {
				break
			}
		}
		return nil
	})
	if err == nil && alone && done == 0 {
		b.unit(ctx, b.c.dir, batch[0])
		return 1
	}
	if err == nil {
		return done
	}
	b.failed, done = before, max(done, 1)
	for _, i := range operationsOf(batch[:done]) {
		b.refuse(i, err)
	}
	return done
}

func operationsOf(units []unit) []int {
	var all []int
	for _, u := range units {
		all = append(all, u.operations...)
	}
	return all
}

// unit carries out a unit, or reports that it must have a transaction of its own:
// nothing has been done then.
func (b *bulk) unit(ctx context.Context, dir Directory, u unit) (done bool) {
	if u.circle {
		b.circle(ctx, dir, u.operations)
		return true
	}
	err := b.try(ctx, dir, u.operations[0])
	if errors.Is(err, ErrAlone) {
		return false
	}
	if err != nil {
		b.refuse(u.operations[0], err)
	}
	return true
}

// circle carries out operations that refer to each other: all or none of them, each
// with the ids that were reserved for the others (RFC 7644 section 3.7.1). People
// come first, since members must be there.
func (b *bulk) circle(ctx context.Context, dir Directory, operations []int) {
	slices.SortFunc(operations, func(x, y int) int {
		return cmp.Or(cmp.Compare(b.rank(x), b.rank(y)), cmp.Compare(x, y))
	})
	at := 0
	err := tooManyInCircle(len(operations))
	if err == nil {
		err = dir.Together(ctx, func(dir Directory) error {
			for at = range operations {
				if err := b.inCircle(ctx, dir, operations[at]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		return
	}
	for n, i := range operations {
		if n == at {
			b.refuse(i, err)
		} else {
			b.refuse(i, conflict("This operation and bulkId %q refer to each other, and that one failed; nothing of either was kept.", b.tasks[operations[at]].bulkID))
		}
	}
}

func tooManyInCircle(n int) error {
	if n <= mostCircle {
		return nil
	}
	return conflict("%d operations refer to each other in a circle, more than %d; create some of them without the reference and add it afterwards.", n, mostCircle)
}

func (b *bulk) rank(i int) int {
	return slices.IndexFunc(b.kinds, func(k kind) bool { return k.plural == b.tasks[i].kind.plural })
}

// inCircle refuses an operation that gave a resource another id than the one that
// the others have been told.
func (b *bulk) inCircle(ctx context.Context, dir Directory, i int) error {
	reserved := b.ids[b.tasks[i].bulkID]
	if err := b.try(ctx, dir, i); err != nil {
		return err
	}
	if b.ids[b.tasks[i].bulkID] != reserved {
		return conflict("A resource that others refer to in a circle exists already; refer to it by its id.")
	}
	return nil
}

func conflict(format string, args ...any) *Error {
	return &Error{Status: http.StatusConflict, Detail: fmt.Sprintf(format, args...)}
}

// try carries out one operation.
func (b *bulk) try(ctx context.Context, dir Directory, i int) error {
	t := &b.tasks[i]
	b.prepare(i)
	if t.fault != nil {
		return t.fault
	}
	for _, other := range t.behind {
		if b.tasks[other].refused != nil {
			return conflict("The operation with bulkId %q failed, and this one refers to it.", b.tasks[other].bulkID)
		}
	}
	r, err := t.do(ctx, dir)
	if err != nil {
		return err
	}
	b.c.note(r.Notes)
	if t.method == http.MethodPost {
		t.id = r.ID
		b.known(i, r.ID)
	}
	t.result = result{status: t.good, version: r.Version, location: b.s.location(b.c, t.kind.plural, t.id), effect: r.Effect}
	return nil
}

// known notes the id that a resource was given. Where it is not the reserved one,
// whoever refers to it is read again.
func (b *bulk) known(i int, id string) {
	name := b.tasks[i].bulkID
	if reserved, referred := b.ids[name]; !referred || reserved == id {
		return
	}
	b.ids[name] = id
	for o := range b.tasks {
		if slices.Contains(b.tasks[o].behind, i) {
			b.tasks[o].do = nil
		}
	}
}

func (b *bulk) refuse(i int, err error) {
	t := &b.tasks[i]
	refused := asError(err)
	t.result = result{status: refused.Status, refused: refused}
	t.where, t.why = told(err)
	if b.named(t) {
		t.location = b.s.location(b.c, t.kind.plural, t.id)
	}
	b.failed++
}

// named reports whether an operation that failed was about something with an address.
func (b *bulk) named(t *task) bool {
	name, refers := strings.CutPrefix(t.item, bulkPrefix)
	return t.method != http.MethodPost && t.id != "" && !(refers && b.tasks[b.created[name]].refused != nil)
}

// toldOfBulk is how many operations a bulk is remembered with.
const toldOfBulk = 10

// tell notes what the operations asked for, and what they did together.
func (b *bulk) tell() {
	told := &b.c.told
	for i := range b.tasks {
		t := &b.tasks[i]
		told.Of(t.what())
		if t.refused != nil {
			told.Refused++
		} else if t.effect != nil {
			told.Effect = told.Effect.Plus(*t.effect)
		}
		if i >= toldOfBulk {
			continue
		}
		o := t.asked
		o.Method, o.Type, o.ID, o.Status = t.method, t.kind.rt, t.id, t.status
		o.Where, o.Refusal = t.where, t.why
		told.Operations = append(told.Operations, o)
	}
}

// what an operation is, in words that are few.
func (t *task) what() string {
	if t.kind.rt == nil {
		return "not understood"
	}
	return t.method + " " + t.kind.rt.Name
}

// summary is what the log learns of refused operations: how many, and why the first.
func (b *bulk) summary() error {
	for i := range b.tasks {
		if e := b.tasks[i].refused; e != nil {
			return fmt.Errorf("scim: %d of %d operations were refused, of them Operations[%d]: %w", b.failed, len(b.tasks), i, e)
		}
	}
	return nil
}

// append writes the BulkResponse: each operation that was processed, in the order of
// the request. The body of what succeeded is left out, as section 3.7 allows.
func (b *bulk) append(a *answer) error {
	a.buf = append(a.buf, `{"schemas":["`+urnBulkResponse+`"],"Operations":[`...)
	first := true
	for i := range b.tasks {
		if b.tasks[i].status == 0 {
			continue
		}
		if !first {
			a.buf = append(a.buf, ',')
		}
		first = false
		a.buf = b.tasks[i].append(a.buf)
		if err := a.spill(); err != nil {
			return err
		}
	}
	a.buf = append(a.buf, `]}`...)
	return nil
}

func (t *task) append(dst []byte) []byte {
	dst = append(append(append(dst, `{"status":"`...), strconv.Itoa(t.status)...), '"')
	dst = appendMember(dst, "method", t.method)
	dst = appendMember(dst, "bulkId", t.bulkID)
	dst = appendMember(dst, "location", t.location)
	if t.version > 0 {
		dst = appendMember(dst, "version", entityTag(t.version))
	}
	if t.refused != nil {
		dst = appendError(append(dst, `,"response":`...), t.refused)
	}
	return append(dst, '}')
}

// appendMember leaves out what is empty.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(append(append(dst, `,"`...), name...), `":`...), value)
}
