package api

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

// Traffic is a page of recorded requests.
type Traffic struct {
	Requests []bridge.TrafficEntry `json:"requests"`
	Next     int64                 `json:"next,omitempty" doc:"ask for what is before it, or after it where this page was asked for so; missing on the last page"`
}

type trafficInput struct {
	Connection access.ConnectionID `query:"connection" maxLength:"128"`
	Person     string              `query:"person" maxLength:"512" doc:"userName, e-mail address or person id: requests about them, that touched them or that named them"`
	Failed     bool                `query:"failed" doc:"only what was refused"`
	Since      time.Time           `query:"since" doc:"only what came then or later"`
	Before     int64               `query:"before" minimum:"0" doc:"only what was recorded before this id"`
	After      int64               `query:"after" minimum:"0" doc:"only what was recorded after this id, oldest first"`
	Limit      int                 `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

func (a *api) traffic(ctx context.Context, in *trafficInput) (*body[Traffic], error) {
	found, err := a.Bridge.Traffic(ctx, bridge.TrafficQuery{Connection: in.Connection, Person: in.Person, Failed: in.Failed,
		Since: in.Since, Before: in.Before, After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	page := Traffic{Requests: found}
	if len(found) == in.Limit {
		page.Next = found[len(found)-1].ID
	}
	return &body[Traffic]{page}, nil
}

type trafficEntryInput struct {
	Request int64 `path:"request" minimum:"1"`
}

func (a *api) trafficEntry(ctx context.Context, in *trafficEntryInput) (*body[bridge.TrafficEntry], error) {
	found, err := a.Bridge.TrafficEntry(ctx, in.Request)
	if err != nil {
		return nil, err
	}
	return &body[bridge.TrafficEntry]{found}, nil
}
