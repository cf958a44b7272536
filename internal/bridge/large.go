package bridge

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/patch"
)

// A large change of a group's members is worked out while others write, written
// down whole in one small transaction, which decides that it happens, and carried
// out a chunk at a time before it is answered. Whoever wants to write to the group
// meanwhile carries it on, and waits so; after a crash the background work does.

// busy says that a large change is moving a group's members.
type busy struct{ group store.Group }

func (busy) Error() string { return "a large change is moving the group's members" }

// errLarge says that a change must be worked out before the writer is asked for.
var errLarge = errors.New("the change touches too many members to be worked out while the writer waits")

// insist runs a write to a group until nothing stands in its way: it carries out the
// large change that is under way, and works out beforehand what is itself large.
// There may be no such group yet.
func (g groups) insist(ctx context.Context, group store.Group, members *memberChange, write func(*change) error) error {
	if planted.Bug(planted.GroupReadModifyWrite) {
		_ = g.b.read(ctx, g.conn, func(dir *store.Directory) error {
			keys, _ := dir.MemberKeys(group)
			there, err := dir.IDs(keys)
			whole := []patch.MemberEdit{{Kind: patch.RemoveAllMembers}}
			for _, id := range there {
				whole = append(whole, patch.MemberEdit{Kind: patch.AddMembers, IDs: []string{string(id)}})
			}
			members.edits = append(whole, members.edits...)
			return err
		})
	}
	for {
		err := g.change(ctx, g.conn, event.ByScim, write)
		under, waits := errors.AsType[busy](err)
		switch {
		case !waits && !errors.Is(err, errLarge):
			return err
		case g.shared:
			return scim.ErrAlone
		case waits:
			_, err = g.b.finish(ctx, under.group)
		default:
			err = g.prepare(ctx, group, members)
		}
		if err != nil {
			return err
		}
	}
}

// prepare works out a large change on a snapshot.
func (g groups) prepare(ctx context.Context, group store.Group, members *memberChange) error {
	members.tries++
	return g.b.read(ctx, g.conn, func(dir *store.Directory) error {
		now, err := dir.Group(group.ID)
		if fault.Is(err, fault.NotFound) {
			now, err = group, nil // it is to be created, or its absence will be told
		}
		if err != nil {
			return err
		}
		m, err := exactly(dir, now, members.edits)
		members.prepared = &m
		return err
	})
}

// succeeds reports whether a change leaves so few of a group that it costs far less
// to make another of them than to take the others away one by one.
func (m moves) succeeds() bool {
	return m.unknown.whole && len(m.remove) > leavingAtOnce && len(m.remove) > 2*(len(m.stay)+len(m.add))
}

// leavingAtOnce is how many people leave a group one by one at most while the
// request waits; stageChunk is how many are made a successor's members at a time.
const (
	leavingAtOnce = 600
	stageChunk    = 500
)

// beginLarge writes a large change down.
func (c *change) beginLarge(g *store.Group, m moves) error {
	c.moving, c.due = moving{len(m.add), len(m.remove)}, c.due || c.looksAt(*g)
	edits := oneByOne(m)
	if m.succeeds() {
		if err := c.dir.PrepareSuccessor(*g); err != nil {
			return err
		}
		edits = bySuccessor(m)
	}
	for i := range edits {
		edits[i].Request = c.request
	}
	return c.dir.BeginEdits(g, edits, c.now)
}

// oneByOne lets those go first who leave, so that nobody is let in by a change whose
// end nobody has seen.
func oneByOne(m moves) (edits []store.MemberEdit) {
	for part := range slices.Chunk(m.remove, chunk) {
		edits = append(edits, store.MemberEdit{Remove: part})
	}
	for part := range slices.Chunk(m.add, chunk) {
		edits = append(edits, store.MemberEdit{Add: part})
	}
	return edits
}

// bySuccessor makes another group unseen, which takes the place of this one.
func bySuccessor(m moves) (edits []store.MemberEdit) {
	all := slices.Concat(m.stay, m.add)
	slices.Sort(all)
	for part := range slices.Chunk(all, stageChunk) {
		edits = append(edits, store.MemberEdit{Stage: part})
	}
	edits = append(edits, store.MemberEdit{Succeed: &store.Succession{Added: len(m.add), Removed: len(m.remove)}})
	for part := range slices.Chunk(m.add, chunk) {
		edits = append(edits, store.MemberEdit{Tell: part})
	}
	return edits
}

// finish carries out the rest of the large change that was under way in g, if there
// was one, and gives the group as it left it. Other nodes are told of each chunk, and waited for
// at the end. If the caller goes, the background work takes over.
func (b *Bridge) finish(ctx context.Context, g store.Group) (store.Group, error) {
	ctx, wait := store.Later(ctx)
	defer wait()
	for under := g.Changing; !g.Changing.IsZero() && g.Changing.Equal(under); {
		now, err := b.carryOn(ctx, g)
		if fault.Is(err, fault.NotFound) {
			return g, nil // the next who wanted to write to it has deleted it
		}
		if err != nil {
			b.nudge()
			return g, err
		}
		g = now
	}
	return g, nil
}

// carryOn carries out one chunk of the large change of a group.
func (b *Bridge) carryOn(ctx context.Context, g store.Group) (store.Group, error) {
	var now store.Group
	err := b.inTurn(ctx, g.Connection, func() error {
		return b.change(ctx, g.Connection, event.ByScim, func(c *change) (err error) {
			if now, err = c.dir.Group(g.ID); err != nil || now.Changing.IsZero() {
				return err
			}
			since := now.Changing
			edit, more, err := c.dir.TakeEdit(&now)
			if err != nil || !more {
				return err
			}
			c.request = edit.Request
			return c.carryOut(&now, edit, since)
		})
	})
	return now, err
}

// carryOut carries out one part of a large change.
func (c *change) carryOut(g *store.Group, edit store.MemberEdit, since time.Time) error {
	if edit.By != "" {
		c.by = edit.By
	}
	switch {
	case edit.Restore != nil:
		return c.restoreChunk(g, edit.Restore)
	case edit.Stage != nil:
		return c.dir.StageMembers(*g, edit.Stage, since)
	case edit.Succeed != nil:
		return c.succeed(g, *edit.Succeed)
	case edit.Tell != nil:
		came, err := c.dir.Among(*g, edit.Tell)
		if err != nil {
			return err
		}
		return c.sayJoined(g.ID, came, moved{since: since, at: g.Updated})
	}
	return c.exchangeChunk(g, edit, since)
}

// succeed is the instant of a change by a successor: who left with the group that was
// is refused from here on, and who came is decided anew before anything else. Whoever
// stays is in both, and under one fence as far as they are concerned.
func (c *change) succeed(g *store.Group, s store.Succession) error {
	if err := c.dir.Succeed(g, s.Added > 0, c.now); err != nil {
		return err
	}
	c.due = true
	c.say(event.GroupChanged, "", map[string]string{"group": string(g.ID), "added": strconv.Itoa(s.Added), "removed": strconv.Itoa(s.Removed)})
	return nil
}

// exchangeChunk is one chunk of a large change: those it moves are settled before
// and due afterwards. Somebody may have been deleted since it was written down.
func (c *change) exchangeChunk(g *store.Group, edit store.MemberEdit, since time.Time) error {
	add, err := c.dir.Living(edit.Add)
	if err != nil {
		return err
	}
	m := moves{add: add, remove: edit.Remove}
	if err := c.settleFirst(append(slices.Clone(m.add), m.remove...)); err != nil {
		return err
	}
	touched, err := c.exchange(g, m, since)
	if err != nil || !c.looksAt(*g) {
		return err
	}
	c.due = c.due || len(touched) > 0
	return c.dir.MarkDue(touched)
}

// inTurn lets one chunk of large changes at a time hold the writer, of each connection
// in turn, so that whoever else writes waits for one at most, and nobody's large change
// for all that another has under way.
func (b *Bridge) inTurn(ctx context.Context, conn access.ConnectionID, fn func() error) error {
	if err := b.heavy.Enter(ctx, string(conn)); err != nil {
		return err
	}
	defer b.heavy.Leave(string(conn))
	return fn()
}

// carryOnAll carries out a chunk of every large change whose caller may have gone,
// and says how many there are.
func (b *Bridge) carryOnAll(ctx context.Context) (int, error) {
	var open []store.Group
	err := b.store.View(ctx, func(v *store.View) (err error) {
		open, err = v.Changing(chunk)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, g := range open {
		if _, err := b.carryOn(ctx, g); err != nil && !fault.Is(err, fault.NotFound) {
			return 0, err
		}
	}
	return len(open), nil
}
