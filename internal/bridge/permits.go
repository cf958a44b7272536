package bridge

import (
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
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
