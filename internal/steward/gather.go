package steward

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// How much of a review one transaction gathers at most: what it puts under review, what it
// looks at, and how many places it looks in.
const (
	gatherItems = 100
	gatherLooks = 500
	gatherSeats = 200
)

// mark is how far a review has been gathered: it stands in the review's row, so that any
// bridge goes on from there, also after a crash.
type mark struct {
	Stop   string          `json:"stop,omitempty"` // a scope, or a connection
	Seat   store.Seat      `json:"seat,omitzero"`
	Key    int64           `json:"key,omitempty"`
	Person access.PersonID `json:"person,omitempty"`
	Permit access.PermitID `json:"permit,omitempty"`
}

// gathering is one chunk of a review being gathered, in its transaction.
type gathering struct {
	d        *bridge.Deciding
	r        review.Review
	at       mark
	holdings *holdings
	selects  review.Selection
	rough    review.Selection // by what a row says by itself: who passes is looked at closely
	items    []review.Item
	met      map[access.ConnectionID]map[access.PersonID]map[mapping.Pair]review.Held
}

// gather puts the next chunk of what a review is about under review, and opens it after
// the last. It says whether there is more.
func (s *Steward) gather(ctx context.Context, id access.ReviewID) (more bool, err error) {
	return more, s.bridge.Deciding(ctx, event.ByBridge, func(d *bridge.Deciding) error {
		r, err := d.Tx().Review(id)
		if err != nil || r.State != review.Gathering {
			more = false
			return err
		}
		g := &gathering{d: d, r: r, holdings: newHoldings(d.Policy(), d.Now()).about(r), met: map[access.ConnectionID]map[access.PersonID]map[mapping.Pair]review.Held{}}
		if r.Mark != "" {
			if err := json.Unmarshal([]byte(r.Mark), &g.at); err != nil {
				return fault.Wrap(fault.Internal, "steward.gather", err)
			}
		}
		more, err = g.chunk()
		if err != nil {
			return err
		}
		if _, err := d.Tx().AddReviewItems(id, g.items); err != nil {
			return err
		}
		return g.leave(more)
	})
}

// leave writes down how far it has come.
func (g *gathering) leave(more bool) error {
	if more {
		text, err := json.Marshal(g.at)
		if err != nil {
			return fault.Wrap(fault.Internal, "steward.gather", err)
		}
		g.r.Mark = string(text)
		return g.d.Tx().MoveReview(g.r)
	}
	g.r = g.r.Opened(g.d.Now())
	if err := g.d.Tx().MoveReview(g.r); err != nil {
		return err
	}
	found, err := g.d.Tx().Review(g.r.ID) // with what this transaction has counted
	if err != nil || found.Counts.Open > 0 {
		return err
	}
	return end(g.d, found) // there is nothing to decide: nobody is kept waiting for its deadline
}

// chunk gathers as much as one transaction may, and says whether there is more.
func (g *gathering) chunk() (more bool, err error) {
	c := g.r.Cause
	switch c.Trigger {
	case review.ByCase:
		if len(c.Permits) > 0 {
			return false, g.permits(c.Permits)
		}
		return g.permitPage(func(v *store.View, n int) ([]store.PermitRow, error) { return v.PermitsOfCase(c.Case, g.at.Permit, n) })
	case review.ByConnection:
		return g.permitPage(func(v *store.View, n int) ([]store.PermitRow, error) {
			return v.PermitsAmong(c.Connection, g.at.Person, g.at.Permit, n)
		})
	case review.ByCertificate:
		return false, g.person(c.Connection, c.Person, func(h review.Held) bool { return h.Grant.NeedsCertification() })
	}
	if g.selects, err = c.Selection(); err != nil {
		return false, fault.Wrap(fault.Internal, "steward.gather", err) // it was checked when the review began
	}
	g.rough = review.Named(review.Everything)
	if named := review.Named(c.Select); named != nil {
		g.rough = named
	}
	return g.walk()
}

// permitPage looks at the next permits of a list.
func (g *gathering) permitPage(page func(v *store.View, n int) ([]store.PermitRow, error)) (more bool, err error) {
	rows, err := page(&g.d.Tx().View, gatherItems)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	var all []review.Permitted
	for _, row := range rows {
		all = append(all, review.Permitted{Connection: row.Connection, Person: row.Person, Permit: row.ID, Grant: row.Grant, Scope: row.Scope, Ended: row.EndReason})
	}
	last := rows[len(rows)-1]
	g.at.Person, g.at.Permit = last.Person, last.ID
	return len(rows) == gatherItems, g.permits(all)
}

// permits puts what was given by permits under review: what is held still is to be decided,
// and what has ended is written down with why.
func (g *gathering) permits(all []review.Permitted) error {
	for _, t := range all {
		held, err := g.heldBy(t.Connection, t.Person)
		if err != nil {
			return err
		}
		one, holds := held[mapping.Pair{Grant: t.Grant, Scope: t.Scope}]
		if holds {
			g.add(one, review.Answer{})
			continue
		}
		if g.r.Cause.Trigger == review.ByConnection && t.Ended != access.EndPermitConnection {
			continue // it was over long before the connection ended
		}
		row, err := g.d.Tx().Permit(t.Permit)
		if err != nil {
			return err
		}
		one = g.holdings.held(t.Connection, access.Assignment{Person: t.Person, Grant: t.Grant, Scope: t.Scope, Flags: row.Flags, Standing: row.Standing, NotBefore: row.NotBefore, Until: row.Until})
		one.Since = row.Given
		one.Why = []review.Why{{Kind: row.Kind, Request: row.Request, Permit: row.ID, Case: row.Case, Since: row.Given, Until: row.Until}}
		at := row.Ended
		if at.IsZero() {
			at = g.d.Now()
		}
		g.add(one, review.Answer{Verdict: review.Gone, At: at, Ended: true, Because: endOf(row.Permit, g.d.Now())})
	}
	return nil
}

// endOf is why a permit gives nothing any more.
func endOf(t access.Permit, now time.Time) string {
	if t.EndReason == "" && over(t.Until, now) {
		return access.EndPermitTime
	}
	return t.EndReason
}

// person puts what one person holds under review.
func (g *gathering) person(conn access.ConnectionID, id access.PersonID, which func(review.Held) bool) error {
	held, err := g.heldBy(conn, id)
	for _, at := range sortedPairs(held) {
		if which(held[at]) {
			g.add(held[at], review.Answer{})
		}
	}
	return err
}

func sortedPairs(held map[mapping.Pair]review.Held) []mapping.Pair {
	var all []mapping.Pair
	for at := range held {
		all = append(all, at)
	}
	slices.SortFunc(all, func(a, b mapping.Pair) int {
		return access.CompareAssignments(access.Assignment{Grant: a.Grant, Scope: a.Scope}, access.Assignment{Grant: b.Grant, Scope: b.Scope})
	})
	return all
}

func (g *gathering) add(h review.Held, a review.Answer) {
	placed := covering(g.d.Policy().Tree(), h.Scope)
	if placed == nil {
		placed = []access.ScopeID{h.Scope}
	}
	g.items = append(g.items, review.Item{Review: g.r.ID, Held: h, Answer: a, Placed: placed})
}

// heldBy is what somebody holds now; nothing, if they are gone.
func (g *gathering) heldBy(conn access.ConnectionID, id access.PersonID) (map[mapping.Pair]review.Held, error) {
	if known, met := g.met[conn][id]; met {
		return known, nil
	}
	held, err := heldNow(g.d, g.holdings, conn, id)
	if err == nil {
		if g.met[conn] == nil {
			g.met[conn] = map[access.PersonID]map[mapping.Pair]review.Held{}
		}
		g.met[conn][id] = held
	}
	return held, err
}

// heldNow is what somebody holds now, in a transaction that decides; nothing, if they are
// gone. Of a connection that has ended it is what they would hold again.
func heldNow(d *bridge.Deciding, h *holdings, conn access.ConnectionID, id access.PersonID) (map[mapping.Pair]review.Held, error) {
	dir, err := d.Tx().View.In(conn)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := dir.Person(id)
	if err == nil && dir.Row().State == store.ConnectionActive {
		p, err = d.Settled(conn, id)
	}
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return h.of(dir, p)
}
