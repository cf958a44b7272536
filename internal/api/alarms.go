package api

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// Alarm is something that somebody should look at: what an identity provider did by itself,
// what a review left unanswered, or what somebody took at once.
type Alarm struct {
	At       time.Time      `json:"at"`
	Kind     string         `json:"kind" enum:"reconciled,mass_gain,group_deleted,group_shrunk,last_administrator_unanswered,glass_broken,glass_unconfirmed"`
	Group    access.GroupID `json:"group,omitempty"`
	Count    int64          `json:"count" doc:"people or members; for last_administrator_unanswered: assignments, of all that the review looked at; for glass_broken and glass_unconfirmed: 1, of so many who must confirm it"`
	Of       int64          `json:"of" doc:"how many there were"`
	Sentence string         `json:"sentence"`
}

func (a *api) alarms(ctx context.Context, conn access.ConnectionID) ([]Alarm, error) {
	raised, err := a.Bridge.Raised(ctx, conn)
	out := make([]Alarm, len(raised))
	for i, r := range raised {
		out[i] = Alarm{At: r.At, Kind: r.Kind, Group: r.Group, Count: r.Count, Of: r.Base, Sentence: bridge.Sentence(r)}
	}
	return out, err
}
