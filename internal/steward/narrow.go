package steward

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// Why a limit is not set or lifted.
const (
	ReasonNothingNarrowed = "nothing_narrowed" // it would take nothing
	ReasonOwnLimit        = "own_limit"        // nobody lifts what binds themselves
	ReasonLimitFromAbove  = "limit_from_above" // whoever set it did so by a scope above
)

// maxLimits is how many limits may bind one person.
const maxLimits = 50

// MaxReason is the longest reason that people give, in characters.
const MaxReason = 1000

// Narrowing is what is taken from one person within an area. It lowers, and never gives.
type Narrowing struct {
	Area    string            `json:"area" maxLength:"300" doc:"path or id of a scope: it binds what is held there and below"`
	Grant   access.Grant      `json:"grant,omitempty" maxLength:"32" doc:"of this grant alone; left out: of all"`
	Events  *access.EventFlag `json:"events,omitempty" enum:"none,standard" doc:"the most that they may see"`
	NoVideo bool              `json:"no_video,omitempty" doc:"no in-cabin video and stills"`
	Reason  string            `json:"reason" maxLength:"1000"`
}

// LimitView is a limit as people read it.
type LimitView struct {
	ID       access.LimitID    `json:"id"`
	For      Who               `json:"for"`
	Area     AreaView          `json:"area"`
	Grant    access.Grant      `json:"grant,omitempty" doc:"left out: all of them"`
	Withheld bool              `json:"withheld,omitempty" doc:"rules do not give the grant: a review decided so"`
	Events   *access.EventFlag `json:"events,omitempty"`
	NoVideo  bool              `json:"no_video,omitempty"`
	Set      time.Time         `json:"set"`
	By       string            `json:"by,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Lifted   time.Time         `json:"lifted,omitzero"`
	LiftedBy string            `json:"lifted_by,omitempty"`
	Because  string            `json:"because,omitempty" doc:"why it was lifted"`
}

// Narrow takes event sensitivity or video from somebody within an area where whoever acts
// administers. The person's tokens there die, and the next ones open less. What a limit
// takes already is not taken twice: that limit is given back.
func (s *Steward) Narrow(ctx context.Context, a Actor, ref PersonRef, n Narrowing) (out LimitView, err error) {
	if err := n.check(); err != nil {
		return out, err
	}
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		area, err := areaSeen(r, d.Policy().Tree(), n.Area)
		if err != nil {
			return err
		}
		dir, p, err := settledPerson(d, r, ref)
		if err != nil {
			return err
		}
		l, found, err := bindingLike(&dir.Directory, p, area.ID, n)
		if err != nil {
			return err
		}
		if !found {
			l = access.Limit{Person: p.ID, Scope: area.ID, Grant: n.Grant, Events: n.Events, NoVideo: n.NoVideo}
			if l, err = putLimit(d, dir, p, l, setter{right: r, reason: n.Reason}); err != nil {
				return err
			}
			if err := decideAnew(d, dir, p); err != nil {
				return err
			}
		}
		out, err = limitView(&d.Tx().View, d.Policy().Tree(), p, l)
		return err
	})
	return out, err
}

func (n Narrowing) check() error {
	const op = "steward.Narrow"
	switch {
	case n.Grant != "" && !n.Grant.Known():
		return fault.New(fault.Invalid, op, "%q is not a grant", n.Grant)
	case n.Events != nil && *n.Events != access.EventsNone && *n.Events != access.EventsStandard:
		return fault.New(fault.Invalid, op, "events can be narrowed to none or standard, not to %q", n.Events.String()).Because(ReasonNothingNarrowed)
	case n.Events == nil && !n.NoVideo:
		return fault.New(fault.Invalid, op, "say what is taken: events down to none or standard, or video").Because(ReasonNothingNarrowed)
	}
	return checkReason(op, n.Reason)
}

// checkReason holds a reason that people give to its form: there is one, in printed
// characters and lines.
func checkReason(op, reason string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return fault.New(fault.Invalid, op, "say why: it is kept with what is decided").Because(request.ReasonReason)
	case utf8.RuneCountInString(reason) > MaxReason:
		return fault.New(fault.Invalid, op, "the reason is longer than %d characters", MaxReason)
	case !utf8.ValidString(reason) || strings.ContainsFunc(reason, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }):
		return fault.New(fault.Invalid, op, "the reason holds a character that is not printed")
	}
	return nil
}

// areaSeen finds a scope where whoever acts may decide for others.
func areaSeen(r request.Right, t *access.Tree, at string) (access.Scope, error) {
	s, ok := t.Scope(access.ScopeID(at))
	if !ok {
		s, ok = t.Find(at)
	}
	if !ok || !t.Live(s.ID) {
		return s, fault.New(fault.NotFound, "steward.areaSeen", "there is no such scope")
	}
	return s, sees(r, t, s.ID, "scope")
}

// settledPerson finds somebody who holds something where whoever acts decides, or is
// themselves, with their decision of now.
func settledPerson(d *bridge.Deciding, r request.Right, ref PersonRef) (*store.DirectoryTx, store.Person, error) {
	ref = ofOwn(r, ref)
	dir, err := d.In(ref.Connection)
	if err != nil {
		return nil, store.Person{}, nobody(err)
	}
	p, err := personNamed(&dir.Directory, ref)
	if err != nil {
		return nil, p, err
	}
	if p, err = d.Settled(ref.Connection, p.ID); err != nil {
		return nil, p, err
	}
	return dir, p, seesPerson(&dir.Directory, d.Policy(), r, p)
}

// ofOwn is whom somebody means who names no connection: somebody of their own.
func ofOwn(r request.Right, ref PersonRef) PersonRef {
	if ref.Connection == "" {
		ref.Connection = r.Connection
	}
	return ref
}

// personNamed finds a person by id, else by userName.
func personNamed(dir *store.Directory, ref PersonRef) (store.Person, error) {
	p, err := dir.Person(ref.Person)
	if fault.Is(err, fault.NotFound) {
		p, err = dir.PersonByUserName(string(ref.Person))
	}
	return p, nobody(err)
}

// nobody answers in the same words whether there is no such person, no such connection, or
// neither for whoever asks.
func nobody(err error) error {
	if err == nil || !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Unauthenticated) {
		return err
	}
	return fault.New(fault.NotFound, "steward.personNamed", "there is no such person")
}

// seesPerson says that there is nobody unless whoever acts is them, or decides where they
// are at home or hold something: of whom everything was taken they still see it.
func seesPerson(dir *store.Directory, policy *mapping.Policy, r request.Right, p store.Person) error {
	t := policy.Tree()
	if r.Operator || r.Is(p.Connection, p.ID) {
		return nil
	}
	root := r.Root(t)
	if host, _ := t.Resolve("."); root == host.ID {
		return nil
	}
	home, known := policy.Connection(p.Connection)
	seen, err := root != "" && known && t.Covers(root, home.Root), error(nil)
	if root != "" && !seen {
		seen, err = holdsUnder(dir, p, t, root)
	}
	if err == nil && !seen {
		err = nobody(fault.New(fault.NotFound, "", ""))
	}
	return err
}

// bindingLike finds a limit that takes the same already; fault.Limited if there are too many.
func bindingLike(dir *store.Directory, p store.Person, at access.ScopeID, n Narrowing) (access.Limit, bool, error) {
	by, err := dir.Decided(p)
	if err != nil {
		return access.Limit{}, false, err
	}
	for _, l := range by.Limits {
		sameEvents := l.Events == nil && n.Events == nil || l.Events != nil && n.Events != nil && *l.Events == *n.Events
		if l.Scope == at && l.Grant == n.Grant && !l.Withheld && sameEvents && l.NoVideo == n.NoVideo {
			return l, true, nil
		}
	}
	if len(by.Limits) >= maxLimits {
		return access.Limit{}, false, fault.New(fault.Limited, "steward.Narrow", "%d limits bind this person already; lift some", maxLimits)
	}
	return access.Limit{}, false, nil
}

// decideAnew decides somebody after what people decided about them was written.
func decideAnew(d *bridge.Deciding, dir *store.DirectoryTx, p store.Person) error {
	p, err := dir.Person(p.ID)
	if err != nil {
		return err
	}
	return d.Decide(p.Connection, p)
}

// Lift takes a limit back. Whoever set it by a higher scope is not overruled from below, and
// nobody lifts what binds themselves.
func (s *Steward) Lift(ctx context.Context, a Actor, id access.LimitID, reason string) (out LimitView, err error) {
	const op = "steward.Lift"
	if err := checkReason(op, reason); err != nil {
		return out, err
	}
	err = s.deciding(ctx, a, func(d *bridge.Deciding, r request.Right) error {
		v, t := &d.Tx().View, d.Policy().Tree()
		row, note, err := mayLift(v, t, r, id)
		if err != nil {
			return err
		}
		dir, err := d.In(row.Connection)
		if err != nil {
			return nobody(err)
		}
		p, err := d.Settled(row.Connection, row.Person)
		if err != nil {
			return err
		}
		l, err := dir.LiftLimit(id, d.Now())
		if err != nil {
			return err
		}
		note.LiftedBy, note.LiftedReason = r.Name, reason
		if err := d.Tx().PutLimitNote(note); err != nil {
			return err
		}
		d.Say(event.LimitLifted, p.Connection, p.ID, limitData(l, setter{right: r}))
		if err := decideAnew(d, dir, p); err != nil {
			return err
		}
		out, err = limitView(v, t, p, l)
		return err
	})
	return out, err
}

// mayLift finds a limit that whoever acts may lift.
func mayLift(v *store.View, t *access.Tree, r request.Right, id access.LimitID) (store.LimitRow, store.LimitNote, error) {
	const op = "steward.Lift"
	l, err := v.Limit(id)
	if err != nil {
		return l, store.LimitNote{}, err
	}
	notes, err := v.LimitNotes([]access.LimitID{id})
	if err != nil {
		return l, store.LimitNote{}, err
	}
	note := notes[id]
	note.Limit = id
	if r.Operator {
		return l, note, nil
	}
	if r.Is(l.Connection, l.Person) {
		return l, note, fault.New(fault.Denied, op, "this limit binds you: another administrator of the scope may lift it").Because(ReasonOwnLimit)
	}
	if err := sees(r, t, l.Scope, "limit"); err != nil {
		return l, note, err
	}
	if above := note.SetScope; note.SetBy != "" && (above == "" || t.Live(above)) && !t.Covers(r.Scope, actedBy(above, t)) {
		return l, note, fault.New(fault.Denied, op, "the limit was set from above your scope; who administers there may lift it").Because(ReasonLimitFromAbove)
	}
	return l, note, nil
}

// actedBy is a scope that somebody acted by: the operator acts by the host.
func actedBy(s access.ScopeID, t *access.Tree) access.ScopeID {
	if s == "" {
		host, _ := t.Resolve(".")
		return host.ID
	}
	return s
}

// Limits lists what was ever taken from somebody, as far as whoever asks sees it: all of
// one's own, and of others what lies where one decides.
func (s *Steward) Limits(ctx context.Context, a Actor, ref PersonRef) (out []LimitView, err error) {
	err = s.reading(ctx, a, func(v *store.View, p *mapping.Policy, _ time.Time, r request.Right) error {
		out, ref = []LimitView{}, ofOwn(r, ref)
		dir, err := v.In(ref.Connection)
		if err != nil {
			return nobody(err)
		}
		who, err := personNamed(dir, ref)
		if err != nil {
			return err
		}
		if err := seesPerson(dir, p, r, who); err != nil {
			return err
		}
		all, err := dir.LimitsOf(who)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(l access.Limit) bool { return !r.Is(who.Connection, who.ID) && !r.Sees(p.Tree(), l.Scope) })
		out, err = limitViews(v, p.Tree(), who, all)
		return err
	})
	return out, err
}

func limitView(v *store.View, t *access.Tree, p store.Person, l access.Limit) (LimitView, error) {
	all, err := limitViews(v, t, p, []access.Limit{l})
	if err != nil {
		return LimitView{}, err
	}
	return all[0], nil
}

func limitViews(v *store.View, t *access.Tree, p store.Person, limits []access.Limit) ([]LimitView, error) {
	ids := make([]access.LimitID, len(limits))
	for i, l := range limits {
		ids[i] = l.ID
	}
	notes, err := v.LimitNotes(ids)
	all := make([]LimitView, len(limits))
	for i, l := range limits {
		n := notes[l.ID]
		all[i] = LimitView{ID: l.ID, For: Who{PersonRef: PersonRef{Connection: p.Connection, Person: p.ID}, UserName: p.UserName, DisplayName: p.DisplayName},
			Area:  areaAt(t, l.Scope),
			Grant: l.Grant, Withheld: l.Withheld, Events: l.Events, NoVideo: l.NoVideo, Set: l.Set, By: n.SetBy, Reason: n.SetReason,
			Lifted: l.Lifted, LiftedBy: n.LiftedBy, Because: n.LiftedReason}
	}
	return all, err
}
