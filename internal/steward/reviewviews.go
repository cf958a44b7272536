package steward

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// ReviewView is a review as people read it. Its counts are of what whoever reads sees.
type ReviewView struct {
	ID         access.ReviewID    `json:"id"`
	Trigger    review.Trigger     `json:"trigger"`
	About      string             `json:"about" doc:"why it began, in words"`
	Name       string             `json:"name,omitempty" doc:"of its schedule, or as whoever began it called it"`
	Select     string             `json:"select,omitempty" doc:"what it looks at: a name, or CEL over an assignment"`
	State      review.State       `json:"state" enum:"gathering,open,ended"`
	Began      time.Time          `json:"began"`
	Deadline   time.Time          `json:"deadline"`
	Ended      time.Time          `json:"ended,omitzero"`
	Nothing    bool               `json:"nothing,omitempty" doc:"it ended by itself before its deadline: it found nothing that is to be decided"`
	Closed     *ClosedView        `json:"closed,omitempty" doc:"it was ended before its deadline: answers were cut off"`
	Reviewers  mapping.Approvers  `json:"reviewers"`
	Unanswered mapping.Unanswered `json:"unanswered" doc:"what becomes of what nobody decides"`
	Counts     review.Counts      `json:"counts"`
}

// ClosedView says how a review was ended before its deadline.
type ClosedView struct {
	By   Who       `json:"by"`
	At   time.Time `json:"at"`
	Text string    `json:"text" doc:"the same in words"`
}

// ReviewPage is a part of the list of reviews, the newest first.
type ReviewPage struct {
	Reviews []ReviewView    `json:"reviews"`
	Next    access.ReviewID `json:"next,omitempty" doc:"for after; empty: there are no more"`
}

// CardView is what one person has under review, as far as whoever reads sees it.
type CardView struct {
	For       Who         `json:"for"`
	Risk      access.Risk `json:"risk" doc:"of the riskiest item"`
	Undecided int         `json:"undecided"`
	Own       bool        `json:"own,omitempty" doc:"it is your own access: somebody else decides"`
	Elsewhere bool        `json:"elsewhere,omitempty" doc:"the person has something under review outside your scope, too"`
	Deadline  time.Time   `json:"deadline"`
	Otherwise string      `json:"otherwise" doc:"what happens if nobody answers"`
	Seen      string      `json:"seen" doc:"names what is undecided on the card, for keeping all of it"`
	Items     []ItemView  `json:"items"`
}

// CardPage is a part of the cards of a review, the riskiest first.
type CardPage struct {
	Review ReviewView `json:"review"`
	Cards  []CardView `json:"cards"`
	Next   string     `json:"next,omitempty" doc:"for after; empty: there are no more"`
}

// ItemView is one assignment under review.
type ItemView struct {
	ID         string          `json:"id"`
	Grant      access.Grant    `json:"grant"`
	PublicName string          `json:"public_name"`
	Area       AreaView        `json:"area"`
	Flags      access.Flags    `json:"flags"`
	Standing   access.Standing `json:"standing"`
	Risk       access.Risk     `json:"risk"`
	Since      time.Time       `json:"since,omitzero"`
	NotBefore  time.Time       `json:"not_before,omitzero"`
	Until      time.Time       `json:"until,omitzero" doc:"left out: no end"`
	LastUsed   time.Time       `json:"last_used,omitzero" doc:"to the minute; left out: never"`
	Used       string          `json:"used" doc:"the same in words"`
	Why        []WhyView       `json:"why"`
	HeldBack   bool            `json:"held_back,omitempty" doc:"nothing is held by it now: a technician without a certification in date"`
	Changed    bool            `json:"changed,omitempty" doc:"what is held now differs from what was gathered; what is shown is what is held now"`
	Seen       string          `json:"seen,omitempty" doc:"names what is shown: send it with the decision"`
	Same       int64           `json:"same,omitempty" doc:"how many others hold the same grant at the same scope, up to a thousand"`
	Last       bool            `json:"last_administrator,omitempty" doc:"nobody else administers the scope without an end"`
	AlsoTakes  []string        `json:"also_takes,omitempty" doc:"what goes with it if it is removed"`
	AtIdP      bool            `json:"at_identity_provider,omitempty" doc:"a rule gives it: to remove it for good the group must be changed at the identity provider, too"`
	Verdict    review.Verdict  `json:"verdict,omitempty" enum:"keep,remove,lower,gone,unanswered"`
	Decided    *DecidedView    `json:"decided,omitempty"`
}

// WhyView is one reason for which something is held.
type WhyView struct {
	Kind     access.SourceKind `json:"kind"`
	Text     string            `json:"text"`
	How      string            `json:"how" enum:"rule,request,break_glass,act"`
	Rule     string            `json:"rule,omitempty"`
	Group    string            `json:"group,omitempty"`
	Request  access.RequestID  `json:"request,omitempty"`
	Case     access.CaseID     `json:"case,omitempty"`
	Asked    *Who              `json:"asked_by,omitempty"`
	Reason   string            `json:"reason,omitempty" doc:"as whoever asked wrote it"`
	Approved []Who             `json:"approved_by,omitempty"`
	Since    time.Time         `json:"since,omitzero"`
	Until    time.Time         `json:"until,omitzero"`
}

// DecidedView is what became of an item.
type DecidedView struct {
	By        *Who          `json:"by,omitempty" doc:"left out: nobody decided"`
	At        time.Time     `json:"at"`
	Comment   string        `json:"comment,omitempty"`
	Flags     *access.Flags `json:"flags,omitempty" doc:"what it was lowered to"`
	Ended     bool          `json:"ended"`
	Because   string        `json:"because,omitempty" doc:"a reason code"`
	Successor string        `json:"successor,omitempty"`
	NoneLeft  bool          `json:"none_left,omitempty" doc:"it was confirmed that the scope is left without an administrator"`
	Text      string        `json:"text" doc:"the same in words"`
}

func viewReview(v *store.View, r review.Review, t *access.Tree) (ReviewView, error) {
	c := r.Cause
	out := ReviewView{ID: r.ID, Trigger: c.Trigger, About: about(c, t), Name: c.Name, Select: c.Select, State: r.State, Began: r.Began, Deadline: r.Deadline, Ended: r.Ended,
		Reviewers: c.Reviewers, Unanswered: c.Unanswered, Counts: r.Counts}
	if r.Closed == nil {
		out.Nothing = r.State == review.Ended && r.Ended.Before(r.Deadline)
		return out, nil
	}
	by := Who{Operator: r.Closed.Operator}
	var err error
	if by.Operator == "" {
		by, err = newNames(v).who(r.Closed.Connection, r.Closed.Person)
	}
	out.Closed = &ClosedView{By: by, At: r.Closed.At, Text: fmt.Sprintf("%s closed it %s: answers were cut off, and what nobody had answered is kept.", by.called(), said(r.Closed.At))}
	return out, err
}

// said is an instant in a sentence.
func said(at time.Time) string { return at.UTC().Format("2 January 2006 15:04 MST") }

// about says why a review began.
func about(c review.Cause, t *access.Tree) string {
	switch c.Trigger {
	case review.ByCase:
		return fmt.Sprintf("case %s was closed", c.Case)
	case review.ByConnection:
		return fmt.Sprintf("the connection %s ended", c.Connection)
	case review.ByScope:
		return fmt.Sprintf("%s lies under another scope now", t.Path(c.Scope))
	case review.ByCertificate:
		return "a technician's certification lapsed"
	case review.BySchedule:
		return fmt.Sprintf("the schedule %s", c.Name)
	}
	if c.Scope != "" {
		return fmt.Sprintf("somebody began it, for %s", t.Path(c.Scope))
	}
	return "somebody began it"
}

// otherwise says what happens to what nobody answers.
func otherwise(r review.Review) string {
	if r.Closed != nil {
		return "It was closed early: what nobody had answered is kept."
	}
	if r.Removes() {
		return "What nobody decides by then is removed, but for the last administrator of a scope."
	}
	return "What nobody decides by then is kept, and the report says that nobody answered."
}

// names finds out what people are called, each once.
type names struct {
	v     *store.View
	known map[PersonRef]Who
}

func newNames(v *store.View) *names { return &names{v: v, known: map[PersonRef]Who{}} }

// who is somebody as they are called now; of whoever is gone only the id is left.
func (n *names) who(conn access.ConnectionID, id access.PersonID) (Who, error) {
	ref := PersonRef{conn, id}
	if w, known := n.known[ref]; known {
		return w, nil
	}
	w := Who{PersonRef: ref}
	dir, err := n.v.In(conn)
	if err == nil {
		var p store.Person
		if p, err = dir.Person(id); err == nil {
			w.UserName, w.DisplayName = p.UserName, p.DisplayName
		}
	}
	if err != nil && !isNotFound(err) {
		return w, err
	}
	n.known[ref] = w
	return w, nil
}

// viewItem shows an item as it was gathered, or as it is held now.
func viewItem(i review.Item, n *names, p *mapping.Policy, now time.Time) (ItemView, error) {
	h := i.Held
	out := ItemView{ID: i.ID, Grant: h.Grant, PublicName: p.Catalogue().PublicName(h.Grant), Area: areaOf(p.Tree(), h), Flags: h.Flags, Standing: h.Standing, Risk: h.Risk,
		Since: h.Since, NotBefore: h.NotBefore, Until: h.Until, LastUsed: h.LastUsed, Used: used(h.LastUsed, now), HeldBack: h.Assignment == "" && h.Grant.NeedsCertification() && i.Answer.Verdict != review.Gone, AtIdP: h.ByRules(), Verdict: i.Answer.Verdict}
	for _, w := range h.Why {
		why := WhyView{Kind: w.Kind, Rule: w.Rule, Group: w.Group, Request: w.Request, Case: w.Case, Since: w.Since, Until: w.Until}
		if err := n.reason(w, &why); err != nil {
			return out, err
		}
		out.Why = append(out.Why, why)
	}
	if i.Answer.Verdict == review.Undecided {
		return out, nil
	}
	decided, err := n.decided(i.Answer, h)
	out.Decided = &decided
	return out, err
}

func areaOf(t *access.Tree, h review.Held) AreaView {
	s, known := t.Scope(h.Scope)
	if !known {
		return AreaView{ID: h.Scope, Path: h.Path, Level: h.Level}
	}
	return AreaView{ID: s.ID, Path: t.Path(s.ID), Level: s.Level, Name: s.Name}
}

// used says when something was used last.
func used(at, now time.Time) string {
	days := int(now.Sub(at) / (24 * time.Hour))
	switch {
	case at.IsZero():
		return "never used"
	case days < 1:
		return "used within the last day"
	case days == 1:
		return "used yesterday"
	}
	return fmt.Sprintf("last used %d days ago", days)
}

// reason says in a sentence why something is held, and who asked for it and approved it.
func (n *names) reason(w review.Why, out *WhyView) error {
	out.How = howRule
	if w.Kind == access.SourceRule {
		out.Text = "rule " + w.Rule
		if w.Asks != "" {
			out.Text += ": " + w.Asks
		}
		if w.Group != "" {
			out.Text += fmt.Sprintf("; is in “%s”", w.Group)
		}
		return nil
	}
	out.How, out.Text = howAct, "an administrator's act"
	if w.Request != "" {
		out.How, out.Text = howRequest, fmt.Sprintf("request %s", w.Request)
		if err := n.asked(w.Request, out); err != nil {
			return err
		}
	}
	if w.Case != "" {
		out.Text += fmt.Sprintf(", for case %s", w.Case)
	}
	return nil
}

// How somebody came to hold something.
const (
	howRule    = "rule"
	howRequest = "request"
	howGlass   = "break_glass" // taken at once; whoever stands as approver confirmed it afterwards
	howAct     = "act"
)

// asked says of a request who made it, why, and who approved it; nothing, where there is no
// such request here.
func (n *names) asked(id access.RequestID, out *WhyView) error {
	r, err := n.v.Request(id)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	who, err := n.party(r.By)
	if err != nil {
		return err
	}
	out.Asked, out.Reason = &who, r.Wish.Reason
	for _, a := range r.Approvals {
		by, err := n.party(a.By)
		if err != nil {
			return err
		}
		out.Approved = append(out.Approved, by)
	}
	agreed := "approved"
	if r.Wish.BreakGlass {
		out.How, agreed = howGlass, "confirmed"
		out.Text = fmt.Sprintf("taken at once (broken glass) by request %s", id)
	}
	switch {
	case len(out.Approved) > 0:
		out.Text += fmt.Sprintf(", %s by %s", agreed, calledAll(out.Approved))
	case r.Wish.BreakGlass:
		out.Text += ", confirmed by nobody"
	}
	return nil
}

func (n *names) party(p request.Party) (Who, error) {
	if p.Operator != "" {
		return Who{Operator: p.Operator}, nil
	}
	return n.who(p.Connection, p.Person)
}

func calledAll(all []Who) string {
	var called []string
	for _, w := range all {
		called = append(called, w.called())
	}
	return strings.Join(called, " and ")
}

// called is a name for somebody, whoever they are.
func (w Who) called() string {
	return cmp.Or(w.DisplayName, w.UserName, w.Operator, string(w.Person))
}

// decided shows what became of an item.
func (n *names) decided(a review.Answer, h review.Held) (DecidedView, error) {
	out := DecidedView{At: a.At, Comment: a.Comment, Flags: a.Flags, Ended: a.Ended, Because: a.Because, Successor: a.Successor, NoneLeft: a.NoneLeft}
	if a.Person != "" {
		who, err := n.who(a.Connection, a.Person)
		if err != nil {
			return out, err
		}
		out.By = &who
	}
	out.Text = became(a, h)
	return out, nil
}

// became says in a sentence what became of an item.
func became(a review.Answer, h review.Held) string {
	at := said(a.At)
	switch {
	case a.Verdict == review.Keep:
		return "Kept " + at + "."
	case a.Verdict == review.Lower && a.Flags != nil:
		return fmt.Sprintf("Lowered to events %s, video %t, %s.", a.Flags.Events, a.Flags.Video, at)
	case a.Verdict == review.Gone:
		return fmt.Sprintf("Had ended before anybody decided (%s).", strings.ReplaceAll(a.Because, "_", " "))
	case a.Verdict == review.Unanswered && a.Because == ReasonLastAdministrator:
		return "Nobody answered. Kept, because nobody else administers " + h.Path + " without an end."
	case a.Verdict == review.Unanswered && a.Because == ReasonClosedEarly:
		return "Nobody had answered when the review was closed early. Kept."
	case a.Verdict == review.Unanswered && a.Because != "":
		return fmt.Sprintf("Nobody answered. Kept (%s).", a.Because)
	case a.Verdict == review.Unanswered && !a.Ended:
		return "Nobody answered. Kept, as the review says."
	}
	text := "Removed " + at + "."
	if a.Verdict == review.Unanswered {
		text = "Nobody answered. Removed " + at + ", as the review says."
	}
	if a.Withheld {
		text += " The group must be changed at the identity provider, too: its rule would give it still."
	}
	return text
}

// seenOf names what is undecided on a card.
func seenOf(items []ItemView) string {
	var all []string
	for _, i := range items {
		if i.Verdict == review.Undecided {
			all = append(all, i.ID+" "+i.Seen)
		}
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "\n")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}
