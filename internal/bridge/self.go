package bridge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// selfScopes are what an access token must hold to read its person at /Me: the
// resource shows all that userinfo shows by them.
const selfScopes = "openid profile email"

// OpenSelf opens to a person's own access token the person, as SCIM sees them. The
// token is held against the same five integers as everywhere.
func (b *Bridge) OpenSelf(ctx context.Context, connection, accessToken string) (scim.Self, error) {
	const op = "bridge.OpenSelf"
	a, err := b.Accept(ctx, accessToken)
	if err != nil {
		return scim.Self{}, edge(err)
	}
	if err := a.Shows(oidc.Presented{Token: accessToken}); err != nil {
		return scim.Self{}, scim.Unauthorized(err)
	}
	sub := a.Bound.Subject
	if string(sub.Connection) != connection {
		return scim.Self{}, scim.Unauthorized(fault.New(fault.Unauthenticated, op, "the access token is of another connection's person"))
	}
	for scope := range strings.SplitSeq(selfScopes, " ") {
		if !slices.Contains(a.OAuthScopes, scope) {
			return scim.Self{}, scim.InsufficientScope(selfScopes)
		}
	}
	var types schema.Types
	if err := b.read(ctx, sub.Connection, func(dir *store.Directory) error { types = dir.Row().Types; return nil }); err != nil {
		return scim.Self{}, edge(err)
	}
	people := users{b: b, conn: sub.Connection, rt: types.Users, change: readOnly}
	return scim.Self{ID: string(sub.Person), Types: types, Read: func(ctx context.Context, w scim.Want) (scim.Resource, error) {
		r, err := people.Get(ctx, string(sub.Person), w)
		if gone, ok := errors.AsType[*scim.Error](err); ok && gone.Status == http.StatusNotFound { // deleted since the token was accepted
			err = scim.Unauthorized(err)
		}
		return r, err
	}}, nil
}

// readOnly is a changer for whoever may change nothing.
func readOnly(context.Context, access.ConnectionID, event.Actor, func(*change) error) error {
	return fault.New(fault.Denied, "bridge.readOnly", "people read themselves; their identity provider changes them")
}
