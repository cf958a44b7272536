package drive

import (
	"context"
	"fmt"
	"net/url"
)

// comeback is a person who goes and comes back, with what must be the same after it.
type comeback struct {
	n       int
	id      string
	deleted bool // the account is deleted softly and matched anew; else it is disabled, and the link is kept
}

// restore makes a share of the people go and come back: every other one is disabled
// and enabled, the others are deleted softly and restored. No vendor sends their
// memberships again, so they must still be there, on the same id.
func (d *Drive) restore(ctx context.Context, cancel context.CancelCauseFunc) error {
	people := d.leavers(ctx, cancel)
	groups := d.groupsOf(d.dir.part(d.opts.People))
	before := d.readMembers(ctx, cancel, "members before", groups, people)
	d.forEach(ctx, cancel, "going", people, func(ctx context.Context, c comeback) error {
		on, off := d.dir.person(c.n, d.opts.Round), d.dir.person(c.n, d.opts.Round)
		off.Active = false
		if err := d.speak.UpdatePerson(ctx, c.id, on, off); err != nil {
			return fmt.Errorf("%s: %w", on.UserName, err)
		}
		d.note(func(r *Report) { r.Gone++ })
		return nil
	})
	d.forEach(ctx, cancel, "check of who went", people, d.checkGone)
	d.forEach(ctx, cancel, "coming back", people, d.comeBack)
	d.forEach(ctx, cancel, "check of who is back", people, d.checkBack)
	after := d.readMembers(ctx, cancel, "members after", groups, people)
	if ctx.Err() != nil {
		return nil
	}
	d.compare(groups, before, after)
	return nil
}

// leavers are the people of the share, looked up. Whoever is not there is a failure.
func (d *Drive) leavers(ctx context.Context, cancel context.CancelCauseFunc) []comeback {
	share := make([]comeback, d.dir.part(d.opts.People))
	d.each(ctx, cancel, "lookup", len(share), int64(len(share)), func(ctx context.Context, n int) (int64, error) {
		found, err := d.findPerson(ctx, n)
		if err == nil && found.ID == "" {
			err = fmt.Errorf("the server does not know %s: %w", d.dir.person(n, d.opts.Round).UserName, errAbsent)
		}
		share[n] = comeback{n: n, id: found.ID, deleted: n%2 == 1}
		return 1, err
	})
	var out []comeback
	for _, c := range share {
		if c.id != "" {
			out = append(out, c)
		}
	}
	return out
}

func (d *Drive) forEach(ctx context.Context, cancel context.CancelCauseFunc, name string, people []comeback, do func(context.Context, comeback) error) {
	d.each(ctx, cancel, name, len(people), int64(len(people)), func(ctx context.Context, i int) (int64, error) {
		return 1, do(ctx, people[i])
	})
}

// checkGone wants everybody to be found all the same, on their id: a vendor who does
// not find somebody creates them again.
func (d *Drive) checkGone(ctx context.Context, c comeback) error {
	found, err := d.findPerson(ctx, c.n)
	if err == nil && (found.ID != c.id || found.Active) {
		d.lost("%s is not found as inactive: id %q instead of %q, active %t", d.dir.person(c.n, d.opts.Round).UserName, found.ID, c.id, found.Active)
	}
	return err
}

// comeBack enables on the id that is remembered, or matches again as if it were not.
func (d *Drive) comeBack(ctx context.Context, c comeback) error {
	on, off := d.dir.person(c.n, d.opts.Round), d.dir.person(c.n, d.opts.Round)
	off.Active = false
	if !c.deleted {
		if err := d.speak.UpdatePerson(ctx, c.id, off, on); err != nil {
			return fmt.Errorf("%s: %w", on.UserName, err)
		}
		return nil
	}
	id, _, err := d.speak.PushPerson(ctx, on)
	if err != nil {
		return fmt.Errorf("%s: %w", on.UserName, err)
	}
	if id != c.id {
		d.lost("%s came back as somebody else: %s instead of %s", on.UserName, id, c.id)
	}
	return nil
}

func (d *Drive) checkBack(ctx context.Context, c comeback) error {
	found, err := d.findPerson(ctx, c.n)
	if err != nil {
		return err
	}
	if found.ID != c.id || !found.Active {
		d.lost("%s is not back: id %q instead of %q, active %t", d.dir.person(c.n, d.opts.Round).UserName, found.ID, c.id, found.Active)
		return nil
	}
	d.note(func(r *Report) { r.Back++ })
	return nil
}

// lost keeps what a restored person should have kept.
func (d *Drive) lost(format string, args ...any) {
	d.note(func(r *Report) {
		r.Lost++
		if len(r.Losses) < told {
			r.Losses = append(r.Losses, fmt.Sprintf(format, args...))
		}
	})
}

// groupsOf are the numbers of the groups that any of the first n people are in.
func (d *Drive) groupsOf(n int) []int {
	var out []int
	for g := range d.opts.Groups {
		w := d.dir.membersOf(g, d.opts.Round)
		if first := w.first % w.people; w.count > 0 && (first < n || first+w.count > w.people) {
			out = append(out, g)
		}
	}
	return out
}

// readMembers reads groups whole, and keeps which of these people are in each.
func (d *Drive) readMembers(ctx context.Context, cancel context.CancelCauseFunc, name string, groups []int, people []comeback) []map[string]bool {
	ours := map[string]bool{}
	for _, c := range people {
		ours[c.id] = true
	}
	out := make([]map[string]bool, len(groups))
	d.each(ctx, cancel, name, len(groups), int64(len(groups)), func(ctx context.Context, i int) (int64, error) {
		found, err := d.findGroup(ctx, d.dir.group(groups[i]).Name)
		if err != nil || found.ID == "" {
			return 1, err
		}
		var whole far
		if err := d.send.Send(ctx, "GET", "/Groups/"+url.PathEscape(found.ID), nil, &whole); err != nil {
			return 0, err
		}
		in := map[string]bool{}
		for _, m := range whole.Members {
			if ours[m.Value] {
				in[m.Value] = true
			}
		}
		out[i] = in
		return 1, nil
	})
	return out
}

// compare counts every membership that was there before and is not there after.
func (d *Drive) compare(groups []int, before, after []map[string]bool) {
	for i, g := range groups {
		if after[i] == nil {
			continue // it could not be read: that is counted as a failure
		}
		for id := range before[i] {
			if after[i][id] {
				d.note(func(r *Report) { r.Kept++ })
			} else {
				d.lost("%s is no longer in %s", id, d.dir.group(g).Name)
			}
		}
	}
}
