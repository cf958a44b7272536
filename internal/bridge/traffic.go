package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// TrafficQuery asks for SCIM requests that were recorded.
type TrafficQuery struct {
	Connection    access.ConnectionID // "": all
	Person        string              // a userName, an e-mail address or an id; "": everybody
	Failed        bool
	Since         time.Time
	Before, After int64 // ids, both excluded; 0: no bound. Behind an id, the oldest come first
	Limit         int   // 1 to MaxTraffic
}

// MaxTraffic is the largest page of recorded requests.
const MaxTraffic = 500

// TrafficEntry is one recorded request. Who it was about is named as they are called
// now, if they are there.
type TrafficEntry struct {
	ID         int64               `json:"id"`
	At         time.Time           `json:"at"`
	Connection access.ConnectionID `json:"connection"`
	Person     *TrafficPerson      `json:"person,omitempty"`
	Touched    []TrafficPerson     `json:"touched,omitempty"` // other people; of one request that is asked for by id
	traffic.Record
}

// TrafficPerson is a person in a recorded request.
type TrafficPerson struct {
	ID       access.PersonID `json:"id"`
	UserName string          `json:"user_name,omitempty"` // "" if they are not there any more
}

// Traffic lists recorded requests, newest first, or those behind q.After, oldest
// first. fault.NotFound if there is no such connection, or if q names a person whom
// nobody knows and no recorded request names; who follows may wait for one to come.
func (b *Bridge) Traffic(ctx context.Context, q TrafficQuery) ([]TrafficEntry, error) {
	const op = "bridge.Traffic"
	if q.Limit < 1 || q.Limit > MaxTraffic {
		return nil, fault.New(fault.Invalid, op, "a page holds 1 to %d requests", MaxTraffic)
	}
	var all []TrafficEntry
	err := b.store.View(ctx, func(v *store.View) error {
		all = nil
		asked, known, err := b.trafficOf(v, q)
		if err != nil {
			return err
		}
		for _, a := range asked {
			rows, err := a.dir.Traffic(a.TrafficQuery)
			if err != nil {
				return err
			}
			entries, err := named(a.dir, rows, false)
			if err != nil {
				return err
			}
			all = append(all, entries...)
		}
		if q.Person != "" && !known && len(all) == 0 && q.After == 0 {
			return fault.New(fault.NotFound, op, "nobody here is called %q, and no request that is kept names them; give a userName, an e-mail address or a person id", q.Person)
		}
		return nil
	})
	slices.SortFunc(all, func(x, y TrafficEntry) int {
		if q.After > 0 {
			return cmp.Compare(x.ID, y.ID)
		}
		return cmp.Compare(y.ID, x.ID)
	})
	return all[:min(len(all), q.Limit)], err
}

// askedTraffic is a question to one connection.
type askedTraffic struct {
	dir *store.Directory
	store.TrafficQuery
}

// trafficOf asks every connection that q is about. known says whether anybody answers
// to q's person.
func (b *Bridge) trafficOf(v *store.View, q TrafficQuery) (asked []askedTraffic, known bool, err error) {
	connections := []access.ConnectionID{q.Connection}
	if q.Connection == "" {
		rows, err := v.Connections()
		if err != nil {
			return nil, false, err
		}
		connections = nil
		for _, c := range rows {
			connections = append(connections, c.ID)
		}
	}
	people := map[access.ConnectionID][]access.PersonID{}
	if q.Person != "" {
		found, err := v.PeopleNamed(q.Person)
		if err != nil {
			return nil, false, err
		}
		for _, p := range found {
			people[p.Connection] = append(people[p.Connection], p.ID)
		}
		known = len(found) > 0
	}
	for _, id := range connections {
		dir, err := v.In(id)
		if err != nil {
			return nil, false, err
		}
		a := askedTraffic{dir, store.TrafficQuery{Failed: q.Failed, Since: q.Since, Before: q.Before, After: q.After, Oldest: q.After > 0, Limit: q.Limit}}
		if q.Person != "" {
			a.People = append(people[id], access.PersonID(q.Person)) // also by the id of somebody who has gone
			a.Marks = []string{b.marks.Mark(id, store.Fold(q.Person))}
		}
		asked = append(asked, a)
	}
	return asked, known, nil
}

// TrafficEntry is one recorded request, with everybody whom it touched.
func (b *Bridge) TrafficEntry(ctx context.Context, id int64) (TrafficEntry, error) {
	var entry TrafficEntry
	err := b.store.View(ctx, func(v *store.View) error {
		row, err := v.TrafficRow(id)
		if err != nil {
			return err
		}
		dir, err := v.In(row.Connection)
		if err != nil {
			return err
		}
		entries, err := named(dir, []store.TrafficRow{row}, true)
		if err == nil {
			entry = entries[0]
		}
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return entry, fault.New(fault.NotFound, "bridge.TrafficEntry", "no request %d is kept; it may have made room for newer ones", id)
	}
	return entry, err
}

// named reads rows of one connection, with the names of their people.
func named(dir *store.Directory, rows []store.TrafficRow, whole bool) ([]TrafficEntry, error) {
	var ids []access.PersonID
	for _, r := range rows {
		if r.Person != "" {
			ids = append(ids, r.Person)
		}
		if whole {
			ids = append(ids, r.People...)
		}
	}
	names, err := dir.UserNames(ids)
	if err != nil {
		return nil, err
	}
	entries := make([]TrafficEntry, len(rows))
	for i, r := range rows {
		e := &entries[i]
		e.ID, e.At, e.Connection = r.ID, r.At, r.Connection
		if err := json.Unmarshal(r.Body, &e.Record); err != nil {
			return nil, fault.Wrap(fault.Internal, "bridge.named", err)
		}
		if r.Person != "" {
			e.Person = &TrafficPerson{r.Person, names[r.Person]}
		}
		for _, id := range r.People {
			if whole {
				e.Touched = append(e.Touched, TrafficPerson{id, names[id]})
			}
		}
	}
	return entries, nil
}
