package bridge

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Roll is who was in a group at an instant.
type Roll struct {
	At         time.Time           `json:"at"`
	Connection access.ConnectionID `json:"connection"`
	Group      access.GroupID      `json:"group"`
	Name       string              `json:"name,omitzero" doc:"as it is now; empty if the group is gone"`
	Deleted    time.Time           `json:"deleted,omitzero" doc:"when the group was deleted"`
	Total      int64               `json:"total"`
	Members    []MemberThen        `json:"members"`
	Next       string              `json:"next,omitzero" doc:"ask for the next page with after"`
}

// MemberThen is one who was in the group.
type MemberThen struct {
	Person   access.PersonID `json:"person"`
	UserName string          `json:"user_name,omitzero" doc:"as it is now; empty for somebody who was deleted"`
	Since    time.Time       `json:"since"`
	Request  string          `json:"request,omitzero" doc:"the SCIM request that did it"`
}

// WhoWasIn is who was in a group at an instant, by the audit trail: a group of today by
// name, id or externalId, or one that is gone by id. A name that groups of several
// connections have asks for the connection (fault.Conflict).
func (b *Bridge) WhoWasIn(ctx context.Context, q HolderQuery) (Roll, error) {
	if q.At.IsZero() {
		q.At = b.now()
	}
	if err := b.isPast("bridge.WhoWasIn", q.At); err != nil {
		return Roll{}, err
	}
	var out Roll
	err := b.store.View(ctx, func(v *store.View) error {
		var err error
		if out, err = groupEver(v, q); err != nil {
			return err
		}
		records, err := recorded(v, out.Connection, event.Subject{Kind: event.KindGroup, ID: string(out.Group)}, q.At)
		if err != nil {
			return err
		}
		dir, err := v.In(out.Connection)
		if err != nil {
			return err
		}
		members, err := membersThen(dir, &out, records)
		if err != nil {
			return err
		}
		return b.rollPage(dir, &out, members, q)
	})
	return out, err
}

// groupEver finds the group that is asked about.
func groupEver(v *store.View, q HolderQuery) (Roll, error) {
	const op = "bridge.WhoWasIn"
	rows, err := v.Connections()
	if err != nil {
		return Roll{}, err
	}
	var found []Roll
	for _, row := range rows {
		if q.Connection != "" && row.ID != q.Connection {
			continue
		}
		dir, err := v.In(row.ID)
		if err != nil {
			return Roll{}, err
		}
		groups, err := dir.GroupsNamed(q.Group)
		if err != nil {
			return Roll{}, err
		}
		for _, g := range groups {
			found = append(found, Roll{At: q.At, Connection: row.ID, Group: g.ID, Name: g.DisplayName, Members: []MemberThen{}})
		}
		if len(groups) > 0 {
			continue
		}
		gone, err := recorded(v, row.ID, event.Subject{Kind: event.KindGroup, ID: q.Group}, q.At)
		if err != nil {
			return Roll{}, err
		}
		if len(gone) > 0 {
			found = append(found, Roll{At: q.At, Connection: row.ID, Group: access.GroupID(q.Group), Members: []MemberThen{}})
		}
	}
	switch len(found) {
	case 0:
		return Roll{}, fault.New(fault.NotFound, op, "no group is called %q; give a name of today, an externalId, or the id of a group that is gone", q.Group)
	case 1:
		return found[0], nil
	}
	var which []string
	for _, r := range found {
		which = append(which, string(r.Connection)+" "+string(r.Group))
	}
	return Roll{}, fault.New(fault.Conflict, op, "several groups are called %q: %s. Name the connection, or the id", q.Group, strings.Join(which, ", "))
}

// membersThen replays a group. Who was deleted left all groups by that.
func membersThen(dir *store.Directory, out *Roll, records []record) ([]MemberThen, error) {
	in := map[access.PersonID]MemberThen{}
	for _, r := range records {
		if r.Type == event.GroupDeleted {
			out.Deleted = r.at
		}
		if r.at.After(out.At) {
			continue
		}
		switch r.Type {
		case event.GroupDeleted:
			clear(in)
		case event.MemberAdded:
			since := toldInstant(r.Data, "since")
			if since.IsZero() {
				since = r.at
			}
			in[r.Person] = MemberThen{Person: r.Person, Since: since, Request: r.Request}
		case event.MemberRemoved:
			delete(in, r.Person)
		}
	}
	members := make([]MemberThen, 0, len(in))
	ids := make([]access.PersonID, 0, len(in))
	for id, m := range in {
		members, ids = append(members, m), append(ids, id)
	}
	deleted, err := dir.DeletedOf(ids)
	if err != nil {
		return nil, err
	}
	members = slices.DeleteFunc(members, func(m MemberThen) bool {
		gone, was := deleted[m.Person]
		return was && !gone.After(out.At)
	})
	slices.SortFunc(members, func(a, b MemberThen) int { return cmp.Compare(a.Person, b.Person) })
	return members, nil
}

func (b *Bridge) rollPage(dir *store.Directory, out *Roll, members []MemberThen, q HolderQuery) error {
	out.Total = int64(len(members))
	bound := strings.Join([]string{whoWasIn, string(out.Connection), string(out.Group), q.At.UTC().Format(time.RFC3339Nano)}, "\x00")
	from := 0
	if q.After != "" {
		if err := b.openPlace(q.After, bound, &from); err != nil {
			return err
		}
	}
	from = min(max(from, 0), len(members))
	to := min(from+pageOf(q.Limit), len(members))
	if to < len(members) {
		out.Next = b.sealPlace(to, bound)
	}
	page := members[from:to]
	ids := make([]access.PersonID, len(page))
	for i, m := range page {
		ids[i] = m.Person
	}
	names, err := dir.UserNames(ids)
	for i := range page {
		page[i].UserName = names[page[i].Person]
	}
	out.Members = append(out.Members, page...)
	return err
}
