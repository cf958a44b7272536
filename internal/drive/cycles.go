package drive

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// initial sends everybody, then every group with its members: references come last.
func (d *Drive) initial(ctx context.Context, cancel context.CancelCauseFunc) error {
	if d.opts.Bulk {
		return d.initialInBulk(ctx, cancel)
	}
	d.each(ctx, cancel, "people", d.opts.People, int64(d.opts.People), func(ctx context.Context, n int) (int64, error) {
		return 1, d.pushPerson(ctx, n)
	})
	d.each(ctx, cancel, "memberships", d.opts.Groups, int64(d.opts.Memberships), d.pushGroup)
	return nil
}

// pushPerson matches, then creates or updates, and remembers the server's id.
func (d *Drive) pushPerson(ctx context.Context, n int) error {
	p := d.dir.person(n, d.opts.Round)
	id, did, err := d.speak.PushPerson(ctx, p)
	if err != nil {
		return fmt.Errorf("%s: %w", p.UserName, err)
	}
	d.ids[n] = id
	d.note(func(r *Report) { r.People.add(did) })
	return nil
}

// pushGroup sends a group whole. Whoever could not be sent is left out of it, as
// the vendors do with people out of scope.
func (d *Drive) pushGroup(ctx context.Context, g int) (int64, error) {
	group, members := d.dir.group(g), d.known(d.dir.membersOf(g, d.opts.Round))
	_, did, err := d.speak.PushGroup(ctx, group, members)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", group.Name, err)
	}
	d.memberships.Add(int64(len(members)))
	d.note(func(r *Report) { r.Groups.add(did) })
	return int64(len(members)), nil
}

// known are those of a window whose id has been learnt.
func (d *Drive) known(w window) []idp.Member {
	out := make([]idp.Member, 0, w.count)
	for i := range w.count {
		n := w.at(i)
		m := idp.Member{ID: d.ids[n]}
		if m.ID == "" {
			continue
		}
		if d.opts.Vendor == VendorOkta { // Entra sends no names with members
			m.Display = d.dir.person(n, d.opts.Round).UserName
		}
		out = append(out, m)
	}
	return out
}

// incremental sends the people who have changed, and those who move from one group
// to another; then who left and who joined. A round that was sent already changes
// nothing when it is sent again.
func (d *Drive) incremental(ctx context.Context, cancel context.CancelCauseFunc) error {
	affected := d.affected(d.opts.Round)
	d.each(ctx, cancel, "people", len(affected), int64(len(affected)), func(ctx context.Context, i int) (int64, error) {
		return 1, d.pushPerson(ctx, affected[i])
	})
	var moving int64
	for g := range d.opts.Groups {
		moving += 2 * int64(d.dir.leaving(g, d.opts.Round).count)
	}
	d.each(ctx, cancel, "memberships", d.opts.Groups, moving, d.moveMembers)
	return nil
}

// affected are the numbers of the people whom a round changes or moves.
func (d *Drive) affected(round int) []int {
	first, count := d.dir.changed(round)
	windows := []window{{first: first, count: count, people: d.opts.People}}
	for g := range d.opts.Groups {
		windows = append(windows, d.dir.leaving(g, round), d.dir.joining(g, round))
	}
	return numbers(windows)
}

// numbers are the people of all windows, each once, in order.
func numbers(windows []window) []int {
	in := map[int]bool{}
	for _, w := range windows {
		for i := range w.count {
			in[w.at(i)] = true
		}
	}
	out := make([]int, 0, len(in))
	for n := range in {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func (d *Drive) moveMembers(ctx context.Context, g int) (int64, error) {
	group := d.dir.group(g)
	leaving, joining := d.known(d.dir.leaving(g, d.opts.Round)), d.known(d.dir.joining(g, d.opts.Round))
	if len(leaving)+len(joining) == 0 {
		return 0, nil
	}
	found, err := d.findGroup(ctx, group.Name)
	switch {
	case err != nil:
		return 0, err
	case found.ID == "":
		return 0, fmt.Errorf("the server does not know %q: %w", group.Name, errAbsent)
	}
	if err := d.speak.RemoveMembers(ctx, found.ID, group, leaving, nil); err != nil {
		return 0, fmt.Errorf("%s: %w", group.Name, err)
	}
	if err := d.speak.AddMembers(ctx, found.ID, group, joining, nil); err != nil {
		return 0, fmt.Errorf("%s: %w", group.Name, err)
	}
	d.note(func(r *Report) {
		r.Groups.Updated++
		r.Left += len(leaving)
		r.Joined += len(joining)
	})
	return int64(len(leaving) + len(joining)), nil
}

// far is what an answer says about somebody or something there.
type far struct {
	ID         string `json:"id"`
	ExternalID string `json:"externalId"`
	UserName   string `json:"userName"`
	Active     bool   `json:"active"`
	Members    []struct {
		Value string `json:"value"`
	} `json:"members"`
}

type farList struct {
	Resources []far `json:"Resources"`
}

// findGroup looks a group up as the vendor does; its id is "" if there is none.
func (d *Drive) findGroup(ctx context.Context, name string) (far, error) {
	return d.find(ctx, name, idp.LookUpGroup(d.opts.Vendor, name))
}

func (d *Drive) findPerson(ctx context.Context, n int) (far, error) {
	p := d.dir.person(n, d.opts.Round)
	return d.find(ctx, p.UserName, idp.LookUpPerson(d.opts.Vendor, p.UserName))
}

func (d *Drive) find(ctx context.Context, what, path string) (far, error) {
	var list farList
	if err := d.send.Send(ctx, "GET", path, nil, &list); err != nil {
		return far{}, fmt.Errorf("%s: %w", what, err)
	}
	switch len(list.Resources) {
	case 0:
		return far{}, nil
	case 1:
		return list.Resources[0], nil
	}
	return far{}, fmt.Errorf("%s: the server knows %d of them", what, len(list.Resources))
}

// cleanUp deletes what the other cycles made, groups first. It is this tool's and
// no vendor's: Okta never deletes anybody. A group of a given name is deleted only
// if its externalId says that it was made here; another may have been there before.
func (d *Drive) cleanUp(ctx context.Context, cancel context.CancelCauseFunc) error {
	d.each(ctx, cancel, "groups", d.opts.Groups, int64(d.opts.Groups), func(ctx context.Context, g int) (int64, error) {
		group := d.dir.group(g)
		found, err := d.findGroup(ctx, group.Name)
		if err != nil || found.ID == "" {
			return 1, err
		}
		if g < len(d.opts.GroupNames) && found.ExternalID != group.ObjectID {
			d.note(func(r *Report) { r.GroupsLeft = append(r.GroupsLeft, group.Name) })
			return 1, nil
		}
		return 1, d.remove(ctx, "/Groups/", found.ID, func(r *Report) { r.Groups.Deleted++ })
	})
	d.each(ctx, cancel, "people", d.opts.People, int64(d.opts.People), func(ctx context.Context, n int) (int64, error) {
		found, err := d.findPerson(ctx, n)
		if err != nil || found.ID == "" {
			return 1, err
		}
		return 1, d.remove(ctx, "/Users/", found.ID, func(r *Report) { r.People.Deleted++ })
	})
	return nil
}

func (d *Drive) remove(ctx context.Context, below, id string, then func(*Report)) error {
	if err := d.send.Send(ctx, "DELETE", below+url.PathEscape(id), nil, nil); err != nil {
		return err
	}
	d.note(then)
	return nil
}

func (d *Drive) note(edit func(*Report)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	edit(&d.report)
}
