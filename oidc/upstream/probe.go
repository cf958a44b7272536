package upstream

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
)

// Probe asks whether a connection's provider can be reached and its discovery
// document holds: for operators, who want to know before somebody signs in.
func (u *Upstreams) Probe(ctx context.Context, c access.ConnectionID) error {
	l, err := u.link("upstream.Probe", c)
	if err != nil {
		return err
	}
	_, err = l.discovered(ctx)
	return err
}

// Signed verifies the signature of a token that the connection's provider sent by
// another way than a sign-in, such as a logout token, and gives its typ (in lower case)
// and its claims, of which nothing has been checked but that no name stands twice.
// Errors: fault.Denied with ReasonToken when it is not the provider's, fault.Unavailable,
// wrapping an *Outage, while there are no keys to judge by.
func (u *Upstreams) Signed(ctx context.Context, c access.ConnectionID, raw string) (typ string, _ jwtclaims.Claims, err error) {
	l, err := u.link("upstream.Signed", c)
	if err != nil {
		return "", nil, err
	}
	found, err := l.discovered(ctx)
	if err != nil {
		return "", nil, err
	}
	token, said, err := l.signed(ctx, found, raw)
	return token.Type, said.Claims, err
}
