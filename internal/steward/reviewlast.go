package steward

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// lastAdministrator reports whether somebody is the only one who administers a scope, at
// that scope itself, without an end.
func lastAdministrator(v *store.View, h review.Held, now time.Time) (bool, error) {
	if h.Grant != access.Administrator || h.Assignment == "" {
		return false, nil
	}
	seats, err := v.SeatsAt(h.Scope, []access.Grant{access.Administrator})
	if err != nil {
		return false, err
	}
	for _, seat := range seats {
		for after, more := int64(0), true; more; {
			rows, last, err := v.Holders(seat, store.Held{Now: now, Begun: true}, after, gatherItems)
			if err != nil {
				return false, err
			}
			for _, row := range rows {
				if row.Counts && row.Until.IsZero() && (row.Connection != h.Connection || row.Person != h.Person) {
					return false, nil
				}
			}
			after, more = last, len(rows) == gatherItems
		}
	}
	return true, nil
}

// succeeds refuses a successor who does not administer the scope, or one above it, without
// an end.
func succeeds(d *bridge.Deciding, who PersonRef, h review.Held) error {
	const op = "steward.DecideReview"
	refused := fault.New(fault.Invalid, op, "a successor administers the scope, or one above it, without an end; whoever you named does not").Because(ReasonNoSuccessor)
	if who.Connection == h.Connection && who.Person == h.Person {
		return refused
	}
	p, err := d.Settled(who.Connection, who.Person)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) {
		return refused
	}
	if err != nil {
		return err
	}
	dir, err := d.In(who.Connection)
	if err != nil {
		return err
	}
	held, err := dir.Assignments(p)
	if err != nil {
		return err
	}
	for _, a := range held {
		if a.Grant == access.Administrator && a.ValidAt(d.Now()) && a.Until.IsZero() && d.Policy().Tree().Covers(a.Scope, h.Scope) {
			return nil
		}
	}
	return refused
}

// alsoWithheld is what else rules give somebody that goes when a grant is withheld at a
// scope: the same grant below it.
func alsoWithheld(tree *access.Tree, now review.Held, held map[mapping.Pair]review.Held) (more []review.Held) {
	for _, at := range sortedPairs(held) {
		if at.Grant == now.Grant && at.Scope != now.Scope && tree.Covers(now.Scope, at.Scope) && held[at].ByRules() {
			more = append(more, held[at])
		}
	}
	return more
}

func inWords(tree *access.Tree, all []review.Held) string {
	var said []string
	for _, h := range all {
		said = append(said, fmt.Sprintf("%s @ %s", h.Grant, tree.Path(h.Scope)))
	}
	return strings.Join(said, ", ")
}

// settleUnanswered gives items their answer that nobody decided in time: kept or removed, as
// the review says, and kept where answers were cut off. The last administrator of a scope is kept, whatever it says, and an alarm
// tells of it.
func settleUnanswered(d *bridge.Deciding, r review.Review, items []review.Item) error {
	h := newHoldings(d.Policy(), d.Now()).about(r)
	last := map[access.ConnectionID]int64{}
	for _, i := range items {
		answer := review.Answer{Verdict: review.Unanswered, At: d.Now()}
		held, err := heldNow(d, h, i.Connection, i.Person)
		if err != nil {
			return err
		}
		now, holds := held[pairOf(i.Held)]
		switch {
		case !holds:
			answer = review.Answer{Verdict: review.Gone, At: d.Now(), Ended: true, Because: ReasonEndedBefore}
		case r.Closed != nil:
			answer.Because = ReasonClosedEarly
		case r.Removes():
			err = removeUnanswered(d, r, now, held, &answer)
		}
		if err != nil {
			return err
		}
		if _, err := answered(d, i, answer); err != nil {
			return err
		}
		if answer.Because == ReasonLastAdministrator {
			last[i.Connection]++
		}
	}
	for _, conn := range slices.Sorted(maps.Keys(last)) {
		if err := d.Tx().PutAlarm(store.Alarm{Connection: conn, At: d.Now(), Kind: bridge.KindLastUnanswered, Count: last[conn], Base: r.Counts.Items}); err != nil {
			return err
		}
	}
	return nil
}

// removeUnanswered takes what nobody said should be kept, but for what nobody may lose
// unseen: it is kept, and the report says why.
func removeUnanswered(d *bridge.Deciding, r review.Review, now review.Held, held map[mapping.Pair]review.Held, answer *review.Answer) error {
	effect := review.EffectOf(review.Remove, now, access.Flags{})
	last, err := lastAdministrator(&d.Tx().View, now, d.Now())
	switch {
	case err != nil:
		return err
	case last:
		answer.Because = ReasonLastAdministrator
		return nil
	case effect.Withhold && len(alsoWithheld(d.Policy().Tree(), now, held)) > 0:
		answer.Because = ReasonRemovesMore
		return nil
	}
	return carryOut(d, now, effect, answer, unansweredSetter(r, now, d.Policy().Tree()))
}
