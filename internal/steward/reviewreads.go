package steward

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// The largest pages of reviews and cards, and what is counted of those who hold the same.
const (
	mostReviews = 200
	mostCards   = 100
	mostSame    = 1000

	maxReviewName = 100 // characters
)

func isNotFound(err error) bool { return fault.Is(err, fault.NotFound) }

func isHost(t *access.Tree, at access.ScopeID) bool {
	host, _ := t.Resolve(".")
	return host.ID == at
}

func pageSize(asked, most int) int {
	if asked <= 0 || asked > most {
		return most
	}
	return asked
}

// root is where somebody reads reviews: the scope that they administer; the host for the
// operator. fault.NotFound for whoever administers nothing: there are no reviews for them.
func root(r request.Right, t *access.Tree) (access.ScopeID, error) {
	if !r.Operator && r.Grant == access.Administrator {
		if err := sees(r, t, r.Scope, "review"); err != nil {
			return "", err
		}
	}
	if at := r.Root(t); at != "" {
		return at, nil
	}
	return "", fault.New(fault.NotFound, "steward.root", "there is no such review")
}

// visible is a review as somebody sees it, with the counts of what they see. Where nothing
// of it lies in their scope it is not there.
func visible(v *store.View, r request.Right, t *access.Tree, id access.ReviewID) (review.Review, access.ScopeID, error) {
	at, err := root(r, t)
	if err != nil {
		return review.Review{}, "", err
	}
	one, err := v.Review(id)
	if err != nil || r.Operator {
		return one, at, err
	}
	here, err := v.ReviewAt(id, at)
	if err == nil && here.Items == 0 {
		err = fault.New(fault.NotFound, "steward.visible", "there is no such review")
	}
	if !isHost(t, at) {
		one.Counts = here
	}
	return one, at, err
}

// Reviews lists reviews, the newest first: all of them for the operator, those with
// something in their scope for whoever administers one.
func (s *Steward) Reviews(ctx context.Context, a Actor, after access.ReviewID, count int) (ReviewPage, error) {
	var page ReviewPage
	n := pageSize(count, mostReviews)
	return page, s.reading(ctx, a, func(v *store.View, p *mapping.Policy, _ time.Time, r request.Right) error {
		page = ReviewPage{Reviews: []ReviewView{}}
		at, err := root(r, p.Tree())
		if err != nil {
			return err
		}
		var all []review.Review
		if r.Operator {
			all, err = v.Reviews(after, n)
		} else {
			all, err = v.ReviewsAt(at, after, n)
		}
		for _, one := range all {
			shown, err := viewReview(v, one, p.Tree())
			if err != nil {
				return err
			}
			page.Reviews = append(page.Reviews, shown)
		}
		if len(all) == n {
			page.Next = all[n-1].ID
		}
		return err
	})
}

// Review shows one review.
func (s *Steward) Review(ctx context.Context, a Actor, id access.ReviewID) (ReviewView, error) {
	var out ReviewView
	return out, s.reading(ctx, a, func(v *store.View, p *mapping.Policy, _ time.Time, r request.Right) error {
		one, _, err := visible(v, r, p.Tree(), id)
		if err == nil {
			out, err = viewReview(v, one, p.Tree())
		}
		return err
	})
}

// CardQuery asks for cards of a review.
type CardQuery struct {
	Open  bool   // only those with something undecided
	After string // where the page before ended
	Count int    // at most 100
}

// Cards lists the cards of a review that somebody sees, the riskiest first. A page may be
// shorter than was asked for, and still have a next one.
func (s *Steward) Cards(ctx context.Context, a Actor, id access.ReviewID, q CardQuery) (CardPage, error) {
	var page CardPage
	n := pageSize(q.Count, mostCards)
	return page, s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		one, at, err := visible(v, r, p.Tree(), id)
		if err != nil {
			return err
		}
		page = CardPage{Cards: []CardView{}}
		if page.Review, err = viewReview(v, one, p.Tree()); err != nil {
			return err
		}
		cards, next, err := cardsAt(v, p.Tree(), id, at, q, n)
		if err != nil {
			return err
		}
		page.Next = next
		look := &looking{v: v, policy: p, right: r, now: now, names: newNames(v), holdings: newHoldings(p, now).about(one), review: one}
		for _, c := range cards {
			card, err := look.card(c.Connection, c.Person)
			if err != nil {
				return err
			}
			if len(card.Items) > 0 && (!q.Open || card.Undecided > 0) {
				page.Cards = append(page.Cards, card)
			}
		}
		return nil
	})
}

// cardsAt are the next cards of a review at a scope, and the place behind them; "": there
// are no more.
func cardsAt(v *store.View, t *access.Tree, id access.ReviewID, at access.ScopeID, q CardQuery, n int) ([]store.Card, string, error) {
	from := store.CardPlace{Rank: -1}
	if err := placeIn(q.After, &from); err != nil {
		return nil, "", err
	}
	_, moving, err := v.ReviewMove(id)
	if err != nil {
		return nil, "", err
	}
	if moving { // cards may lie where they lay: those of the whole review are looked through
		host, _ := t.Resolve(".")
		at = host.ID
	}
	cards, err := v.ReviewCards(id, at, from, q.Open, n)
	if err != nil || len(cards) < n {
		return cards, "", err
	}
	last := cards[n-1]
	return cards, placeText(store.CardPlace{Rank: last.Rank, Connection: last.Connection, Person: last.Person}), nil
}

// Card shows what one person has under review, as far as somebody sees it.
func (s *Steward) Card(ctx context.Context, a Actor, id access.ReviewID, of PersonRef) (CardView, error) {
	var out CardView
	return out, s.reading(ctx, a, func(v *store.View, p *mapping.Policy, now time.Time, r request.Right) error {
		one, _, err := visible(v, r, p.Tree(), id)
		if err != nil {
			return err
		}
		look := &looking{v: v, policy: p, right: r, now: now, names: newNames(v), holdings: newHoldings(p, now).about(one), review: one}
		out, err = look.card(of.Connection, of.Person)
		if err == nil && len(out.Items) == 0 {
			err = fault.New(fault.NotFound, "steward.Card", "there is no such card")
		}
		return err
	})
}

func placeText(p any) string {
	text, _ := json.Marshal(p) // numbers and texts always marshal
	return base64.RawURLEncoding.EncodeToString(text)
}

// looking shows cards to somebody, on one snapshot.
type looking struct {
	v        *store.View
	policy   *mapping.Policy
	right    request.Right
	now      time.Time
	names    *names
	holdings *holdings
	review   review.Review
}

// card shows what somebody has under review within the scope of whoever looks.
func (l *looking) card(conn access.ConnectionID, person access.PersonID) (CardView, error) {
	all, err := l.v.ReviewItemsOf(l.review.ID, conn, person)
	if err != nil {
		return CardView{}, err
	}
	out := CardView{Deadline: l.review.Deadline, Otherwise: otherwise(l.review), Own: l.right.Is(conn, person), Items: []ItemView{}}
	if out.For, err = l.names.who(conn, person); err != nil {
		return out, err
	}
	held, err := l.held(conn, person)
	if err != nil {
		return out, err
	}
	for _, i := range all {
		if !l.right.Sees(l.policy.Tree(), i.Scope) {
			out.Elsewhere = true
			continue
		}
		item, err := l.item(i, held)
		if err != nil {
			return out, err
		}
		if i.Answer.Verdict == review.Undecided {
			out.Undecided++
		}
		out.Risk = max(out.Risk, item.Risk)
		out.Items = append(out.Items, item)
	}
	out.Seen = seenOf(out.Items)
	return out, nil
}

// held is what somebody holds now as far as a snapshot says; nothing, if they are gone.
func (l *looking) held(conn access.ConnectionID, person access.PersonID) (map[mapping.Pair]review.Held, error) {
	dir, err := l.v.In(conn)
	if err == nil {
		var p store.Person
		if p, err = dir.Person(person); err == nil {
			return l.holdings.of(dir, p)
		}
	}
	if isNotFound(err) {
		return nil, nil
	}
	return nil, err
}

// item shows one item: what is undecided as it is held now, the rest as it was gathered.
func (l *looking) item(i review.Item, held map[mapping.Pair]review.Held) (ItemView, error) {
	now, holds := held[pairOf(i.Held)]
	open := i.Answer.Verdict == review.Undecided && holds
	was := i.Held
	if open {
		i.Held = now
	}
	out, err := viewItem(i, l.names, l.policy, l.now)
	if err != nil || !open {
		return out, err
	}
	out.Seen, out.Changed = now.Seen(), now.Seen() != was.Seen()
	for _, more := range alsoWithheld(l.policy.Tree(), now, held) {
		out.AlsoTakes = append(out.AlsoTakes, fmt.Sprintf("%s @ %s", more.Grant, l.policy.Tree().Path(more.Scope)))
	}
	if out.Same, err = l.v.CountSame(now.Grant, now.Scope, mostSame+1); err != nil {
		return out, err
	}
	out.Same = max(out.Same-1, 0)
	out.Last, err = lastAdministrator(l.v, now, l.now)
	return out, err
}

// NewReview is a review that somebody begins by hand.
type NewReview struct {
	Name       string              `json:"name,omitempty" maxLength:"100" doc:"what it is called"`
	Area       string              `json:"area,omitempty" maxLength:"300" doc:"path or id of a scope: it looks at what is held there and below; left out: at all that you administer"`
	Connection access.ConnectionID `json:"connection,omitempty" maxLength:"128" doc:"only at people of that connection"`
	Select     string              `json:"select,omitempty" maxLength:"4000" doc:"high_risk, guests, unused_administrators, by_people, everything, or CEL over an assignment; left out: everything"`
	Within     time.Duration       `json:"-"`
	Reviewers  mapping.Approvers   `json:"reviewers,omitempty" enum:"scope_administrators,service_owners"`
	Unanswered mapping.Unanswered  `json:"unanswered,omitempty" enum:"keep,remove" doc:"left out: keep"`
}

// StartReview begins a review by hand: of anything for the operator, within their scope for
// whoever administers one.
func (s *Steward) StartReview(ctx context.Context, a Actor, in NewReview) (ReviewView, error) {
	const op = "steward.StartReview"
	var out ReviewView
	if err := printed("name", in.Name, maxReviewName); err != nil {
		return out, err
	}
	return out, s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		tree := d.Policy().Tree()
		at, err := root(r, tree)
		if err != nil {
			return err
		}
		if in.Area != "" {
			if at, err = areaIn(tree, in.Area); err != nil {
				return err
			}
		}
		if err := sees(r, tree, at, "scope"); err != nil {
			return err
		}
		c := review.Cause{Trigger: review.ByHand, Name: in.Name, Scope: at, Connection: in.Connection, Select: in.Select, Within: in.Within, Reviewers: in.Reviewers, Unanswered: in.Unanswered}
		if _, err := c.Selection(); err != nil {
			return fault.New(fault.Invalid, op, "%v", err)
		}
		if isHost(tree, at) {
			c.Scope = "" // all of the host: connection by connection
		}
		id, err := Open(d, c)
		if err != nil {
			return err
		}
		one, err := d.Tx().Review(id)
		if err == nil {
			out, err = viewReview(&d.Tx().View, one, tree)
		}
		return err
	})
}

// areaIn is the scope in use that an id or a path names.
func areaIn(t *access.Tree, name string) (access.ScopeID, error) {
	s, ok := t.Scope(access.ScopeID(name))
	if !ok {
		s, ok = t.Find(name)
	}
	if ok && t.Live(s.ID) {
		return s.ID, nil
	}
	return "", fault.New(fault.NotFound, "steward.areaIn", "there is no such scope")
}

// ReasonUndecidedLeft refuses to close a review early in which something is undecided.
const ReasonUndecidedLeft = "undecided_left"

// CloseReview ends a review before its time: what is undecided is kept, if that is
// confirmed, since nobody can say that it was not answered. The report says by whom answers
// were cut off. It is for the operator, and for whoever administers all that the review is
// about.
func (s *Steward) CloseReview(ctx context.Context, a Actor, id access.ReviewID, confirm bool) (ReviewView, error) {
	const op = "steward.CloseReview"
	var out ReviewView
	err := s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		tree := d.Policy().Tree()
		one, at, err := visible(&d.Tx().View, r, tree, id)
		if err != nil {
			return err
		}
		whole, err := d.Tx().Review(id)
		if err != nil {
			return err
		}
		here, err := d.Tx().ReviewAt(id, at)
		switch {
		case err != nil:
			return err
		case !r.Operator && here.Items < whole.Counts.Items:
			return fault.New(fault.Denied, op, "this review is about more than your scope: it ends %s", one.Deadline.UTC().Format("2 January 2006 15:04 MST"))
		case whole.State == review.Gathering:
			return fault.New(fault.Conflict, op, "what this review is about is still being gathered; try again in a minute").Because(ReasonReviewGathering)
		case whole.EndsAt(d.Now()):
			return fault.New(fault.Stale, op, "the review has ended already").Because(ReasonReviewOver)
		case whole.Counts.Open > 0 && !confirm:
			return fault.New(fault.Invalid, op, "%d items are undecided; confirm that they are kept, whatever the review says of what nobody answers", whole.Counts.Open).Because(ReasonUndecidedLeft)
		}
		whole.Next, whole.Closed = d.Now(), &review.Closed{At: d.Now(), Connection: r.Connection, Person: r.Person}
		if r.Operator {
			whole.Closed.Operator = r.Name
		}
		if err := d.Tx().MoveReview(whole); err != nil {
			return err
		}
		out, err = viewReview(&d.Tx().View, whole, tree)
		return err
	})
	if err != nil {
		return out, err
	}
	if err := chunks(ctx, func() (bool, error) { return s.due(ctx, id) }); err != nil {
		return out, err
	}
	return s.Review(ctx, a, id)
}
