package api

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// Alarm is something that an identity provider did by itself and somebody should look
// at.
type Alarm struct {
	At       time.Time      `json:"at"`
	Kind     string         `json:"kind" enum:"mass_gain,group_deleted,group_shrunk"`
	Group    access.GroupID `json:"group,omitempty"`
	Count    int64          `json:"count" doc:"people or members"`
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
