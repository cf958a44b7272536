package oidctest

import (
	"context"
	"fmt"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// AddToGroup makes people members of a group, by name or object id, and sends the
// change in requests of at most 100 members.
func (i *IdP) AddToGroup(ctx context.Context, group string, people ...string) ([]Exchange, error) {
	joining, err := i.objectIDs(people)
	if err != nil {
		return nil, err
	}
	g, err := i.cfg.Directory.changeGroup(group, func(g *Group) {
		for _, oid := range joining {
			if !slices.Contains(g.Members, oid) {
				g.Members = append(g.Members, oid)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return i.toGroup("add to "+g.Name, g, func(d idp.Dialect, id string) error {
		return d.AddMembers(ctx, id, g, i.members(joining), i.members(g.Members))
	})
}

// RemoveFromGroup ends memberships and sends the change.
func (i *IdP) RemoveFromGroup(ctx context.Context, group string, people ...string) ([]Exchange, error) {
	leaving, err := i.objectIDs(people)
	if err != nil {
		return nil, err
	}
	g, err := i.cfg.Directory.changeGroup(group, func(g *Group) {
		g.Members = slices.DeleteFunc(g.Members, func(m string) bool { return slices.Contains(leaving, m) })
	})
	if err != nil {
		return nil, err
	}
	return i.toGroup("remove from "+g.Name, g, func(d idp.Dialect, id string) error {
		return d.RemoveMembers(ctx, id, g, i.members(leaving), i.members(g.Members))
	})
}

// RenameGroup changes a group's name and sends it.
func (i *IdP) RenameGroup(ctx context.Context, group, name string) ([]Exchange, error) {
	g, err := i.cfg.Directory.changeGroup(group, func(g *Group) { g.Name = name })
	if err != nil {
		return nil, err
	}
	return i.toGroup("rename "+group, g, func(d idp.Dialect, id string) error {
		return d.RenameGroup(ctx, id, g, i.members(g.Members))
	})
}

// AddGroup takes a new group into the directory and sends it with its members.
func (i *IdP) AddGroup(ctx context.Context, g Group) ([]Exchange, error) {
	if err := i.cfg.Directory.addGroup(g); err != nil {
		return nil, err
	}
	c := i.converse("add group " + g.Name)
	id, _, err := c.PushGroup(ctx, g, i.members(g.Members))
	if err == nil {
		i.link(g.ObjectID, id)
	}
	return c.sent, err
}

// PushGroup sends a group and all its members again: Okta's "Push now", or the
// object once more in an Entra cycle.
func (i *IdP) PushGroup(ctx context.Context, group string) ([]Exchange, error) {
	g, ok := i.cfg.Directory.FindGroup(group)
	if !ok {
		return nil, fmt.Errorf("oidctest: no group called %q is in the directory", group)
	}
	c := i.converse("push " + g.Name)
	id, _, err := c.PushGroup(ctx, g, i.members(g.Members))
	if err == nil {
		i.link(g.ObjectID, id)
	}
	return c.sent, err
}

// DeleteGroup removes a group from the directory and from the bridge.
func (i *IdP) DeleteGroup(ctx context.Context, group string) ([]Exchange, error) {
	g, ok := i.cfg.Directory.FindGroup(group)
	if !ok {
		return nil, fmt.Errorf("oidctest: no group called %q is in the directory", group)
	}
	i.cfg.Directory.removeGroup(g.ObjectID)
	sent, err := i.toGroup("delete group "+g.Name, g, func(d idp.Dialect, id string) error { return d.DeleteGroup(ctx, id) })
	i.link(g.ObjectID, "")
	return sent, err
}

func (i *IdP) toGroup(why string, g Group, send func(idp.Dialect, string) error) ([]Exchange, error) {
	id := i.RemoteID(g.ObjectID)
	if id == "" {
		return nil, nil // never sent: the next cycle sends it whole
	}
	c := i.converse(why)
	err := send(c, id)
	return c.sent, err
}

func (i *IdP) objectIDs(people []string) ([]string, error) {
	var out []string
	for _, name := range people {
		p, ok := i.cfg.Directory.Find(name)
		if !ok {
			return nil, fmt.Errorf("oidctest: nobody called %q is in the directory", name)
		}
		out = append(out, p.ObjectID)
	}
	return out, nil
}
