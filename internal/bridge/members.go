package bridge

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/patch"
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
	c.sayGroup(event.GroupRenamed, g.ID)
	if g.ExternalID != was.ExternalID {
		if err := c.followShared(was.ExternalID, g.Key); err != nil {
			return g, err
		}
		if err := c.followShared(g.ExternalID, g.Key); err != nil {
			return g, err
		}
	}
	if !c.looksAt(was) && !c.looksAt(g) {
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
// is removed and added again in one request keeps the instant it joined.
func (c *change) moveMembers(g *store.Group, edits []patch.MemberEdit) error {
	if len(edits) == 0 {
		return nil
	}
	add, remove, err := c.membersAfter(*g, edits)
	if err != nil {
		return err
	}
	if err := c.settleFirst(append(slices.Clone(add), remove...)); err != nil {
		return err
	}
	removed, err := c.dir.RemoveMembers(g, remove, c.now)
	if err != nil {
		return err
	}
	added, err := c.dir.AddMembers(g, add, c.now)
	if err != nil {
		return err
	}
	if err := c.sayMembers(*g, event.MemberRemoved, removed); err != nil {
		return err
	}
	if err := c.sayMembers(*g, event.MemberAdded, added); err != nil {
		return err
	}
	if !c.looksAt(*g) {
		return nil
	}
	return c.decideKeys(append(removed, added...))
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
	for _, p := range people {
		decide := c.decide
		if slices.ContainsFunc(undecided, func(u store.Person) bool { return u.Key == p.Key }) {
			decide = c.settleTwice
		}
		if err := decide(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *change) settleTwice(p store.Person) error {
	fences, err := c.dir.Fences(p)
	if err != nil {
		return err
	}
	return c.settleAfter(p, fences+1)
}

// membersAfter turns edits into who must be there and who must not. Ids that name
// nobody in this connection are left out and reported, never fatal to the rest.
func (c *change) membersAfter(g store.Group, edits []patch.MemberEdit) (add, remove []store.PersonKey, err error) {
	var named []access.PersonID
	for _, e := range edits {
		for _, id := range e.IDs {
			named = append(named, access.PersonID(id))
		}
	}
	known, err := c.dir.Keys(named)
	if err != nil {
		return nil, nil, err
	}
	c.sayUnknown(g, named, known)
	want := map[store.PersonKey]bool{}
	for _, e := range edits {
		if err := c.mark(want, g, e, known); err != nil {
			return nil, nil, err
		}
	}
	for key, present := range want {
		if present {
			add = append(add, key)
		} else {
			remove = append(remove, key)
		}
	}
	slices.Sort(add)
	slices.Sort(remove)
	return add, remove, nil
}

func (c *change) mark(want map[store.PersonKey]bool, g store.Group, e patch.MemberEdit, known map[access.PersonID]store.PersonKey) error {
	if e.Kind == patch.ReplaceMembers || e.Kind == patch.RemoveAllMembers {
		if len(e.IDs) > 0 && !slices.ContainsFunc(e.IDs, func(id string) bool { return known[access.PersonID(id)] != 0 }) {
			return scim.Invalid(scim.TypeInvalidValue, "Operation "+strconv.Itoa(e.Index)+": none of the members is known here; send ids that this server returned. Nothing was changed.")
		}
		there, err := c.dir.MemberKeys(g)
		if err != nil {
			return err
		}
		for _, key := range there {
			want[key] = false
		}
		for key := range want {
			want[key] = false
		}
	}
	for _, id := range e.IDs {
		if key := known[access.PersonID(id)]; key != 0 {
			want[key] = e.Kind != patch.RemoveMembers
		}
	}
	return nil
}

// unknownShown is how many unknown member ids one event spells out.
const unknownShown = 20

// sayUnknown records ids that name nobody here: deleted or foreign people, which
// look the same. They are ours to make, so they will never come to exist.
func (c *change) sayUnknown(g store.Group, named []access.PersonID, known map[access.PersonID]store.PersonKey) {
	var lost []string
	for _, id := range named {
		if known[id] == 0 {
			lost = append(lost, string(id))
		}
	}
	if len(lost) == 0 {
		return
	}
	e := fact(event.MemberUnknown, c.by, c.conn, "", c.now, map[string]string{"group": string(g.ID), "count": strconv.Itoa(len(lost))})
	e.Personal = map[string]string{"members": strings.Join(lost[:min(len(lost), unknownShown)], " ")}
	c.events = append(c.events, e)
}

func (c *change) sayGroup(t event.Type, id access.GroupID) {
	c.say(t, "", map[string]string{"group": string(id)})
}

func (c *change) sayMembers(g store.Group, t event.Type, keys []store.PersonKey) error {
	if len(keys) == 0 {
		return nil
	}
	ids, err := c.dir.IDs(keys)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c.say(t, id, map[string]string{"group": string(g.ID)})
	}
	return nil
}

// deleteGroup removes a small group with its memberships; a large one dissolves:
// it is gone at once, whoever was in it is refused until decided anew, and the rows
// go in chunks that never hold the writer for long.
func (c *change) deleteGroup(g store.Group) error {
	c.sayGroup(event.GroupDeleted, g.ID)
	if g.MemberCount > inlinePeople {
		c.due = true
		if err := c.dir.DissolveGroup(g, c.now); err != nil {
			return err
		}
		return c.followShared(g.ExternalID, g.Key)
	}
	keys, err := c.dir.MemberKeys(g)
	if err != nil {
		return err
	}
	if err := c.dir.DeleteGroup(g); err != nil {
		return err
	}
	if err := c.followShared(g.ExternalID, g.Key); err != nil {
		return err
	}
	if err := c.sayMembers(g, event.MemberRemoved, keys); err != nil || !c.looksAt(g) {
		return err
	}
	return c.decideTouched(keys)
}
