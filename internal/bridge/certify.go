package bridge

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
)

// Certify records what the vendor's register says of a technician. It outranks
// what the identity provider says; an empty level takes the vendor's word back.
func (b *Bridge) Certify(ctx context.Context, conn access.ConnectionID, person access.PersonID, said access.Certification) error {
	return b.change(ctx, conn, event.ByAdministrator, func(c *change) error {
		p, err := c.dir.Person(person)
		if err != nil {
			return err
		}
		p.Asserted = nil
		if said.Level != "" {
			p.Asserted = &said
		}
		if err := c.dir.UpdatePerson(p); err != nil {
			return err
		}
		c.say(event.CertificationSet, p.ID, map[string]string{"level": said.Level})
		return c.decide(p)
	})
}
