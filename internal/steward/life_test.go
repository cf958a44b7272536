package steward

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

const (
	lifeSeeds = 4
	lifeSteps = 60
)

var (
	lifeGroups = []PersonRef{{banksia, accountAdmins}, {banksia, hobartAdmins}, {banksia, geelongManagers}, {southern, providerAdmins}, {southern, "Service Desk"}, {lantern, serviceOwners}}
	lifeAreas  = []string{"southern/banksia/hobart", "southern/banksia/geelong", "southern/banksia", "southern/reefline/cairns", "southern/reefline", "southern"}
)

// life is a random life of people who ask and decide, with a model of it that knows what
// was asked, what each yes was worth when it was said, and what gives anything now. The
// model knows permits and limits by what it saw done; only groups and rules it asks of
// mapping.Evaluate.
type life struct {
	*world
	r       *rand.Rand
	last    string
	people  []PersonRef
	names   map[PersonRef]string
	asked   map[access.RequestID]*lifeRequest
	given   map[access.PermitID]*lifePermit
	limits  map[access.LimitID]lifeLimit
	certs   map[PersonRef]access.Certification
	cookies map[PersonRef]string
	reviews []access.ReviewID
	retired bool
	geelong access.ScopeID
	cairns  access.ScopeID
	need    int // of two approvers, by the policy in force
	owners  bool
	n       int
	granted int // vacuous if it stays 0
}

// lifeRequest is a request as the model knows it.
type lifeRequest struct {
	id      access.RequestID
	by, who PersonRef // by is zero for the operator
	glass   bool
	c       access.CaseID
	most    Terms       // what was asked for, or what approvals have left of it
	yes     []lifeYes   // all that were said
	seen    RequestView // as it was last read
}

// lifeYes is one approval with what its approver could give when it was said.
type lifeYes struct {
	by  PersonRef
	was []access.ScopeID // administered then
}

type lifePermit struct {
	who        PersonRef
	terms      Terms
	from       time.Time
	c          access.CaseID
	q          *lifeRequest
	unproven   bool
	over       bool
	confirmEnd time.Time // of what was taken at once
}

type lifeLimit struct {
	who PersonRef
	access.Limit
}

func newLife(t *testing.T, seed uint64) *life {
	l := &life{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 26)), names: map[PersonRef]string{}, asked: map[access.RequestID]*lifeRequest{},
		given: map[access.PermitID]*lifePermit{}, limits: map[access.LimitID]lifeLimit{}, certs: map[PersonRef]access.Certification{}, cookies: map[PersonRef]string{}}
	l.treeInStore()
	l.geelong, l.cairns = l.scope("southern/banksia/geelong"), l.scope("southern/reefline/cairns")
	for i, g := range []PersonRef{lifeGroups[0], lifeGroups[0], lifeGroups[1], lifeGroups[2], lifeGroups[3], lifeGroups[4], lifeGroups[5], lifeGroups[5]} {
		name := fmt.Sprintf("p%d", i)
		ref := PersonRef{g.Connection, l.person(g.Connection, name, string(g.Person))}
		l.people, l.names[ref] = append(l.people, ref), name
	}
	l.policy()
	return l
}

func (l *life) any(n int) int         { return l.r.IntN(n) }
func (l *life) somebody() PersonRef   { return l.people[l.any(len(l.people))] }
func (l *life) area() string          { return lifeAreas[l.any(len(lifeAreas))] }
func one[T any](l *life, all []T) T   { return all[l.any(len(all))] }
func (l *life) sometimes(in int) bool { return l.any(in) == 0 }

func (l *life) step() {
	l.n++
	steps := []func(){l.ask, l.ask, l.ask, l.ask, l.ask, l.ask, l.approve, l.approve, l.approve, l.approve, l.approve, l.approve, l.approve, l.approve, l.deny, l.withdraw, l.extend, l.glass, l.glass, l.revoke, l.closeCase, l.narrow, l.lift,
		l.look, l.changeGroup, l.changeGroup, l.switchOff, l.changeTree, l.policy, l.certify, l.wait, l.wait, l.wait, l.work, l.visit}
	one(l, steps)()
}

// acting is somebody by one of the assignments that are stored of them, whether they count
// or not; or, seldom, the operator.
func (l *life) acting() (a Actor, who PersonRef, held access.Assignment) {
	if l.sometimes(10) {
		return Actor{Operator: "desk"}, PersonRef{}, held
	}
	who = l.somebody()
	all := l.held(who.Connection, who.Person)
	slices.SortStableFunc(all, func(a, b access.Assignment) int { return cmp.Compare(b.Grant, a.Grant) })
	a = Actor{Connection: who.Connection, Person: who.Person, Manages: !l.sometimes(20)}
	if len(all) > 0 {
		held = one(l, all)
		if i := slices.IndexFunc(all, func(h access.Assignment) bool { return h.Grant == access.Administrator }); i >= 0 && !l.sometimes(4) {
			held = all[i]
		}
		a.Assignment = held.ID
	}
	return a, who, held
}

// did notes what was done, and stops at what is a fault of the machine.
func (l *life) did(err error, format string, args ...any) bool {
	l.last = fmt.Sprintf("step %d, at %v: %s: %v", l.n, l.clock.Now().Format(time.RFC3339Nano), fmt.Sprintf(format, args...), err)
	if k := fault.KindOf(err); err != nil && (k == fault.Internal || k == fault.Unavailable) {
		l.t.Fatal(l.last)
	}
	return err == nil
}

func (l *life) ask() {
	a, who, _ := l.acting()
	ask := Ask{For: l.somebody(), Area: l.area(), Grant: one(l, []access.Grant{access.Standard, access.Elevated, access.Administrator, access.Technician}), Reason: "R",
		Case: l.someCase(), Until: l.clock.Now().Add(time.Duration(1+l.any(72)) * time.Hour), Flags: access.Flags{Video: l.sometimes(2)}}
	if l.sometimes(2) && who != (PersonRef{}) {
		ask.For = who
	}
	if l.sometimes(4) {
		ask.NotBefore = l.clock.Now().Add(time.Duration(l.any(5)) * time.Hour)
	}
	l.put(a, who, ask)
}

// someCase is one of few at a time: what is closed is not asked for again for ever.
func (l *life) someCase() access.CaseID {
	return access.CaseID(fmt.Sprintf("C-%d-%d", l.n/15, l.any(2)))
}

func (l *life) put(a Actor, by PersonRef, ask Ask) {
	v, err := l.steward.Ask(l.ctx, a, ask)
	if !l.did(err, "%+v asks %+v", a, ask) {
		return
	}
	q := &lifeRequest{id: v.ID, by: by, who: v.For.PersonRef, glass: v.BreakGlass, c: v.Case, most: v.Asked, seen: v}
	l.asked[v.ID] = q
	if ask.Area != "" && v.Asked.Area.ID != "" && !l.within(l.scopeOr(ask.Area), v.Asked.Area.ID) || !ask.Until.IsZero() && v.Asked.Until.After(ask.Until) {
		l.t.Fatalf("%s\nbecame %+v", l.last, v.Asked)
	}
	if v.BreakGlass {
		l.noteGiven(v, q)
	}
}

func (l *life) within(outer, inner access.ScopeID) (is bool) {
	l.inForce(func(p *mapping.Policy) { is = p.Tree().Covers(outer, inner) })
	return is
}

func (l *life) inForce(fn func(*mapping.Policy)) {
	if err := l.bridge.Reading(l.ctx, func(_ *store.View, p *mapping.Policy, _ time.Time) error { fn(p); return nil }); err != nil {
		l.t.Fatal(err)
	}
}

// noteGiven writes down what a request gave.
func (l *life) noteGiven(v RequestView, q *lifeRequest) {
	if v.Permit == nil || l.given[v.Permit.ID] != nil {
		return
	}
	p := &lifePermit{who: q.who, terms: q.most, from: v.NotBefore, c: q.c, q: q, unproven: v.State == request.Unconfirmed}
	if p.unproven {
		p.confirmEnd = v.DecideBy
	}
	l.given[v.Permit.ID] = p
	l.granted++
}

func (l *life) ends(which func(access.PermitID, *lifePermit) bool) {
	for id, p := range l.given {
		p.over = p.over || which(id, p)
	}
}

func (l *life) someRequest() *lifeRequest {
	ids := slices.SortedFunc(maps.Keys(l.asked), func(a, b access.RequestID) int { return cmp.Compare(b, a) })
	if len(ids) == 0 {
		return nil
	}
	waiting := slices.DeleteFunc(slices.Clone(ids), func(id access.RequestID) bool { return !l.asked[id].seen.State.Waits() })
	if len(waiting) > 0 && !l.sometimes(6) {
		ids = waiting
	}
	return l.asked[one(l, ids)]
}

// approve says yes, to all or to less, or tries to give more.
func (l *life) approve() {
	q := l.someRequest()
	if q == nil {
		return
	}
	a, who, held := l.acting()
	for range 8 { // most are nobody who may
		if a.Operator == "" && who != q.by && who != q.who && held.Grant == access.Administrator && (l.sometimes(8) || l.within(held.Scope, q.most.Area.ID)) {
			break
		}
		a, who, held = l.acting()
	}
	ap, most := Approval{ConfirmLast: true}, q.most
	if l.sometimes(2) {
		ap.Less = &Less{}
		switch l.any(4) {
		case 0:
			ap.Less.Until = l.clock.Now().Add(time.Duration(1+l.any(80)) * time.Hour)
			most.Until = ap.Less.Until
		case 1:
			ap.Less.Area = l.area()
			most.Area.ID = l.scopeOr(ap.Less.Area)
		case 2:
			ap.Less.Grant = one(l, access.Grants())
			most.Grant = ap.Less.Grant
		default:
			ap.Less.Flags = &access.Flags{Video: l.sometimes(2)}
			most.Flags = *ap.Less.Flags
		}
	}
	could := l.administered(who)
	v, err := l.steward.Approve(l.ctx, a, q.id, ap)
	if !l.did(err, "%+v approves %s %+v of %+v", a, q.id, ap.Less, q.most) || v.State == request.Granted && q.seen.State == request.Granted {
		return
	}
	l.approved(q, who, could, most, v)
}

func (l *life) scopeOr(path string) (id access.ScopeID) {
	l.inForce(func(p *mapping.Policy) {
		if s, ok := p.Tree().Find(path); ok {
			id = s.ID
		}
	})
	return id
}

// approved holds a yes against what the model says that it can be worth.
func (l *life) approved(q *lifeRequest, who PersonRef, could []access.ScopeID, most Terms, v RequestView) {
	reaches := func(of []access.ScopeID) bool {
		return slices.ContainsFunc(of, func(s access.ScopeID) bool { return l.within(s, q.seen.Asked.Area.ID) })
	}
	if who == (PersonRef{}) || who == q.by || who == q.who || !reaches(could) {
		l.t.Fatalf("%s\n%+v could give at %v, asked by %+v for %+v", l.last, who, could, q.by, q.who)
	}
	floor := most.Grant.Floor()
	wider := !l.within(q.most.Area.ID, most.Area.ID) || q.most.Until.Before(most.Until) || q.most.Flags.Union(most.Flags.Union(floor)) != q.most.Flags.Union(floor)
	if wider || most.Grant != q.most.Grant && !l.opensLess(most, q.most) {
		l.t.Fatalf("%s\nleaves %+v of %+v", l.last, most, q.most)
	}
	most.Flags = most.Flags.Union(floor)
	q.most, q.seen = most, v
	q.yes = append(q.yes, lifeYes{who, could})
	if v.State != request.Granted {
		return
	}
	need := l.need
	if q.glass {
		need = 2
	}
	stands := 0
	for _, y := range q.yes {
		if reaches(l.administered(y.by)) {
			stands++
		}
	}
	if stands < max(1, need) {
		l.t.Fatalf("%s\ngranted by %d of %d, who said yes: %+v", l.last, stands, need, q.yes)
	}
	if g := v.Granted; g == nil || g.Grant != most.Grant || g.Area.ID != most.Area.ID || g.Flags != most.Flags || !g.Until.Equal(most.Until) {
		l.t.Fatalf("%s\ngranted is %+v, and what all said is %+v", l.last, v.Granted, most)
	}
	l.ends(func(_ access.PermitID, p *lifePermit) bool { return p.q == q })
	l.noteGiven(v, q)
}

func (l *life) opensLess(t, most Terms) (is bool) {
	l.inForce(func(p *mapping.Policy) {
		c := p.Catalogue()
		all := append(c.Opens(most.Grant, most.Flags, access.Primary), c.Opens(most.Grant, most.Flags, access.Guest)...)
		is = !slices.ContainsFunc(c.Opens(t.Grant, t.Flags, access.Guest), func(w access.Workflow) bool { return !slices.Contains(all, w) })
	})
	return is
}

func (l *life) deny() {
	if q := l.someRequest(); q != nil {
		a, _, _ := l.acting()
		v, err := l.steward.Deny(l.ctx, a, q.id, "no")
		if l.did(err, "%+v denies %s", a, q.id) {
			q.seen = v
			l.ends(func(_ access.PermitID, p *lifePermit) bool { return p.q == q })
		}
	}
}

func (l *life) withdraw() {
	if q := l.someRequest(); q != nil {
		a, _, _ := l.acting()
		v, err := l.steward.Withdraw(l.ctx, a, q.id, "not needed")
		if l.did(err, "%+v withdraws %s", a, q.id) {
			q.seen = v
			l.ends(func(_ access.PermitID, p *lifePermit) bool { return p.q == q })
		}
	}
}

func (l *life) extend() {
	if q := l.someRequest(); q != nil {
		a, who, _ := l.acting()
		l.put(a, who, Ask{Extends: q.id, Reason: "more", Until: l.clock.Now().Add(time.Duration(1+l.any(90)) * time.Hour)})
	}
}

func (l *life) glass() {
	a, who, _ := l.acting()
	ask := Ask{For: who, Grant: access.Administrator, Area: l.area(), Reason: "Incident", BreakGlass: true}
	if a.Operator != "" {
		ask.For = l.somebody()
	}
	l.put(a, who, ask)
}

func (l *life) revoke() {
	ids := slices.Sorted(maps.Keys(l.given))
	if len(ids) == 0 {
		return
	}
	a, _, _ := l.acting()
	id := one(l, ids)
	_, err := l.steward.Revoke(l.ctx, a, id, "no more")
	if l.did(err, "%+v revokes %s", a, id) {
		l.ends(func(x access.PermitID, _ *lifePermit) bool { return x == id })
	}
}

func (l *life) closeCase() {
	if !l.sometimes(2) {
		return
	}
	a, id := Actor{Operator: "desk"}, l.someCase()
	shown, err := l.steward.Case(l.ctx, a, id)
	if err == nil {
		_, err = l.steward.CloseCase(l.ctx, a, id, CloseCase{Plan: shown.Plan, ConfirmLast: true, Reason: "done"})
	}
	if l.did(err, "close %s", id) {
		l.ends(func(_ access.PermitID, p *lifePermit) bool { return p.c == id })
	}
}

func (l *life) narrow() {
	a, _, _ := l.acting()
	who, n := l.somebody(), Narrowing{Area: l.area(), NoVideo: true, Reason: "R"}
	v, err := l.steward.Narrow(l.ctx, a, who, n)
	if l.did(err, "%+v narrows %+v %+v", a, who, n) {
		l.limits[v.ID] = lifeLimit{who, access.Limit{Scope: v.Area.ID, Grant: v.Grant, NoVideo: v.NoVideo}}
	}
}

func (l *life) lift() {
	ids := slices.Sorted(maps.Keys(l.limits))
	if len(ids) == 0 {
		return
	}
	a, _, _ := l.acting()
	id := one(l, ids)
	_, err := l.steward.Lift(l.ctx, a, id, "over")
	if l.did(err, "%+v lifts %s", a, id) {
		delete(l.limits, id)
	}
}

// look begins a review, or removes something in one: what people gave ends.
func (l *life) look() {
	a, _, _ := l.acting()
	if len(l.reviews) == 0 || l.sometimes(3) {
		v, err := l.steward.StartReview(l.ctx, a, NewReview{Name: "R"})
		if l.did(err, "%+v begins a review", a) {
			l.reviews = append(l.reviews, v.ID)
		}
		l.tickReviews()
		return
	}
	id := one(l, l.reviews)
	page, err := l.steward.Cards(l.ctx, a, id, CardQuery{Open: true})
	if !l.did(err, "cards of %s", id) || len(page.Cards) == 0 {
		return
	}
	card := one(l, page.Cards)
	item := one(l, card.Items)
	_, err = l.steward.DecideReview(l.ctx, a, id, Decision{Verdict: review.Remove, Items: []ItemSeen{{ID: item.ID}}, ConfirmLast: true, ConfirmMore: true})
	if l.did(err, "%+v removes %s@%s of %+v", a, item.Grant, item.Area.Path, card.For.PersonRef) {
		l.ends(func(_ access.PermitID, p *lifePermit) bool {
			return p.who == card.For.PersonRef && p.terms.Grant == item.Grant && p.terms.Area.ID == item.Area.ID
		})
	}
}

func (l *life) changeGroup() {
	who := l.somebody()
	g := one(l, slices.DeleteFunc(slices.Clone(lifeGroups), func(g PersonRef) bool { return g.Connection != who.Connection }))
	if l.sometimes(2) && l.groups[string(g.Connection)+" "+string(g.Person)] != "" {
		l.leave(g.Connection, who.Person, string(g.Person))
		l.did(nil, "%+v leaves %s", who, g.Person)
		return
	}
	l.join(g.Connection, string(who.Person), string(g.Person))
	l.did(nil, "%+v joins %s", who, g.Person)
}

func (l *life) switchOff() {
	who, on := l.somebody(), !l.sometimes(3)
	l.activate(who.Connection, who.Person, on)
	l.did(nil, "active %t of %+v", on, who)
	l.ends(func(_ access.PermitID, p *lifePermit) bool { return !on && p.who == who })
}

// changeTree moves a fleet, or retires an account or brings it back.
func (l *life) changeTree() {
	if l.sometimes(2) {
		done := l.moves(l.geelong, l.scope(one(l, []string{"southern/banksia", "southern/reefline"})))
		l.did(nil, "moves geelong: %t", done)
		return
	}
	do := bridge.RetireScope
	if l.retired {
		do = bridge.RestoreScope
	}
	err := l.deed(bridge.ScopePlan{Do: do, At: "southern/reefline/cairns"})
	if l.did(err, "%s cairns", do) {
		l.retired = !l.retired
		l.ends(func(_ access.PermitID, p *lifePermit) bool { return l.retired && p.terms.Area.ID == l.cairns })
	}
}
