package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// PermitFact is what events say of a permit: ids and words only, no names.
func PermitFact(t access.Permit) map[string]string {
	data := map[string]string{"permit": string(t.ID), "grant": string(t.Grant), "scope": string(t.Scope)}
	for key, value := range map[string]string{"request": string(t.Request), "case": string(t.Case), "reason": t.EndReason} {
		if value != "" {
			data[key] = value
		}
	}
	noteInstant(data, "not_before", t.NotBefore)
	noteInstant(data, "until", t.Until)
	return data
}

// endPermit ends a permit, and says so. Its person is to be decided anew.
func (c *change) endPermit(id access.PermitID, reason string) (access.Permit, error) {
	t, err := c.dir.EndPermit(id, reason, c.now)
	if err != nil {
		return t, err
	}
	c.say(event.PermitEnded, t.Person, PermitFact(t))
	return t, nil
}

// endPermits ends those of somebody's permits that give nothing any more and never will,
// whatever happens. What waits for a certification is not over.
func (c *change) endPermits(p store.Person, by access.Decided) (ended bool, err error) {
	if planted.Bug(planted.GuestOutlivesItsEnd) && !p.Active {
		return false, nil
	}
	for _, t := range by.Permits {
		reason := c.overBecause(p, t)
		if reason == "" {
			continue
		}
		if _, err := c.endPermit(t.ID, reason); err != nil {
			return ended, err
		}
		ended = true
	}
	return ended, nil
}

func (c *change) overBecause(p store.Person, t access.Permit) string {
	switch {
	case !p.Active:
		return access.EndPermitDeactivated
	case !t.Until.IsZero() && !c.now.Before(t.Until):
		return access.EndPermitTime
	case !c.policy.Tree().Live(t.Scope):
		return access.EndPermitScope
	}
	return ""
}

// TidyPermits ends one chunk of permits that count for nothing any more, and says how many
// these were: those whose time is over, of whom deciding the person has not ended them, and
// those of before their connection ended. Nothing waits for it.
func (b *Bridge) TidyPermits(ctx context.Context) (int, error) {
	var void, over []store.PermitRow
	now := b.now()
	err := b.store.View(ctx, func(v *store.View) (err error) {
		if void, err = v.VoidPermits(chunk); err != nil {
			return err
		}
		over, err = v.PermitsEnding(now, store.PermitEnd{}, chunk)
		return err
	})
	if err != nil {
		return 0, err
	}
	if len(void) > 0 { // those that are over may be among them
		return len(void), b.endVoid(ctx, void)
	}
	for conn, some := range byConnection(over, ofPermit) {
		err := b.inTurn(ctx, conn, func() error {
			return b.change(ctx, conn, event.ByRules, func(c *change) error { return c.tidyOver(some) })
		})
		if err != nil {
			return 0, err
		}
	}
	return len(over), nil
}

// tidyOver decides people anew whose permits are over: that ends them.
func (c *change) tidyOver(some []store.PermitRow) error {
	for _, t := range some {
		p, err := c.dir.Person(t.Person)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Internal, "bridge.TidyPermits", "the permit %s has outlived its person", t.ID)
		}
		if err == nil {
			err = c.settlePerson(p)
		}
		if err == nil {
			p, err = c.dir.Person(t.Person)
		}
		if err == nil {
			err = c.decide(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func ofPermit(t store.PermitRow) (access.ConnectionID, store.PermitRow) { return t.Connection, t }

// endVoid ends permits of connections that have ended, which nobody can be decided in.
func (b *Bridge) endVoid(ctx context.Context, void []store.PermitRow) error {
	for conn, some := range byConnection(void, ofPermit) {
		err := b.ending(ctx, conn, why{by: event.ByRules}, func(c *change) error {
			for _, t := range some {
				if _, err := c.endPermit(t.ID, access.EndPermitConnection); err != nil && !fault.Is(err, fault.Stale) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// EndPermit ends a permit of a person of the connection, says permit.ended, and makes
// what they hold what is left. fault.NotFound if there is none, fault.Stale if it has ended.
func (d *Deciding) EndPermit(conn access.ConnectionID, id access.PermitID, reason string) (access.Permit, error) {
	c, err := d.change(conn)
	if err != nil {
		return access.Permit{}, err
	}
	t, err := c.endPermit(id, reason)
	if err != nil {
		return t, err
	}
	p, err := c.dir.Person(t.Person)
	if fault.Is(err, fault.NotFound) {
		return t, nil // gone: there is nobody to decide about
	}
	if err != nil {
		return t, err
	}
	return t, c.decide(p)
}
