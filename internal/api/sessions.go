package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

func (a *api) sessionRoutes(h huma.API) {
	get(a, h, "/sessions", "Live sessions of a person, a connection or an application", a.sessions)
	get(a, h, "/sessions/{session}", "One session, live or ended: who, on what, which applications, and why it ended", a.session)
	register(a, h, http.MethodPost, "/sessions/end", "End a session, or all of a person, an application or a connection, or everything", http.StatusOK, a.endSessions)
}

type sessionsInput struct {
	Person     string              `query:"person" maxLength:"512" doc:"userName, e-mail address or person id"`
	Connection access.ConnectionID `query:"connection" maxLength:"128"`
	Client     access.ClientID     `query:"client" maxLength:"128"`
	Limit      int                 `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

func (a *api) sessions(ctx context.Context, in *sessionsInput) (*body[bridge.SessionList], error) {
	found, err := a.Bridge.Sessions(ctx, bridge.SessionQuery(*in))
	return &body[bridge.SessionList]{found}, err
}

type sessionInput struct {
	Session session.ID `path:"session" maxLength:"128"`
}

func (a *api) session(ctx context.Context, in *sessionInput) (*body[bridge.SessionEntry], error) {
	found, err := a.Bridge.Session(ctx, in.Session)
	return &body[bridge.SessionEntry]{found}, err
}

func (a *api) endSessions(ctx context.Context, in *body[bridge.Ending]) (*body[bridge.EndedSessions], error) {
	ended, err := a.Bridge.EndSessions(ctx, in.Body)
	return &body[bridge.EndedSessions]{ended}, err
}
