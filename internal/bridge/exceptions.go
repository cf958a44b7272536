package bridge

import (
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/exception"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// findExceptions keeps the list of exceptions with what a person holds from now on. It is
// called where that changes; whoever held nothing before has none.
func (c *change) findExceptions(p store.Person, before, after []access.Assignment, by access.Decided) error {
	found, err := exceptionsOf(&c.tx.View, c.policy.Policy, c.conn, after, by.Permits, c.now)
	if err != nil || len(found) == 0 && len(before) == 0 {
		return err
	}
	_, err = c.dir.Found(p, found, c.now)
	return err
}

// exceptionsOf are the exceptions of somebody of a connection, by what they hold and the
// permits behind it.
func exceptionsOf(v *store.View, policy *mapping.Policy, conn access.ConnectionID, held []access.Assignment, permits []access.Permit, now time.Time) ([]exception.Exception, error) {
	if len(held) == 0 {
		return nil, nil
	}
	h := exception.Holder{Held: held, Permits: permits}
	h.Connection, _ = policy.Connection(conn)
	var asked []access.RequestID
	for _, p := range permits {
		if p.Request != "" {
			asked = append(asked, p.Request)
		}
	}
	var err error
	if h.Requests, err = v.RequestsBy(asked); err != nil {
		return nil, err
	}
	return exception.Of(policy, h, now), nil
}

// ExceptionsIn finds the exceptions of a person as the directory stands.
func ExceptionsIn(v *store.View, dir *store.Directory, policy *mapping.Policy, p store.Person, now time.Time) ([]exception.Exception, error) {
	held, err := dir.Assignments(p)
	if err != nil || len(held) == 0 {
		return nil, err
	}
	by, err := dir.Decided(p)
	if err != nil {
		return nil, err
	}
	return exceptionsOf(v, policy, dir.Row().ID, held, by.Permits, now)
}

// FindExceptions keeps the list of exceptions with what a person holds, where that has not
// changed, but what makes it one may have.
func (d *Deciding) FindExceptions(conn access.ConnectionID, id access.PersonID) (changed bool, err error) {
	c, err := d.change(conn)
	if err != nil {
		return false, err
	}
	p, err := c.dir.Person(id)
	if err != nil {
		return false, err
	}
	found, err := ExceptionsIn(&d.tx.View, &c.dir.Directory, d.policy.Policy, p, d.now)
	if err != nil {
		return false, err
	}
	return c.dir.Found(p, found, d.now)
}
