package steward

import (
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// walk looks through what is held, place by place: at the scopes that the review is about,
// or connection by connection. Where the place it had come to is not there any more it
// begins again: what is under review already stays as it is.
func (g *gathering) walk() (more bool, err error) {
	stops, seats, err := g.stops()
	if err != nil {
		return false, err
	}
	from := max(slices.Index(stops, g.at.Stop), 0)
	if len(stops) > 0 && stops[from] != g.at.Stop {
		g.at = mark{}
	}
	looked, visited := 0, 0
	for _, stop := range stops[min(from, len(stops)):] {
		here, err := seats(stop)
		if err != nil {
			return false, err
		}
		if g.at.Stop == stop && g.at.Seat != (store.Seat{}) {
			here = here[max(slices.Index(here, g.at.Seat), 0):]
		}
		for _, seat := range here {
			if len(g.items) >= gatherItems || looked >= gatherLooks || visited >= gatherSeats {
				g.at = mark{Stop: stop, Seat: seat, Key: g.keyAt(seat)}
				return true, nil
			}
			n, done, err := g.sit(stop, seat, min(gatherItems-len(g.items), gatherLooks-looked))
			if err != nil || !done {
				return true, err
			}
			looked, visited = looked+n, visited+1
		}
		if visited++; len(here) == 0 && visited >= gatherSeats {
			g.at = mark{Stop: stop}
			return true, nil
		}
	}
	return false, nil
}

// keyAt is how far a seat has been looked through.
func (g *gathering) keyAt(seat store.Seat) int64 {
	if g.at.Seat == seat {
		return g.at.Key
	}
	return 0
}

// sit looks at the next holders of a seat: at most limit. It says how many there were, and
// whether there are no more.
func (g *gathering) sit(stop string, seat store.Seat, limit int) (looked int, done bool, err error) {
	rows, last, err := g.d.Tx().Holders(seat, store.Held{Now: g.d.Now(), Connection: g.r.Cause.Connection}, g.keyAt(seat), limit)
	if err != nil {
		return 0, false, err
	}
	for _, row := range rows {
		if err := g.consider(row); err != nil {
			return len(rows), false, err
		}
	}
	if len(rows) == limit {
		g.at = mark{Stop: stop, Seat: seat, Key: last}
		return len(rows), false, nil
	}
	return len(rows), true, nil
}

// consider puts an assignment under review if it is selected, as it is held now.
func (g *gathering) consider(row store.Holder) error {
	rough := g.holdings.held(row.Connection, row.Assignment)
	for _, s := range row.Sources {
		if s.Kind != access.SourceRule {
			rough.Why = append(rough.Why, review.Why{Kind: s.Kind})
		}
	}
	if row.Counts && !g.rough(rough, g.d.Now()) {
		return nil
	}
	dir, err := g.d.Tx().View.In(row.Connection)
	if err != nil || dir.Row().State != store.ConnectionActive {
		return err // whoever is of a connection that has ended holds nothing
	}
	held, err := g.heldBy(row.Connection, row.Person)
	if err != nil {
		return err
	}
	if one, holds := held[mapping.Pair{Grant: row.Grant, Scope: row.Scope}]; holds && g.selects(one, g.d.Now()) {
		g.add(one, review.Answer{})
	}
	return nil
}

// stops are the places of the walk in their order, and how each is looked through.
func (g *gathering) stops() (all []string, seats func(stop string) ([]store.Seat, error), err error) {
	c, tree, v := g.r.Cause, g.d.Policy().Tree(), &g.d.Tx().View
	grants := access.Grants()
	if c.Select == review.UnusedAdministrators {
		grants = []access.Grant{access.Administrator}
	}
	if c.Scope != "" {
		for _, id := range tree.Under(c.Scope) {
			if tree.Live(id) {
				all = append(all, string(id))
			}
		}
		return all, func(stop string) ([]store.Seat, error) { return v.SeatsAt(access.ScopeID(stop), grants) }, nil
	}
	rows, err := v.Connections()
	for _, row := range rows {
		if row.State == store.ConnectionActive && (c.Connection == "" || c.Connection == row.ID) {
			all = append(all, string(row.ID))
		}
	}
	return all, func(stop string) (seats []store.Seat, err error) {
		for _, grant := range grants {
			some, err := v.SeatsOf(access.ConnectionID(stop), grant)
			if err != nil {
				return nil, err
			}
			seats = append(seats, some...)
		}
		return seats, nil
	}, err
}
