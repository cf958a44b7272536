package embedded

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// codes are authorization codes: fresh ones until their end, and used ones for as
// long as a replay is recognised.
type codes struct {
	mu       sync.Mutex // guards what follows
	shelf    *shelf[credential.Digest, *code]
	byFamily map[string]*code
	live     map[holder][]credential.Digest // fresh ones, the oldest first
}

// holder is whom the cap on live codes is for.
type holder struct {
	session session.ID
	client  access.ClientID
}

type code struct {
	digest credential.Digest
	grant  hot.CodeGrant
	used   bool
	doomed bool // its family may not be stored any more
}

func (k *code) holder() holder { return holder{k.grant.Session, k.grant.Request.Client} }

func newCodes(count, bytes int) *codes {
	c := &codes{byFamily: map[string]*code{}, live: map[holder][]credential.Digest{}}
	// Used codes are spare, without a reserve: a forgotten one is refused still, a
	// forgotten fresh one turns somebody away.
	c.shelf = newShelf[credential.Digest](bounds{count: count, bytes: bytes}, c.forgetLocked)
	return c
}

// PutCode implements hot.Engine.
func (c *codes) PutCode(_ context.Context, d credential.Digest, g hot.CodeGrant, now time.Time) error {
	const op = "embedded.PutCode"
	if err := g.Check(op, d, now); err != nil {
		return err
	}
	g.Request = ownRequest(g.Request.Redemption())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shelf.sweep(now)
	if _, taken := c.byFamily[g.Family]; taken {
		return fault.New(fault.Conflict, op, "the family belongs to another code")
	}
	if _, taken := c.shelf.get(d); taken {
		return fault.New(fault.Conflict, op, "there is such a code")
	}
	k := &code{digest: d, grant: g}
	c.capLocked(k.holder())
	if err := c.shelf.put(op, "", d, k, grantBytes(g), g.Expires, held); err != nil {
		return err
	}
	c.live[k.holder()] = append(c.live[k.holder()], d)
	if g.Family != "" {
		c.byFamily[g.Family] = k
	}
	return nil
}

// capLocked makes place for one more live code of h.
func (c *codes) capLocked(h holder) {
	for len(c.live[h]) >= hot.MaxLiveCodes {
		e, _ := c.shelf.get(c.live[h][0])
		c.shelf.drop(e)
	}
}

// forgetLocked follows what leaves the shelf.
func (c *codes) forgetLocked(k *code) {
	delete(c.byFamily, k.grant.Family)
	c.endLiveLocked(k)
}

// endLiveLocked takes a code out of its holder's count; a used one is in none.
func (c *codes) endLiveLocked(k *code) {
	if k.used {
		return
	}
	h := k.holder()
	left := slices.DeleteFunc(c.live[h], func(d credential.Digest) bool { return d == k.digest })
	if c.live[h] = left; len(left) == 0 {
		delete(c.live, h)
	}
}

// ConsumeCode implements hot.Engine.
func (c *codes) ConsumeCode(_ context.Context, d credential.Digest, by hot.Showing, now time.Time) (hot.CodeGrant, hot.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.shelf.get(d)
	switch {
	case !ok || !now.Before(e.until) || !e.value.grant.By(by):
		return hot.CodeGrant{}, hot.Unknown, nil
	case e.value.used:
		e.value.doomed = true
		return e.value.grant, hot.Replayed, nil
	}
	if planted.Bug(planted.CodeNotConsumed) {
		return e.value.grant, hot.OK, nil
	}
	g := e.value.grant
	c.endLiveLocked(e.value)
	e.value.used, e.value.grant = true, g.Remembered()
	c.shelf.resize(e, grantBytes(e.value.grant))
	c.shelf.keep(e, g.Expires.Add(hot.CodeMemory))
	c.shelf.move(e, spare)
	return g, hot.OK, nil
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
