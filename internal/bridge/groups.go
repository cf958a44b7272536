package bridge

import (
	"context"
	"iter"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// groups is one connection's groups as SCIM sees them. Members are rows: a PATCH
// is a delta, and costs what it touches.
type groups struct {
	b    *Bridge
	conn access.ConnectionID
	rt   *schema.ResourceType

	change changer
	shared bool // change is a step of a transaction that others share
}

// NewID makes the id of a group that is not there yet.
func (g groups) NewID() string { return credential.NewIDAt("grp", g.b.now()) }

func (g groups) Create(ctx context.Context, in scim.Input) (scim.Resource, error) {
	if in.ID == "" {
		in.ID = g.NewID()
	}
	if err := g.rt.Created(in.Doc); err != nil {
		return scim.Resource{}, edge(err)
	}
	fresh := store.Group{ID: access.GroupID(in.ID), Connection: g.conn, Version: 1}
	fillGroup(&fresh, in.Doc)
	var made store.Group
	var did *change
	g.change = noted(g.change, &did)
	members := memberChange{edits: []patch.MemberEdit{{Kind: patch.AddMembers, IDs: in.Members, Index: wholeBody}}}
	err := g.insist(ctx, fresh, &members, func(c *change) error {
		made = fresh // fn may run again
		made.Created, made.Updated = c.now, c.now
		if err := c.dir.InsertGroup(&made); err != nil {
			return err
		}
		c.sayGroup(event.GroupProvisioned, made.ID)
		if err := c.followShared(made.ExternalID, made.Key); err != nil {
			return err
		}
		return c.moveMembers(&made, made.Version, &members)
	})
	if err == nil {
		made, err = g.b.finish(ctx, made)
	}
	if err != nil {
		return scim.Resource{}, edge(err)
	}
	r := g.resource(ctx, made, in.Want)
	r.Effect = did.effectOnGroup(made.DisplayName)
	return r, nil
}

func (g groups) Get(ctx context.Context, id string, w scim.Want) (scim.Resource, error) {
	var found store.Group
	err := g.b.read(ctx, g.conn, func(dir *store.Directory) (err error) {
		found, err = dir.Group(access.GroupID(id))
		return err
	})
	if err != nil {
		return scim.Resource{}, edgeID(err, id)
	}
	return g.resource(ctx, found, w), nil
}

func (g groups) List(ctx context.Context, q scim.Query) (scim.Page, error) {
	return page(ctx, g.b, g.conn, q, lister[store.Group]{numbered: (*store.Directory).Groups, walk: (*store.Directory).WalkGroups,
		resources: func(_ *store.Directory, rows []store.Group) ([]scim.Resource, error) {
			all := make([]scim.Resource, len(rows))
			for i, row := range rows {
				all[i] = g.resource(ctx, row, q.Want)
			}
			return all, nil
		},
		later: func(row store.Group) (string, bool) { return string(row.ID), row.Doc == nil },
		get:   func(ctx context.Context, id string) (scim.Resource, error) { return g.Get(ctx, id, q.Want) }})
}

func (g groups) Replace(ctx context.Context, id string, m scim.Match, in scim.Input) (scim.Resource, error) {
	var edits []patch.MemberEdit
	if in.HasMembers {
		edits = []patch.MemberEdit{{Kind: patch.ReplaceMembers, IDs: in.Members, Index: wholeBody}}
	}
	return g.update(ctx, id, m, in.Want, memberChange{edits: edits}, func(was store.Group) (schema.Object, error) { return replaced(g.rt, was.Doc, in.Doc) })
}

func (g groups) Patch(ctx context.Context, id string, m scim.Match, plan patch.Plan, w scim.Want) (scim.Resource, error) {
	members := memberChange{edits: plan.Members, only: len(plan.Edits) == 0 && m.Unconditional()}
	return g.update(ctx, id, m, w, members, func(was store.Group) (schema.Object, error) {
		if len(plan.Edits) == 0 {
			return nil, nil
		}
		doc, err := stored(was.Doc)
		if err != nil {
			return nil, err
		}
		return plan.Apply(doc)
	})
}

// update is every write to an existing group. edit returns nil when the document
// stays as it is.
func (g groups) update(ctx context.Context, id string, m scim.Match, w scim.Want, members memberChange, edit func(store.Group) (schema.Object, error)) (scim.Resource, error) {
	var now store.Group
	var did *change
	g.change = noted(g.joined(access.GroupID(id), &members, &now, &did), &did)
	err := g.insist(ctx, store.Group{ID: access.GroupID(id)}, &members, func(c *change) error {
		was, err := c.groupToChange(id, m)
		if err != nil {
			return err
		}
		doc, err := edit(was)
		if err != nil {
			return err
		}
		now, err = c.updateGroup(was, doc)
		if err != nil {
			return err
		}
		return c.moveMembers(&now, was.Version, &members)
	})
	if err == nil {
		now, err = g.b.finish(ctx, now)
	}
	if err != nil {
		return scim.Resource{}, edgeID(err, id)
	}
	r := g.resource(ctx, now, w)
	r.Effect = did.effectOnGroup(now.DisplayName)
	return r, nil
}

func (g groups) Delete(ctx context.Context, id string, m scim.Match) (*traffic.Effect, error) {
	var was store.Group
	var did *change
	g.change = noted(g.change, &did)
	err := g.insist(ctx, store.Group{ID: access.GroupID(id)}, nil, func(c *change) (err error) {
		if was, err = c.groupToChange(id, m); err != nil {
			return err
		}
		return c.deleteGroup(was)
	})
	if err != nil {
		return nil, edgeID(err, id)
	}
	return did.effectOnGroup(was.DisplayName), nil
}

// groupToChange reads the group that a request writes to; If-Match is held here. A
// group that a large change is moving waits for its end (insist).
func (c *change) groupToChange(id string, m scim.Match) (store.Group, error) {
	g, err := c.dir.Group(access.GroupID(id))
	switch {
	case err != nil:
		return g, err
	case !g.Changing.IsZero():
		return g, busy{g}
	case !m.Allows(g.Version):
		return g, scim.PreconditionFailed(g.Version)
	}
	return g, nil
}

func fillGroup(g *store.Group, doc schema.Object) {
	g.DisplayName = doc.Text("displayName")
	g.ExternalID = doc.Text("externalId")
	g.Doc = doc.Encode()
}

func (g groups) resource(ctx context.Context, row store.Group, w scim.Want) scim.Resource {
	r := scim.Resource{ID: string(row.ID), Version: row.Version, Created: row.Created, LastModified: row.Updated, Doc: row.Doc}
	if w.Relations {
		r.Relations = g.members(ctx, row)
	}
	return r
}

// memberPage is how many members are read at a time: short read transactions, so
// that a slow reader never pins the write-ahead log.
const memberPage = 1000

// members streams a group's members in the order in which they were provisioned.
func (g groups) members(ctx context.Context, row store.Group) iter.Seq2[scim.Relation, error] {
	return func(yield func(scim.Relation, error) bool) {
		var after store.PersonKey
		for {
			page, err := g.memberPage(ctx, row, after)
			if err != nil {
				yield(scim.Relation{}, edge(err))
				return
			}
			for _, m := range page {
				if !yield(scim.Relation{ID: string(m.Person), Display: m.Display}, nil) {
					return
				}
				after = m.Key
			}
			if len(page) < memberPage {
				return
			}
		}
	}
}

func (g groups) memberPage(ctx context.Context, row store.Group, after store.PersonKey) ([]store.Member, error) {
	var page []store.Member
	err := g.b.read(ctx, g.conn, func(dir *store.Directory) (err error) {
		page, err = dir.Members(row, after, memberPage)
		return err
	})
	return page, err
}
