package steward

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// People says whom a name means (userName, e-mail address or id), in one connection or in
// all, as far as whoever acts may know: themselves, and whoever is at home, or holds
// something, where they decide. fault.NotFound where that is nobody.
func (s *Steward) People(ctx context.Context, a Actor, name string, conn access.ConnectionID) (found []Who, err error) {
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		found, err = newDesk(v, p, now, r).called(name, conn)
		return err
	})
	return found, err
}

// called finds everybody of a name. Where nobody is left because the token or the grant is
// not the one for it, that is said.
func (k *desk) called(name string, conn access.ConnectionID) ([]Who, error) {
	people, err := k.v.PeopleNamed(name)
	if err != nil {
		return nil, err
	}
	found := []Who{}
	var why error = fault.New(fault.NotFound, "steward.People", "nobody here is called %q, or not where you decide; give a userName, an e-mail address or a person id", name)
	for _, p := range people {
		if conn != "" && p.Connection != conn {
			continue
		}
		switch _, err := k.named(PersonRef{Connection: p.Connection, Person: p.ID}); {
		case fault.Is(err, fault.Denied):
			why = err
			continue
		case fault.Is(err, fault.NotFound):
			continue
		case err != nil:
			return nil, err
		}
		w, err := k.who(request.Party{Connection: p.Connection, Person: p.ID})
		if err != nil {
			return nil, err
		}
		found = append(found, w)
	}
	if len(found) == 0 {
		return nil, why
	}
	return found, nil
}
