package bridge

import (
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Renaming is a group's new name or externalId, and which rules asked for it by that.
type Renaming struct {
	At      time.Time `json:"at"`
	Request string    `json:"request,omitzero" doc:"the SCIM request that did it"`
	Entered []string  `json:"rules_entered,omitempty" doc:"rules that match by name, or externalId, since then"`
	Left    []string  `json:"rules_left,omitempty" doc:"rules that matched until then"`
}

// mostRenamings is how many are told of one group, the latest.
const mostRenamings = 5

// renamings adds to groups when they were renamed, up to an instant; zero: up to now.
func renamings(v *store.View, conn access.ConnectionID, groups map[access.GroupID]Belonging, at time.Time) error {
	if len(groups) == 0 {
		return nil
	}
	late, err := unindexed(v, at, func(r store.AuditRow, e event.Event) bool {
		_, in := groups[access.GroupID(e.Data["group"])]
		return in && r.Connection == conn && e.Type == event.GroupRenamed
	})
	if err != nil {
		return err
	}
	for id, g := range groups {
		all, err := indexed(v, conn, event.Subject{Kind: event.KindRename, ID: string(id)})
		if err != nil {
			return err
		}
		for _, r := range late {
			if r.Data["group"] == string(id) {
				all = append(all, r)
			}
		}
		for _, r := range inEffect(all) {
			if at.IsZero() || !r.at.After(at) {
				g.Renames = append(g.Renames, Renaming{At: r.at, Request: r.Request, Entered: strings.Fields(r.Data["rules_entered"]), Left: strings.Fields(r.Data["rules_left"])})
			}
		}
		if n := len(g.Renames); n > mostRenamings {
			g.Renames = slices.Clone(g.Renames[n-mostRenamings:])
		}
		groups[id] = g
	}
	return nil
}
