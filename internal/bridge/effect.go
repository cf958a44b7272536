package bridge

import (
	"context"
	"strconv"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// noted is do, with the change left at *c: what it said is told as an effect once it
// is done.
func noted(do changer, c **change) changer {
	return func(ctx context.Context, conn access.ConnectionID, by event.Actor, fn func(*change) error) error {
		return do(ctx, conn, by, func(now *change) error {
			*c = now // fn may run again
			return fn(now)
		})
	}
}

// effectOnPerson and effectOnGroup are what a change did, as its events have it, for
// people to read.
func (c *change) effectOnPerson() *traffic.Effect {
	e := c.effect()
	if e.Users == (traffic.Counts{}) {
		e.Users.Unchanged = 1
	}
	return e
}

func (c *change) effectOnGroup(name string) *traffic.Effect {
	e := c.effect()
	e.Group = name
	switch {
	case e.Groups != (traffic.Counts{}):
	case e.Added+e.Removed > 0:
		e.Groups.Changed = 1
	default:
		e.Groups.Unchanged = 1
	}
	return e
}

func (c *change) effect() *traffic.Effect {
	e := &traffic.Effect{Later: c.due, Added: c.moving.in, Removed: c.moving.out}
	for _, ev := range c.events {
		e.Touch(string(ev.Person))
		if way, isTurn := wayOf(ev.Type); isTurn {
			e.Turned(way, c.policy.Describe(access.Grant(ev.Data["grant"]), access.ScopeID(ev.Data["scope"])), 1)
		} else {
			count(e, ev)
		}
	}
	return e
}

func wayOf(t event.Type) (traffic.Turn, bool) {
	switch t {
	case event.AssignmentGiven:
		return traffic.Gained, true
	case event.AssignmentChanged:
		return traffic.Altered, true
	case event.AssignmentDropped:
		return traffic.Lost, true
	}
	return 0, false
}

func count(e *traffic.Effect, ev event.Event) {
	switch ev.Type {
	case event.PersonProvisioned:
		e.Users.Created++
	case event.PersonChanged:
		e.Users.Changed++
	case event.PersonDeactivated:
		e.Users.Deactivated++
	case event.PersonReactivated:
		e.Users.Reactivated++
	case event.PersonDeleted:
		e.Users.Deleted++
	case event.SubjectChanged:
		e.Relinked++
	case event.GroupProvisioned:
		e.Groups.Created++
	case event.GroupChanged:
		e.Groups.Changed++
	case event.GroupRenamed:
		e.Groups.Renamed++
	case event.GroupDeleted:
		e.Groups.Deleted++
	case event.MemberAdded:
		e.Added++
	case event.MemberRemoved:
		e.Removed++
	case event.MemberUnknown:
		n, err := strconv.Atoi(ev.Data["count"])
		if err != nil {
			n = 1 // meetUnknown writes a number: unreachable
		}
		e.Unknown += n
	case event.SessionRevoked:
		e.Sessions.Ended++
	case event.SessionMustChoose:
		e.Sessions.MustChoose++
	case event.SessionChanged:
		e.Sessions.Changed++
	}
}
