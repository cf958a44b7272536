package scim

import (
	"context"
	"errors"
	"net/http"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// meSegment is the alias of RFC 7644 section 3.11.
const meSegment = "Me"

// Selves opens to a person's own access token the one resource that is theirs. The
// connection in the path must be the person's own; whatever is wrong with the token,
// the error is an Error with status 401, or InsufficientScope.
type Selves interface {
	OpenSelf(ctx context.Context, connection, accessToken string) (Self, error)
}

// Self is what a person's own access token opens: to read themselves, and nothing else.
type Self struct {
	ID    string // of the user
	Types schema.Types
	Read  func(ctx context.Context, w Want) (Resource, error)
}

// me answers the alias. It is no route: a route's action has a directory, and a
// person's access token opens none. A connection's own credential stands for no
// user, so to it the alias is not offered.
func (s *Server) me(ctx context.Context, c *call) error {
	self, refused := s.self(ctx, c)
	if refused == nil {
		return s.own(ctx, c, self)
	}
	if asError(refused).Status != http.StatusUnauthorized {
		return refused
	}
	if err := s.open(ctx, c); err != nil {
		if e := asError(err); e.Status == http.StatusUnauthorized {
			err = &Error{Status: e.Status, Err: errors.Join(refused, err),
				Detail: "Send an access token of a person of this connection as \"Authorization: Bearer <token>\"; the one sent does not count here, or not any more."}
		}
		return s.stranger(c, err)
	}
	return noRoute(meSegment)
}

func (s *Server) self(ctx context.Context, c *call) (Self, error) {
	token, raw := bearer(c.r.Header["Authorization"])
	if token == "" || raw || s.selves == nil {
		return Self{}, Unauthorized(nil)
	}
	return s.selves.OpenSelf(ctx, c.path.connection, token)
}

// own shows a person to themselves. What a customer's identity provider owns, nobody
// changes behind its back.
func (s *Server) own(ctx context.Context, c *call, self Self) error {
	c.connection, c.resource = c.path.connection, meSegment
	c.aliased = s.location(c, "Users", self.ID)
	if err := s.admit(ctx, c, c.connection+"/"+meSegment, s.limits.rate); err != nil { // what people ask is not their identity provider's
		return err
	}
	if err := accepts(c.r.Header["Accept"]); err != nil {
		return err
	}
	switch c.r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return Forbidden("People read themselves here; their company's identity provider is what changes them.")
	default:
		c.w.Header().Set("Allow", "GET, HEAD")
		return &Error{Status: http.StatusMethodNotAllowed, Detail: "This address takes GET, HEAD."}
	}
	k := s.users()
	k.rt = self.Types.Users
	v, want, err := s.shown(c, k)
	if err != nil {
		return err
	}
	r, err := self.Read(ctx, want)
	if err != nil {
		return err
	}
	return s.writeRead(c, v, r)
}
