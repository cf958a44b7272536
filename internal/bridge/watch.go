package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// The watch counts what identity providers do within the time of the alarms. It reads
// events as they were committed, behind the requests, which so pay nothing; and since
// events are rows, it reads the last window again after a restart, whatever the process
// died of, and comes to the same counts.

// watch lets one at a time count.
type watch struct {
	mu     sync.Mutex // guards what follows
	counts *counts    // nil: nobody has begun
}

// counts is what has been counted.
type counts struct {
	seed   maphash.Seed
	swept  time.Time
	primed bool  // everything up to after has been read once
	after  int64 // the last event that was read
	within time.Duration
	conns  map[access.ConnectionID]*watched
	told   map[watchKey]time.Time // when an alarm was last raised
}

// watched is what has been counted of one connection.
type watched struct {
	gains    *recent // who came to something
	restored *recent // whom an administrator put back: what they come to is no gain
	groups   map[access.GroupID]*flow
	changed  map[access.GroupID]bool // groups that somebody left since they were last judged
	deleted  tally                   // members of deleted groups that were too small for an alarm of their own
	gained   bool
	lost     bool // deleted has grown since it was last judged
}

// flow is who left a group within the time, and what came and went in all: with how
// many it has now, how many it had.
type flow struct {
	left    *recent // nil: nobody
	in, out tally
	last    time.Time
}

func (c *counts) hash(id access.PersonID) uint64 { return maphash.String(c.seed, string(id)) }

func (c *counts) of(conn access.ConnectionID) *watched {
	w := c.conns[conn]
	if w == nil {
		w = &watched{gains: newRecent(c.within), restored: newRecent(c.within), deleted: tally{slice: sliceOf(c.within)},
			groups: map[access.GroupID]*flow{}, changed: map[access.GroupID]bool{}}
		c.conns[conn] = w
	}
	return w
}

func (w *watched) flow(id access.GroupID, within time.Duration) *flow {
	f := w.groups[id]
	if f == nil {
		f = &flow{in: tally{slice: sliceOf(within)}, out: tally{slice: sliceOf(within)}}
		w.groups[id] = f
	}
	return f
}

func (f *flow) forget(before time.Time) {
	f.in.forget(before)
	f.out.forget(before)
	if f.left != nil {
		f.left.forget(before)
	}
}

// sweep forgets groups that nobody has joined or left for the time of the alarms.
func (c *counts) sweep(now time.Time) {
	if now.Sub(c.swept) < sliceOf(c.within) {
		return
	}
	c.swept = now
	for _, w := range c.conns {
		w.gains.forget(now.Add(-c.within))
		w.restored.forget(now.Add(-c.within))
		for id, f := range w.groups {
			if f.last.Before(now.Add(-c.within)) {
				delete(w.groups, id)
			}
		}
	}
	for key, at := range c.told {
		if at.Before(now.Add(-c.within)) {
			delete(c.told, key)
		}
	}
}

type watchKey struct {
	conn  access.ConnectionID
	kind  string
	group access.GroupID
}

// watchPage is how many events are read at a time.
const watchPage = 1000

// Watch counts what has happened since it was last called, and raises the alarms that
// are due.
func (b *Bridge) Watch(ctx context.Context) error {
	b.watching.mu.Lock()
	defer b.watching.mu.Unlock()
	policy, err := b.policyNow(ctx)
	if fault.Is(err, fault.Unavailable) {
		return nil // none has been applied yet
	}
	if err != nil {
		return err
	}
	l := limitsOf(policy.Source().Guard.Alarm)
	w := b.watching.counts
	if w == nil || w.within != l.within {
		if w, err = b.beginWatch(ctx, l.within); err != nil {
			return err
		}
		b.watching.counts = w
	}
	for ctx.Err() == nil {
		var rows []store.OutboxRow
		err := b.store.View(ctx, func(v *store.View) (err error) { rows, err = v.Outbox(w.after, watchPage); return err })
		if err != nil {
			return err
		}
		for _, row := range rows {
			b.count(w, row)
			w.after = row.ID
		}
		w.primed = w.primed || len(rows) < watchPage
		if err := b.judgeWatched(ctx, w, policy, l); err != nil {
			return err
		}
		if len(rows) < watchPage {
			break
		}
	}
	return nil
}

// beginWatch starts to count where the time of the alarms begins.
func (b *Bridge) beginWatch(ctx context.Context, within time.Duration) (w *counts, err error) {
	now := b.now()
	err = b.store.View(ctx, func(v *store.View) (err error) {
		w = &counts{seed: maphash.MakeSeed(), within: within, conns: map[access.ConnectionID]*watched{}, told: map[watchKey]time.Time{}}
		if w.after, err = v.OutboxBefore(now.Add(-within)); err != nil {
			return err
		}
		past, err := v.Alarms("", now.Add(-within), watchPage)
		for _, a := range past {
			if key := (watchKey{a.Connection, a.Kind, a.Group}); w.told[key].Before(a.At) {
				w.told[key] = a.At
			}
		}
		return err
	})
	return w, err
}

// The types of events that are counted, as a row's body begins.
var (
	countedGiven  = beginning(event.AssignmentGiven)
	countedJoined = beginning(event.MemberAdded)
	countedLeft   = beginning(event.MemberRemoved)
	countedGone   = beginning(event.GroupDeleted)
	countedAlarm  = []byte(`{"type":"alarm.`)
)

func beginning(t event.Type) []byte { return []byte(`{"type":"` + string(t) + `"`) }

// count takes one event into account. Most are none of those that are counted, and are
// told apart without being read.
func (b *Bridge) count(w *counts, row store.OutboxRow) {
	is := func(begin []byte) bool { return bytes.HasPrefix(row.Body, begin) }
	if row.Connection == "" || !is(countedGiven) && !is(countedJoined) && !is(countedLeft) && !is(countedGone) && !is(countedAlarm) {
		return
	}
	var e event.Event
	if err := json.Unmarshal(row.Body, &e); err != nil {
		b.note("bridge.Watch", err)
		return
	}
	if is(countedAlarm) {
		if b.raisedAlarm != nil && !e.At.Before(b.started) {
			b.raisedAlarm(row.Connection, kindOf(e.Type))
		}
		return
	}
	c := w.of(row.Connection)
	if e.Actor == event.ByAdministrator { // people did that
		if is(countedJoined) && e.Data["restored"] != "" {
			c.restored.add(w.hash(e.Person), e.At)
		}
		return
	}
	group := access.GroupID(e.Data["group"])
	if is(countedGiven) {
		if told := w.told[watchKey{row.Connection, KindMassGain, ""}]; e.Data["because"] == "" && e.At.After(told) && !c.restored.has(w.hash(e.Person)) {
			c.gained = true
			c.gains.add(w.hash(e.Person), e.At)
		}
		return
	}
	if is(countedGone) {
		delete(c.groups, group)
		delete(c.changed, group)
		w.countDeleted(c, row.Connection, e)
		return
	}
	if told := w.told[watchKey{row.Connection, KindGroupShrunk, group}]; !e.At.After(told) {
		return
	}
	f := c.flow(group, w.within)
	f.last = e.At
	switch who := w.hash(e.Person); {
	case e.Data["returned"] != "":
		f.out.more(e.At) // and in, before
	case is(countedLeft):
		if f.left == nil {
			f.left = newRecent(w.within)
		}
		f.left.add(who, e.At)
		f.out.more(e.At)
		c.changed[group] = true
	default:
		if f.left != nil {
			f.left.remove(who)
		}
		f.in.more(e.At)
	}
}

// countDeleted adds a deleted group that was told of by no alarm of its own: many small
// ones are as much as a large one.
func (w *counts) countDeleted(c *watched, conn access.ConnectionID, e event.Event) {
	members, err := strconv.ParseInt(e.Data["members"], 10, 64)
	if err != nil || e.Data["alarm"] != "" || !e.At.After(w.told[watchKey{conn, KindGroupDeleted, ""}]) {
		return // no rule looks at it, or it has been told
	}
	c.lost = true
	c.deleted.add(members, e.At)
}

func kindOf(t event.Type) string {
	for kind, of := range alarmEvents {
		if of == t {
			return kind
		}
	}
	return string(t)
}

// judgeWatched raises the alarms that are due, once within their time.
func (b *Bridge) judgeWatched(ctx context.Context, w *counts, policy *activePolicy, l limits) error {
	now := b.now()
	w.sweep(now)
	if !w.primed {
		return nil // what was raised already is further on
	}
	for conn, c := range w.conns {
		if !c.gained && !c.lost && len(c.changed) == 0 {
			continue
		}
		err := b.judgeConnection(ctx, w, policy, l, conn, c, now)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) {
			err = nil // the connection has ended: nobody gains anything
		}
		if err != nil {
			return err
		}
		c.gained, c.lost = false, false
		clear(c.changed)
	}
	return nil
}

func (b *Bridge) judgeConnection(ctx context.Context, w *counts, policy *activePolicy, l limits, conn access.ConnectionID, c *watched, now time.Time) error {
	var due []store.Alarm
	err := b.read(ctx, conn, func(dir *store.Directory) error {
		due = nil
		c.gains.forget(now.Add(-l.within))
		if n := c.gains.len(); l.gaining.reached(n, 0) {
			people, err := dir.CountPeople()
			if err != nil {
				return err
			}
			if l.gaining.reached(n, people) {
				due = append(due, store.Alarm{Kind: KindMassGain, Count: n, Base: people, Within: l.within})
			}
		}
		c.deleted.forget(now.Add(-l.within))
		if n := c.deleted.sum; l.deleted.reached(n, 0) {
			people, err := dir.CountPeople()
			if err != nil {
				return err
			}
			if l.deleted.reached(n, people) {
				due = append(due, store.Alarm{Kind: KindGroupDeleted, Count: n, Base: people, Within: l.within})
			}
		}
		for id := range c.changed {
			f := c.groups[id]
			if f == nil {
				continue
			}
			f.forget(now.Add(-l.within))
			if f.left == nil || f.left.len() < max(1, l.shrunk.people) {
				continue
			}
			g, err := dir.Group(id)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			had := max(g.MemberCount+f.out.sum-f.in.sum, f.left.len()) // of those who came and went again, at least those
			if policy.LooksAt(conn, g.DisplayName, g.ExternalID) && l.shrunk.reached(f.left.len(), had) {
				due = append(due, store.Alarm{Kind: KindGroupShrunk, Group: id, Count: f.left.len(), Base: had, Within: l.within})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, a := range due {
		if err := b.raise(ctx, w, conn, a, now); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bridge) raise(ctx context.Context, w *counts, conn access.ConnectionID, a store.Alarm, now time.Time) error {
	key := watchKey{conn, a.Kind, a.Group}
	if told, ever := w.told[key]; ever && now.Before(told.Add(w.within)) {
		return nil
	}
	if err := b.change(ctx, conn, event.ByBridge, func(c *change) error { return c.alarm(a) }); err != nil {
		return err
	}
	w.told[key] = now
	switch c := w.conns[conn]; a.Kind {
	case KindMassGain:
		c.gains = newRecent(w.within)
	case KindGroupDeleted:
		c.deleted = tally{slice: sliceOf(w.within)}
	default:
		delete(c.groups, a.Group)
	}
	return nil
}
