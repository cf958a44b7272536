package bridge

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/patch"
)

// unknown are the ids of a request that name nobody here: deleted or foreign people,
// which look the same. They are ours to make, so they will never come to exist. To
// take somebody away who is not there is no drift.
type unknown struct {
	wanted  []string // as members, in the order of the request, each once
	places  []string // by wanted: where in the request
	unnamed []string // taken out of the group by the request
	whole   bool     // the request says who all the members are
}

func (u unknown) any() bool { return len(u.wanted)+len(u.unnamed) > 0 }

// unknownIn finds the ids in edits that name nobody.
func unknownIn(edits []patch.MemberEdit, known map[access.PersonID]store.PersonKey) unknown {
	var u unknown
	at := map[string]string{} // by wanted id
	for _, e := range edits {
		if e.Kind == patch.ReplaceMembers || e.Kind == patch.RemoveAllMembers {
			u, at = unknown{whole: true}, map[string]string{}
		}
		for _, id := range e.IDs {
			if known[access.PersonID(id)] != 0 {
				continue
			}
			_, there := at[id]
			switch {
			case e.Kind == patch.RemoveMembers:
				delete(at, id)
				u.unnamed = append(u.unnamed, id)
			case !there:
				at[id] = place(e)
				u.wanted = append(u.wanted, id)
			}
		}
	}
	var left []string
	for _, id := range u.wanted {
		if where, there := at[id]; there {
			left = append(left, id)
			u.places = append(u.places, where)
			delete(at, id)
		}
	}
	u.wanted = left
	return u
}

// unknownShown is how many unknown member ids one refusal spells out.
const unknownShown = 20

// meetUnknown refuses the change, if that is the connection's choice, or records who
// was named and is not here, and forgets whom the identity provider names no more.
func (c *change) meetUnknown(g *store.Group, u unknown) error {
	if len(u.wanted) > 0 && c.dir.Row().SCIM.UnknownMembers == access.RefuseUnknown {
		return u.refusal()
	}
	if g.Unknown > 0 && (u.whole || len(u.unnamed) > 0) {
		gone := u.unnamed
		if u.whole {
			gone = u.wanted
		}
		if err := c.dir.ForgetDrift(g, gone, u.whole); err != nil {
			return err
		}
	}
	if len(u.wanted) == 0 {
		return nil
	}
	// The ids stand in the drift, which can be forgotten: they may be anything, somebody's address too.
	c.say(event.MemberUnknown, "", map[string]string{"group": string(g.ID), "count": strconv.Itoa(len(u.wanted))})
	return c.dir.NoteDrift(g, u.wanted, c.now)
}

func (u unknown) shown() []string { return u.wanted[:min(len(u.wanted), unknownShown)] }

// refusal names the operations and the ids.
func (u unknown) refusal() error {
	var said []string
	for i, id := range u.shown() {
		if i == 0 || u.places[i] != u.places[i-1] {
			said = append(said, u.places[i]+":")
		}
		said = append(said, strconv.Quote(clipped(id)))
	}
	if more := len(u.wanted) - unknownShown; more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	verb := "name"
	if len(u.wanted) == 1 {
		verb = "names"
	}
	return scim.Invalid(scim.TypeInvalidValue, strings.Join(said, " ")+" "+verb+" nobody here; send ids that this server returned. Nothing was changed.")
}

// clipped is an id as a refusal quotes it.
func clipped(id string) string {
	const most = 64
	if r := []rune(id); len(r) > most {
		return string(r[:most]) + "…"
	}
	return id
}

// Drift is a member id that the identity provider of a connection names and nobody
// here has.
type Drift struct {
	Group     access.GroupID `json:"group"`
	GroupName string         `json:"group_name"`
	Member    string         `json:"member"`
	First     time.Time      `json:"first_seen"`
	Last      time.Time      `json:"last_seen"`
	Times     int64          `json:"times"`
}

// Drift lists what a connection's identity provider names as members and nobody here
// is, the latest first.
func (b *Bridge) Drift(ctx context.Context, conn access.ConnectionID) ([]Drift, error) {
	all := []Drift{}
	err := b.read(ctx, conn, func(dir *store.Directory) error {
		rows, err := dir.Drift(store.DriftOfConnection)
		for _, x := range rows {
			all = append(all, Drift{Group: x.Group, GroupName: x.Name, Member: x.Member, First: x.First, Last: x.Last, Times: x.Times})
		}
		return err
	})
	return all, err
}

// AcknowledgeDrift forgets a group's drift, or with "" the whole connection's: what is
// named again is shown again.
func (b *Bridge) AcknowledgeDrift(ctx context.Context, conn access.ConnectionID, group access.GroupID) (int64, error) {
	var n int64
	err := b.change(ctx, conn, event.ByAdministrator, func(c *change) (err error) {
		n, err = c.dir.AcknowledgeDrift(group)
		if err != nil || n == 0 {
			return err
		}
		data := map[string]string{"count": strconv.FormatInt(n, 10)}
		if group != "" {
			data["group"] = string(group)
		}
		c.say(event.DriftAcknowledged, "", data)
		return nil
	})
	return n, err
}
