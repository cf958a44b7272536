package bridge

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// RestoreOrder asks for exactly one plan.
type RestoreOrder struct {
	Connection access.ConnectionID
	At         time.Time
	Groups     []access.GroupID
	Plan       string // its hash
	Author     string
	Approvals  Approvals // of what guards refuse, as of a policy's plan
	Reason     string    // why; required where something is approved
}

// restoreTries is how often a plan is made anew when something moved between reading
// and writing that the plan does not say.
const restoreTries = 3

// Restore carries out a plan, as it was shown: fault.Stale if it would be another by
// now, fault.Denied with ReasonGuard if a guard refuses what is not approved, as it would
// a policy's plan. All of it is decided by one small transaction,
// and carried out in chunks like any large change of members; after a crash the next
// start goes on.
func (b *Bridge) Restore(ctx context.Context, o RestoreOrder) (*RestorePlan, error) {
	const op = "bridge.Restore"
	if err := o.Approvals.explained(op, o.Reason); err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		p, err := b.PlanRestore(ctx, o.Connection, o.At, o.Groups)
		if err != nil {
			return nil, err
		}
		if p.Hash != o.Plan {
			return p, fault.New(fault.Stale, op, "this is no longer what would happen: the plan is %s by now. Look at it, and restore by its hash", p.Hash)
		}
		if left := o.Approvals.refused(p.Guards); len(left) > 0 {
			return p, refusedByGuards(op, left)
		}
		began, err := b.beginRestore(ctx, p, o)
		if fault.Is(err, fault.Stale) && try < restoreTries {
			continue
		}
		if err != nil {
			return p, err
		}
		for _, g := range began {
			if _, err := b.finish(ctx, g); err != nil {
				return p, err // it is decided, and goes on in the background
			}
		}
		return p, nil
	}
}

// beginRestore writes the plan down, if everything is still as it was planned.
func (b *Bridge) beginRestore(ctx context.Context, p *RestorePlan, o RestoreOrder) (began []store.Group, err error) {
	if len(p.work) == 0 {
		return nil, nil
	}
	err = b.change(ctx, p.Connection, event.ByAdministrator, func(c *change) error {
		began = nil
		if c.policy.version != p.policy {
			return fault.New(fault.Stale, "bridge.Restore", "another policy was applied meanwhile")
		}
		joined, left := 0, 0
		for _, w := range p.work {
			g, err := c.beginGroup(w)
			if err != nil {
				return err
			}
			began = append(began, g)
			joined, left = joined+len(w.set), left+len(w.remove)
		}
		c.due = true
		data := map[string]string{"to": p.At.Format(time.RFC3339Nano), "plan": p.Hash, "groups": strconv.Itoa(len(p.work)), "joined": strconv.Itoa(joined), "left": strconv.Itoa(left)}
		o.Approvals.note(data)
		c.say(event.ConnectionRestored, "", data)
		c.events[len(c.events)-1].Personal = o.personal()
		return nil
	})
	return began, err
}

// personal is who ordered it, and why: words of people's own.
func (o RestoreOrder) personal() map[string]string {
	said := map[string]string{}
	for name, text := range map[string]string{"author": o.Author, "reason": o.Reason} {
		if text != "" {
			said[name] = text
		}
	}
	return said
}

func (c *change) beginGroup(w groupWork) (store.Group, error) {
	const op = "bridge.Restore"
	g, err := c.dir.Group(w.id)
	if w.returns {
		if err == nil {
			return g, fault.New(fault.Stale, op, "group %s is here again", w.id)
		}
		if g, err = c.bringBack(w); err != nil {
			return g, err
		}
	} else if err != nil || g.Version != w.now.Version || !g.Changing.IsZero() {
		if err == nil || fault.Is(err, fault.NotFound) {
			err = fault.New(fault.Stale, op, "group %s has moved", w.id)
		}
		return g, err
	}
	if w.rename {
		if g, err = c.nameAgain(g, w.then); err != nil {
			return g, err
		}
	}
	edits := restoreEdits(w)
	if len(edits) == 0 {
		return g, nil
	}
	for i := range edits {
		edits[i].By, edits[i].Request = event.ByAdministrator, c.request
	}
	return g, c.dir.BeginEdits(&g, edits, c.now)
}

// bringBack makes a deleted group be there again, under its own id, without members.
func (c *change) bringBack(w groupWork) (store.Group, error) {
	g := w.then.Group
	g.Version++
	g.Updated = c.now
	err := c.dir.InsertGroup(&g)
	if fault.Is(err, fault.Conflict) {
		return g, fault.New(fault.Stale, "bridge.Restore", "the name or the id of group %s is taken", w.id)
	}
	if err != nil {
		return g, err
	}
	c.sayGroup(event.GroupRestored, g.ID)
	return g, c.followShared(g.ExternalID, g.Key)
}

// nameAgain gives a group the name and externalId it had.
func (c *change) nameAgain(g store.Group, then store.FormerGroup) (store.Group, error) {
	doc, err := stored(g.Doc)
	if err != nil {
		return g, err
	}
	doc = doc.Clone()
	doc["displayName"] = then.DisplayName
	delete(doc, "externalId")
	if then.ExternalID != "" {
		doc["externalId"] = then.ExternalID
	}
	next, err := c.updateGroup(g, doc)
	if fault.Is(err, fault.Conflict) {
		return g, fault.New(fault.Stale, "bridge.Restore", "the name of group %s is taken", g.ID)
	}
	return next, err
}

// restoreEdits lets those go first who leave.
func restoreEdits(w groupWork) (edits []store.MemberEdit) {
	for part := range slices.Chunk(w.remove, chunk) {
		edits = append(edits, store.MemberEdit{Remove: part})
	}
	for part := range slices.Chunk(w.set, chunk) {
		edits = append(edits, store.MemberEdit{Restore: part})
	}
	return edits
}

// restoreChunk makes people members since the instants they had been. Somebody may have
// been deleted since it was written down: nobody comes back from that.
func (c *change) restoreChunk(g *store.Group, all []store.Joined) error {
	living, err := c.dir.Living(store.KeysOf(all))
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(j store.Joined) bool { return !slices.Contains(living, j.Key) })
	if len(all) == 0 {
		return nil
	}
	if err := c.settleFirst(store.KeysOf(all)); err != nil {
		return err
	}
	were, err := c.dir.RestoreMembers(g, all, c.now)
	if err != nil {
		return err
	}
	if err := c.sayLeft(g.ID, were, c.now); err != nil {
		return err
	}
	ids, err := c.dir.IDs(store.KeysOf(all)) // in the order of keys, as all is
	if err != nil {
		return err
	}
	for i, id := range ids {
		data := map[string]string{"group": string(g.ID), "restored": "true"}
		noteInstant(data, "since", all[i].Since)
		c.say(event.MemberAdded, id, data)
	}
	if !c.looksAt(*g) {
		return nil
	}
	c.due = true
	return c.dir.MarkDue(store.KeysOf(all))
}
