package upstream

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
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
