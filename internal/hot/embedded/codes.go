package embedded

import (
	"context"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// codes are authorization codes: fresh ones, and used ones for as long as a replay
// is recognised.
type codes struct {
	mu       sync.Mutex // guards what follows
	shelf    *shelf[credential.Digest, *code]
	byFamily map[string]*code
	now      time.Time // the latest instant a caller named: PutCode names none
}

type code struct {
	grant  hot.CodeGrant
	used   bool
	doomed bool // its family may not be stored any more
}

func newCodes(count, bytes int) *codes {
	c := &codes{byFamily: map[string]*code{}}
	c.shelf = newShelf[credential.Digest](count, bytes, func(k *code) { delete(c.byFamily, k.grant.Family) })
	return c
}

// PutCode implements hot.Engine.
func (c *codes) PutCode(_ context.Context, d credential.Digest, g hot.CodeGrant) error {
	const op = "embedded.PutCode"
	if d.IsZero() || g.Expires.IsZero() {
		return fault.New(fault.Internal, op, "a code needs a digest and an end")
	}
	g.Request = ownRequest(g.Request)
	g.Request.Upstream = hot.Upstream{}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.byFamily[g.Family]; taken {
		return fault.New(fault.Conflict, op, "the family belongs to another code")
	}
	if c.now.Before(g.Request.Created) {
		c.now = g.Request.Created
	}
	k := &code{grant: g}
	if err := c.shelf.put(op, d, k, grantBytes(g), g.Expires.Add(hot.CodeMemory), c.now); err != nil {
		return err
	}
	if g.Family != "" {
		c.byFamily[g.Family] = k
	}
	return nil
}

// ConsumeCode implements hot.Engine.
func (c *codes) ConsumeCode(_ context.Context, d credential.Digest, now time.Time) (hot.CodeGrant, hot.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
	e, ok := c.shelf.get(d)
	switch {
	case !ok || !now.Before(e.until):
		return hot.CodeGrant{}, hot.Unknown, nil
	case e.value.used:
		e.value.doomed = true
		return e.value.grant, hot.Replayed, nil
	case !now.Before(e.value.grant.Expires):
		return hot.CodeGrant{}, hot.Unknown, nil
	}
	g := e.value.grant
	e.value.used, e.value.grant = true, remembered(g)
	c.shelf.resize(e, grantBytes(e.value.grant))
	return g, hot.OK, nil
}

// remembered is what a used code keeps: enough to end what came of it.
func remembered(g hot.CodeGrant) hot.CodeGrant {
	return hot.CodeGrant{Request: hot.AuthRequest{Client: g.Request.Client}, Session: g.Session, Active: g.Active,
		Bound: g.Bound, Expires: g.Expires, Family: g.Family}
}

// doom forbids a family that is not stored yet.
func (c *codes) doom(family string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.byFamily[family]; ok {
		k.doomed = true
	}
}

func (c *codes) isDoomed(family string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.byFamily[family]
	return ok && k.doomed
}

func grantBytes(g hot.CodeGrant) int {
	return 512 + requestBytes(g.Request) + len(g.Family)*2 + len(g.Session)*2 + len(g.Active) +
		len(g.Bound.Subject.Connection) + len(g.Bound.Subject.Person)
}
