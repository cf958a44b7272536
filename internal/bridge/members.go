package bridge

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// updateGroup writes the document and follows a rename: rules may be bound to the
// old name or the new one, so every member is decided anew: here, or behind a fence
// where they are many.
func (c *change) updateGroup(was store.Group, doc schema.Object) (store.Group, error) {
	if doc == nil {
		return was, nil
	}
	g := was
	fillGroup(&g, doc)
	if bytes.Equal(g.Doc, was.Doc) {
		return was, nil
	}
	g.Version++
	g.Updated = c.now
	if err := c.dir.UpdateGroup(g); err != nil {
		return g, err
	}
	if g.DisplayName == was.DisplayName && g.ExternalID == was.ExternalID {
		c.sayGroup(event.GroupChanged, g.ID)
		return g, nil
	}
	if err := c.dir.KeepFormer(was, false, c.now); err != nil {
		return g, err
	}
	said := event.GroupRenamed
	if g.DisplayName == was.DisplayName {
		said = event.GroupChanged
	}
	data := map[string]string{"group": string(g.ID)}
	c.noteRules(data, was, g)
	c.say(said, "", data)
	if g.ExternalID != was.ExternalID {
		if err := c.followShared(was.ExternalID, g.Key); err != nil {
			return g, err
		}
		if err := c.followShared(g.ExternalID, g.Key); err != nil {
			return g, err
		}
	}
	if planted.Bug(planted.RenameKeepsGrants) || !c.looksAt(was) && !c.looksAt(g) {
		return g, nil
	}
	return g, c.decideMembers(g)
}

// followShared decides the members of the other groups that hold an externalId:
// whether a group_id names one group or several has just changed.
func (c *change) followShared(externalID string, except store.GroupKey) error {
	if externalID == "" {
		return nil
	}
	holders, err := c.dir.GroupsByExternalID(externalID)
	if err != nil {
		return err
	}
	inline := int64(0) // members decided here: of all holders together as few as of one
	for _, h := range holders {
		if h.Key == except || !c.looksAt(h) {
			continue
		}
		if inline += h.MemberCount; inline > inlinePeople {
			err = c.fence(h)
		} else {
			err = c.decideMembers(h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fence makes what a group's members hold count for nothing until they have been
// decided anew.
func (c *change) fence(g store.Group) error {
	c.due = true
	return c.dir.FenceGroup(g)
}

func (c *change) looksAt(g store.Group) bool {
	return c.policy.LooksAt(c.conn, g.DisplayName, g.ExternalID)
}

// decideMembers decides a small group's members now; a large group is fenced.
func (c *change) decideMembers(g store.Group) error {
	if g.MemberCount > inlinePeople {
		return c.fence(g)
	}
	keys, err := c.dir.MemberKeys(g)
	if err != nil {
		return err
	}
	return c.decideTouched(keys)
}

// moveMembers applies member edits in order, as one set difference: a member that
// is removed and added again in one request keeps the instant it joined. at is the
// group's version before this request touched it.
func (c *change) moveMembers(g *store.Group, at int64, members *memberChange) error {
	if members.none() {
		return nil
	}
	moves, err := members.moves(&c.dir.Directory, *g, at)
	if err != nil {
		return err
	}
	if err := c.meetUnknown(g, moves.unknown); err != nil {
		return err
	}
	if len(moves.add)+len(moves.remove) > inlinePeople && members.prepared != nil {
		return c.beginLarge(g, moves)
	}
	if members.prepared != nil { // somebody may have been deleted since
		if moves.add, err = c.dir.Living(moves.add); err != nil {
			return err
		}
	}
	if err := c.settleFirst(append(slices.Clone(moves.add), moves.remove...)); err != nil {
		return err
	}
	touched, err := c.exchange(g, moves, c.now)
	if err != nil || !c.looksAt(*g) {
		return err
	}
	return c.decideKeys(touched)
}

// exchange moves the rows of settled people, says so, and gives those it moved.
func (c *change) exchange(g *store.Group, m moves, since time.Time) ([]store.PersonKey, error) {
	done, err := c.dir.MoveMembers(g, []store.Move{{Add: m.add, Remove: m.remove}}, since)
	if err != nil {
		return nil, err
	}
	return done[0].Keys(), c.tellMoved(g.ID, done[0], since)
}

// tellMoved says who left a group, and who came and is a member since an instant.
func (c *change) tellMoved(group access.GroupID, done store.Moved, since time.Time) error {
	if err := c.sayLeft(group, done.Removed, c.now); err != nil {
		return err
	}
	return c.sayJoined(group, done.Added, moved{since: since})
}

// decideKeys decides settled people whom a change has just touched. Too many for one
// transaction are left due.
func (c *change) decideKeys(keys []store.PersonKey) error {
	return c.decideEach(keys, nil)
}

// decideTouched is decideKeys for people who may have been undecided before the
// change: those it has touched a second time.
func (c *change) decideTouched(keys []store.PersonKey) error {
	if len(keys) > inlinePeople {
		return c.decideKeys(keys)
	}
	undecided, err := c.dir.Unsettled(keys, c.now)
	if err != nil {
		return err
	}
	return c.decideEach(keys, undecided)
}

func (c *change) decideEach(keys []store.PersonKey, undecided []store.Person) error {
	if len(keys) > inlinePeople {
		c.due = true
		return c.dir.MarkDue(keys)
	}
	people, err := c.dir.PeopleByKey(keys)
	if err != nil {
		return err
	}
	settled := make([]store.Person, 0, len(people))
	for _, p := range people {
		if !slices.ContainsFunc(undecided, func(u store.Person) bool { return u.Key == p.Key }) {
			settled = append(settled, p)
			continue
		}
		if err := c.settleTwice(p); err != nil {
			return err
		}
	}
	return c.decideAll(settled)
}

func (c *change) settleTwice(p store.Person) error {
	fences, err := c.dir.Fences(p)
	if err != nil {
		return err
	}
	return c.settleAfter(p, fences+1)
}

func (c *change) sayGroup(t event.Type, id access.GroupID) {
	c.say(t, "", map[string]string{"group": string(id)})
}

// moved are the instants of memberships that are told apart from the event that tells
// them: where a large change is told in chunks.
type moved struct {
	since time.Time // who joined counts as a member from then on
	at    time.Time // when the change took effect
}

func (c *change) sayJoined(group access.GroupID, keys []store.PersonKey, m moved) error {
	if len(keys) == 0 {
		return nil
	}
	ids, err := c.dir.IDs(keys)
	for _, id := range ids {
		data := map[string]string{"group": string(group)}
		if !m.since.Equal(c.now) {
			noteInstant(data, "since", m.since)
		}
		if !m.at.Equal(c.now) {
			noteInstant(data, "at", m.at)
		}
		c.say(event.MemberAdded, id, data)
	}
	return err
}

// sayLeft records who left a group, and since when each had been in it: restore puts
// that back with the membership. at is when the change took effect.
func (c *change) sayLeft(group access.GroupID, left []store.Joined, at time.Time) error {
	if len(left) == 0 {
		return nil
	}
	left = slices.SortedFunc(slices.Values(left), func(a, b store.Joined) int { return cmp.Compare(a.Key, b.Key) })
	ids, err := c.dir.IDs(store.KeysOf(left)) // in the order of keys
	if err == nil && len(ids) != len(left) {
		return fault.New(fault.Internal, "bridge.sayLeft", "a membership of nobody")
	}
	for i, id := range ids {
		data := map[string]string{"group": string(group)}
		noteInstant(data, "since", left[i].Since)
		if !at.Equal(c.now) {
			noteInstant(data, "at", at)
		}
		c.say(event.MemberRemoved, id, data)
	}
	return err
}

// deleteGroup removes a small group with its memberships; a large one dissolves:
// it is gone at once, whoever was in it is refused until decided anew, and the rows
// go in chunks that never hold the writer for long.
func (c *change) deleteGroup(g store.Group) error {
	if err := c.sayDeleted(g); err != nil {
		return err
	}
	if err := c.dir.KeepFormer(g, true, c.now); err != nil {
		return err
	}
	if g.MemberCount > inlinePeople {
		c.moving, c.due = moving{out: int(g.MemberCount)}, true
		if err := c.dir.DissolveGroup(g, c.now); err != nil {
			return err
		}
		return c.followShared(g.ExternalID, g.Key)
	}
	left, err := c.dir.Memberships(g)
	if err != nil {
		return err
	}
	if err := c.dir.DeleteGroup(g); err != nil {
		return err
	}
	if err := c.followShared(g.ExternalID, g.Key); err != nil {
		return err
	}
	if err := c.sayLeft(g.ID, left, c.now); err != nil || !c.looksAt(g) {
		return err
	}
	return c.decideTouched(store.KeysOf(left))
}

// mostRulesNamed bounds the rules that an event names.
const mostRulesNamed = 50

// noteRules adds which rules a group entered and left by its new name or externalId.
func (c *change) noteRules(data map[string]string, was, g store.Group) {
	fed := func(g store.Group) (rules []string) {
		for _, f := range c.policy.Feeds(c.conn, g.DisplayName, g.ExternalID) {
			if !f.Unknown && !slices.Contains(rules, f.Rule) {
				rules = append(rules, f.Rule)
			}
		}
		return rules
	}
	before, after := fed(was), fed(g)
	note := func(key string, some, others []string) {
		only := slices.DeleteFunc(slices.Clone(some), func(id string) bool { return slices.Contains(others, id) })
		if len(only) > 0 {
			data[key] = strings.Join(only[:min(len(only), mostRulesNamed)], " ")
		}
	}
	note("rules_entered", after, before)
	note("rules_left", before, after)
}
