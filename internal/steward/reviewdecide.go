package steward

import (
	"context"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Why a decision of a review is refused.
const (
	ReasonOwnReview          = "own_review"          // nobody decides about their own access
	ReasonReviewOver         = "review_over"         // its time is over, or it has ended
	ReasonReviewGathering    = "review_gathering"    // what it is about is not known yet
	ReasonAlreadyDecided     = "already_decided"     // somebody was first
	ReasonItemChanged        = "item_changed"        // what is held is not what was looked at
	ReasonNameEachHighRisk   = "name_each_high_risk" // a whole card is kept only without high risk on it
	ReasonRemovesMore        = "removes_more"        // withholding it takes something else, too
	ReasonLastAdministrator  = "last_administrator"  // nobody else administers the scope without an end
	ReasonNoSuccessor        = "no_successor"        // whoever was named administers nothing that covers the scope
	ReasonNotLower           = "not_lower"           // the flags are not less than what is held
	ReasonServiceOwnersAlone = "service_owners_only" // the review is for administrators of the host
	ReasonEndedBefore        = "ended_before"        // no refusal: an item had ended without the review
	ReasonClosedEarly        = "closed_early"        // no refusal: an item is kept, for answers were cut off
)

// Decision is what somebody decides in a review: about one item, or several of one card.
type Decision struct {
	Items       []ItemSeen     `json:"items,omitempty" maxItems:"100" doc:"which; left out: all of the card that are undecided and within your scope"`
	Card        *PersonRef     `json:"card,omitempty" doc:"whose card; needed where no items are named"`
	Seen        string         `json:"seen,omitempty" maxLength:"32" doc:"of the card, to keep all of it"`
	Verdict     review.Verdict `json:"verdict" enum:"keep,remove,lower"`
	Flags       *access.Flags  `json:"flags,omitempty" doc:"what is left, if it lowers"`
	Comment     string         `json:"comment,omitempty" maxLength:"1000"`
	Successor   *PersonRef     `json:"successor,omitempty" doc:"who administers the scope from now on, if this takes its last administrator"`
	ConfirmLast bool           `json:"confirm_last,omitempty" doc:"the scope may be left without an administrator"`
	ConfirmMore bool           `json:"confirm_more,omitempty" doc:"what withholding takes beside the item may go, too"`
}

// ItemSeen names an item, as whoever decides has seen it.
type ItemSeen struct {
	ID   string `json:"id" maxLength:"20"`
	Seen string `json:"seen,omitempty" maxLength:"32" doc:"as the card says; needed to keep"`
}

// DecideReview decides items of a review, all of them or none. What it removes or lowers is
// gone when it returns.
func (s *Steward) DecideReview(ctx context.Context, a Actor, id access.ReviewID, in Decision) ([]ItemView, error) {
	var out []ItemView
	if err := printed("comment", in.Comment, MaxReason); err != nil {
		return out, err
	}
	return out, s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		out = nil
		if err := mayReview(r); err != nil {
			return err
		}
		rev, _, err := visible(&d.Tx().View, r, d.Policy().Tree(), id)
		if err != nil {
			return err
		}
		j := &judging{d: d, right: r, review: rev, in: in, holdings: newHoldings(d.Policy(), d.Now()).about(rev)}
		items, err := j.named()
		if err != nil {
			return err
		}
		for _, i := range items {
			done, err := j.decide(i)
			if err != nil {
				return err
			}
			shown, err := viewItem(done, newNames(&d.Tx().View), d.Policy(), d.Now())
			if err != nil {
				return err
			}
			out = append(out, shown)
		}
		return nil
	})
}

// mayReview refuses the operator, whom nobody could hold to a decision.
func mayReview(r request.Right) error {
	if !r.Operator {
		return nil
	}
	return fault.New(fault.Denied, "steward.DecideReview", "the operator's token is nobody's in particular, and somebody must be held to this: sign in as an administrator of the scope").Because(ReasonNeedsPerson)
}

// judging is one decision in its transaction.
type judging struct {
	d        *bridge.Deciding
	right    request.Right
	review   review.Review
	in       Decision
	holdings *holdings
}

// named are the items that the decision is about. What lies outside is not there for
// whoever decides.
func (j *judging) named() ([]review.Item, error) {
	const op = "steward.DecideReview"
	if !j.in.Verdict.ByPerson() {
		return nil, fault.New(fault.Invalid, op, "a verdict is keep, remove or lower")
	}
	if len(j.in.Items) == 0 {
		return j.card()
	}
	var items []review.Item
	for _, named := range j.in.Items {
		i, err := j.d.Tx().ReviewItem(j.review.ID, named.ID)
		if err != nil {
			return nil, err
		}
		if err := j.may(i); err != nil {
			return nil, err
		}
		if len(items) > 0 && (items[0].Connection != i.Connection || items[0].Person != i.Person) {
			return nil, fault.New(fault.Invalid, op, "one decision is about one person: decide card by card")
		}
		items = append(items, i)
	}
	return items, nil
}

// card are all undecided items of a person within the scope of whoever decides.
func (j *judging) card() ([]review.Item, error) {
	const op = "steward.DecideReview"
	if j.in.Card == nil {
		return nil, fault.New(fault.Invalid, op, "name the items, or whose card it is")
	}
	all, err := j.d.Tx().ReviewItemsOf(j.review.ID, j.in.Card.Connection, j.in.Card.Person)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(i review.Item) bool {
		return i.Answer.Verdict != review.Undecided || !j.right.Sees(j.d.Policy().Tree(), i.Scope)
	})
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, op, "there is no such card with anything undecided")
	}
	for _, i := range all {
		if err := j.may(i); err != nil {
			return nil, err
		}
	}
	switch j.in.Verdict {
	case review.Keep:
		return all, j.mayKeepAll(all)
	case review.Lower:
		return nil, fault.New(fault.Invalid, op, "name the items that are to be lowered")
	}
	return all, nil
}

// mayKeepAll refuses to keep a card at once that has something of high risk on it, or that
// is not as it was seen.
func (j *judging) mayKeepAll(items []review.Item) error {
	const op = "steward.DecideReview"
	look := &looking{v: &j.d.Tx().View, policy: j.d.Policy(), right: j.right, now: j.d.Now(), names: newNames(&j.d.Tx().View), holdings: j.holdings, review: j.review}
	card, err := look.card(items[0].Connection, items[0].Person)
	if err != nil {
		return err
	}
	for _, i := range card.Items {
		if i.Verdict == review.Undecided && i.Risk == access.RiskHigh {
			return fault.New(fault.Invalid, op, "item %s is of high risk: what is on this card is kept item by item", i.ID).Because(ReasonNameEachHighRisk)
		}
	}
	if j.in.Seen != card.Seen {
		return fault.New(fault.Stale, op, "the card is not what you saw (seen); look at it again").Because(ReasonItemChanged)
	}
	return nil
}

// may says whether whoever decides may decide about an item, by what holds now.
func (j *judging) may(i review.Item) error {
	const op = "steward.DecideReview"
	tree := j.d.Policy().Tree()
	if err := decides(j.right, tree, i.Scope, "item"); err != nil {
		return err
	}
	host, _ := tree.Resolve(".")
	switch {
	case j.right.Is(i.Connection, i.Person):
		return fault.New(fault.Denied, op, "nobody decides about their own access: somebody else who administers %s must", tree.Path(i.Scope)).Because(ReasonOwnReview)
	case j.review.Cause.Reviewers == mapping.ServiceOwners && j.right.Scope != host.ID:
		return fault.New(fault.Denied, op, "this review is for the service owners, who administer the host").Because(ReasonServiceOwnersAlone)
	case j.review.State == review.Gathering:
		return fault.New(fault.Conflict, op, "what this review is about is still being gathered; try again in a minute").Because(ReasonReviewGathering)
	case j.review.EndsAt(j.d.Now()):
		return fault.New(fault.Stale, op, "this review ended %s", j.review.Deadline.UTC().Format("2 January 2006 15:04 MST")).Because(ReasonReviewOver)
	case i.Answer.Verdict != review.Undecided:
		return fault.New(fault.Stale, op, "item %s was decided already: %s", i.ID, i.Answer.Verdict).Because(ReasonAlreadyDecided)
	}
	return nil
}

// decide carries out the verdict on one item. What has ended meanwhile is written down as
// that, whatever the verdict.
func (j *judging) decide(i review.Item) (review.Item, error) {
	answer := review.Answer{Verdict: j.in.Verdict, At: j.d.Now(), Connection: j.right.Connection, Person: j.right.Person, Comment: strings.TrimSpace(j.in.Comment)}
	held, err := heldNow(j.d, j.holdings, i.Connection, i.Person)
	if err != nil {
		return i, err
	}
	now, holds := held[pairOf(i.Held)]
	if !holds {
		return answered(j.d, i, review.Answer{Verdict: review.Gone, At: j.d.Now(), Ended: true, Because: ReasonEndedBefore})
	}
	if err := j.sound(i, now); err != nil {
		return i, err
	}
	effect := review.EffectOf(j.in.Verdict, now, flagsOf(j.in.Flags))
	if j.in.Verdict == review.Lower {
		answer.Flags = j.in.Flags
	}
	if j.in.Verdict == review.Remove {
		if err := j.agreed(&answer, now, held, effect); err != nil {
			return i, err
		}
	}
	if err := carryOut(j.d, now, effect, &answer, j.setter()); err != nil {
		return i, err
	}
	return answered(j.d, i, answer)
}

func pairOf(h review.Held) mapping.Pair { return mapping.Pair{Grant: h.Grant, Scope: h.Scope} }

func flagsOf(f *access.Flags) access.Flags {
	if f == nil {
		return access.Flags{}
	}
	return *f
}

// sound holds the verdict against what is held now.
func (j *judging) sound(i review.Item, now review.Held) error {
	const op = "steward.DecideReview"
	at := slices.IndexFunc(j.in.Items, func(n ItemSeen) bool { return n.ID == i.ID })
	seen := ""
	if at >= 0 {
		seen = j.in.Items[at].Seen
	}
	switch {
	case at >= 0 && j.in.Verdict != review.Remove && seen == "":
		return fault.New(fault.Invalid, op, "say which form of item %s you have seen: its card has that (seen)", i.ID)
	case seen != "" && seen != now.Seen():
		return fault.New(fault.Stale, op, "what is held by item %s has changed since you looked; look at the card again", i.ID).Because(ReasonItemChanged)
	case j.in.Verdict == review.Lower && (j.in.Flags == nil || !review.Lowers(now.Flags, *j.in.Flags)):
		return fault.New(fault.Invalid, op, "lower leaves less than events %s, video %t", now.Flags.Events, now.Flags.Video).Because(ReasonNotLower)
	}
	return nil
}

// agreed refuses to take what must not go unseen: the last administrator of a scope, and
// what a rule gives below it.
func (j *judging) agreed(answer *review.Answer, now review.Held, held map[mapping.Pair]review.Held, effect review.Effect) error {
	const op = "steward.DecideReview"
	tree := j.d.Policy().Tree()
	if effect.Withhold && !j.in.ConfirmMore {
		if more := alsoWithheld(tree, now, held); len(more) > 0 {
			return fault.New(fault.Invalid, op, "to withhold %s @ %s takes %s as well; confirm that (confirm_more)", now.Grant, tree.Path(now.Scope), inWords(tree, more)).Because(ReasonRemovesMore)
		}
	}
	taken := []review.Held{now}
	if effect.Withhold {
		taken = append(taken, alsoWithheld(tree, now, held)...)
	}
	for _, h := range taken {
		if err := j.followed(answer, h); err != nil {
			return err
		}
	}
	return nil
}

// followed refuses to leave a scope without an administrator, unless whoever decides says
// who follows, or that nobody will.
func (j *judging) followed(answer *review.Answer, h review.Held) error {
	const op = "steward.DecideReview"
	last, err := lastAdministrator(&j.d.Tx().View, h, j.d.Now())
	if err != nil || !last {
		return err
	}
	switch {
	case j.in.Successor != nil:
		answer.Successor = string(j.in.Successor.Connection) + "/" + string(j.in.Successor.Person)
		return succeeds(j.d, *j.in.Successor, h)
	case j.in.ConfirmLast:
		answer.NoneLeft = true
		return nil
	}
	return fault.New(fault.Invalid, op, "nobody else administers %s without an end: name a successor, or confirm that there will be none", j.d.Policy().Tree().Path(h.Scope)).Because(ReasonLastAdministrator)
}

// carryOut ends permits, sets the limit, and decides the person anew: all of it is gone
// with the commit.
func carryOut(d *bridge.Deciding, h review.Held, e review.Effect, answer *review.Answer, by setter) error {
	if e.Nothing() {
		return nil
	}
	dir, err := d.Tx().In(h.Connection)
	if err != nil {
		return err
	}
	p, err := dir.Person(h.Person)
	if err != nil {
		return err
	}
	for _, id := range e.End {
		t, err := dir.EndPermit(id, access.EndPermitReview, d.Now())
		if err != nil {
			return err
		}
		d.Say(event.PermitEnded, h.Connection, h.Person, bridge.PermitFact(t))
		answer.Permits = append(answer.Permits, id)
	}
	if e.Limits() {
		l, err := putLimit(d, dir, p, e.Limit(h), by)
		if err != nil {
			return err
		}
		answer.Limit, answer.Withheld = l.ID, l.Withheld
	}
	answer.Ended = answer.Verdict != review.Lower
	if dir.Row().State != store.ConnectionActive {
		return nil // they hold nothing, and are decided anew if the connection is resumed
	}
	if p, err = dir.Person(h.Person); err != nil {
		return err
	}
	return d.Decide(h.Connection, p)
}

// answered writes down what became of an item, and says it.
func answered(d *bridge.Deciding, i review.Item, a review.Answer) (review.Item, error) {
	if err := placedNow(d, &i); err != nil {
		return i, err
	}
	if err := d.Tx().AnswerReviewItem(i, a); err != nil {
		return i, err
	}
	i.Answer = a
	data := map[string]string{"review": string(i.Review), "item": i.ID, "verdict": string(a.Verdict), "grant": string(i.Grant), "scope": string(i.Scope)}
	if a.Because != "" {
		data["reason"] = a.Because
	}
	if a.Person != "" {
		data["by"], data["by_connection"] = string(a.Person), string(a.Connection)
	}
	if a.Withheld {
		data["at_identity_provider"] = "true"
	}
	d.Say(event.ReviewDecided, i.Connection, i.Person, data)
	return i, nil
}
