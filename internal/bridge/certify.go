package bridge

import (
	"context"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Certify records what the vendor's register says of a technician. It outranks
// what the identity provider says; an empty level takes the vendor's word back. A
// level that is none of access.CertificationLevels is fault.Invalid: a misspelt one
// would take access away.
func (b *Bridge) Certify(ctx context.Context, conn access.ConnectionID, person access.PersonID, said access.Certification) error {
	if said.Level != "" && !slices.Contains(access.CertificationLevels(), said.Level) {
		return fault.New(fault.Invalid, "bridge.Certify", "%q is not a certification that counts; say one of: %s", said.Level, strings.Join(access.CertificationLevels(), ", "))
	}
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
