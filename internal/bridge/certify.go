package bridge

import (
	"context"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/register"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Certify records in the vendor's register what it says of one technician. It outranks
// what the identity provider says; an empty level takes the vendor's word back. A
// level that is none of access.CertificationLevels is fault.Invalid: a misspelt one
// would take access away.
func (b *Bridge) Certify(ctx context.Context, conn access.ConnectionID, person access.PersonID, said access.Certification) error {
	if said.Level != "" {
		if err := register.CheckLevel(said.Level); err != nil {
			return fault.New(fault.Invalid, "bridge.Certify", "%v", err)
		}
	}
	return b.change(ctx, conn, event.ByAdministrator, func(c *change) error {
		if _, err := c.dir.Person(person); err != nil {
			return err
		}
		was, err := c.dir.RegisteredOf(person)
		switch {
		case err != nil && !fault.Is(err, fault.NotFound):
			return err
		case said.Level == "" && err != nil:
			return nil
		case said.Level == "":
			return c.unregister(was)
		case err != nil:
			was = store.Registered{Who: string(person)}
		}
		return c.register(store.Registered{Connection: conn, Who: was.Who, Person: person, Level: said.Level, Until: said.Until.Truncate(time.Millisecond), Note: was.Note, Source: "set", Set: c.now, By: "operator"})
	})
}

// Register puts an entry into the register, and decides whom it is about at once; one that
// is about nobody yet waits for them.
func (d *Deciding) Register(e store.Registered) error {
	c, err := d.change(e.Connection)
	if err != nil {
		return err
	}
	return c.register(e)
}

// Unregister takes an entry out of the register: it counts for nothing from this instant.
func (d *Deciding) Unregister(e store.Registered) error {
	c, err := d.change(e.Connection)
	if err != nil {
		return err
	}
	return c.unregister(e)
}

func (c *change) register(e store.Registered) error {
	before, err := c.dir.RegisteredAs(e.Who)
	switch {
	case fault.Is(err, fault.NotFound):
	case err != nil:
		return err
	case before.Person != "" && before.Person != e.Person: // the name is another's by now
		if err := c.unregister(before); err != nil {
			return err
		}
	}
	if err := c.dir.PutRegistered(e); err != nil {
		return err
	}
	said := e.Certification()
	return c.assert(e.Person, &said)
}

func (c *change) unregister(e store.Registered) error {
	if _, err := c.dir.DropRegistered(e.Key); err != nil {
		return err
	}
	return c.assert(e.Person, nil)
}

// assert lets the vendor's word about somebody count, or takes it back, at once.
func (c *change) assert(id access.PersonID, said *access.Certification) error {
	if id == "" {
		c.sayCertified("", said)
		return nil
	}
	p, err := c.dir.Person(id)
	if err != nil {
		return err
	}
	p.Asserted = said
	if err := c.dir.UpdatePerson(p); err != nil {
		return err
	}
	c.sayCertified(id, said)
	return c.decide(p)
}

func (c *change) sayCertified(id access.PersonID, said *access.Certification) {
	data := map[string]string{"level": ""}
	if said != nil {
		data["level"] = said.Level
		noteInstant(data, "until", said.Until)
	}
	if id == "" {
		data["waiting"] = "true"
	}
	c.say(event.CertificationSet, id, data)
}

// awaited lets an entry of the register count that waited for somebody called so. The
// caller stores the person, and says and decides what follows.
func (c *change) awaited(p *store.Person) (found bool, err error) {
	if p.Asserted != nil {
		return false, nil
	}
	e, found, err := c.dir.Awaited(p.UserName, p.Email)
	if err != nil || !found {
		return false, err
	}
	e.Person = p.ID
	said := e.Certification()
	p.Asserted = &said
	return true, c.dir.PutRegistered(e)
}

// claimLapsed tells of a certification that the identity provider said, and whose end took
// technician access away, and begins the review of the person. Those of the register are
// noticed by their own ends (package steward).
func (c *change) claimLapsed(p store.Person, dropped []access.Assignment) error {
	end := p.Claimed.Until
	if !p.Active || p.Asserted != nil || !c.dir.Row().TrustsCertification || end.IsZero() || c.now.Before(end) ||
		!slices.ContainsFunc(dropped, func(a access.Assignment) bool { return a.Grant.NeedsCertification() }) {
		return nil
	}
	data := map[string]string{"level": p.Claimed.Level}
	noteInstant(data, "until", end)
	c.say(event.CertificationLapsed, p.ID, data)
	_, err := OpenReview(c.tx, review.Cause{Trigger: review.ByCertificate, Connection: c.conn, Person: p.ID}, event.ByBridge, c.now)
	return err
}
