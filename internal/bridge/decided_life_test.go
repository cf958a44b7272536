package bridge_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// decidedLife is a random life of people to whom others give and from whom they take, with
// a model of it that knows nothing of assignments. Nothing works in the background.
type decidedLife struct {
	*world
	r       *rand.Rand
	last    string
	people  []access.PersonID
	groups  []string
	permits map[access.PermitID]*access.Permit // all that were ever given, as they ought to be now
	limits  map[access.LimitID]access.Limit    // that bind
	certs   map[access.PersonID]access.Certification
	visits  []lifeVisit
	retired bool
	n       int
}

// lifeVisit is somebody's sign-in, and the assignment that its tokens stand on.
type lifeVisit struct {
	visit
	who access.PersonID
	on  mapping.Pair
}

const lifeAccount = "southern/reefline"

var lifePlaces = []string{"boreal/tundra", "southern", lifeAccount, "southern/reefline/cairns", "southern/banksia/hobart", "southern/banksia"}

func (l *decidedLife) any(n int) int { return l.r.IntN(n) }

func (l *decidedLife) begin() {
	for i := range 4 {
		l.people = append(l.people, access.PersonID(l.person(banksia, fmt.Sprintf("p%d@banksia.example", i), fmt.Sprintf("oid-%d", i))))
	}
	for _, name := range []string{"GL Hobart Managers", "GL Account Admins"} {
		l.groups = append(l.groups, l.group(banksia, name, string(l.people[0])))
	}
}

func (l *decidedLife) somebody() access.PersonID { return l.people[l.any(len(l.people))] }

func (l *decidedLife) step() {
	l.n++
	switch k := l.any(24); {
	case k < 6:
		l.give()
	case k < 8:
		l.revoke()
	case k < 10:
		l.narrow()
	case k < 11:
		l.lift()
	case k < 12:
		l.switchOff()
	case k < 14:
		op := []string{"add", "remove"}[l.any(2)]
		l.last = op + " a member"
		if g, who := l.groups[l.any(2)], string(l.somebody()); op == "add" {
			l.addMember(banksia, g, who)
		} else {
			l.removeMember(banksia, g, who)
		}
	case k < 15:
		l.certify()
	case k < 16:
		l.changeTree()
	case k < 17:
		l.last = "another policy"
		l.policy(func(p *mapping.PolicySource) { inStore(l.t, p); p.Rules[l.any(len(p.Rules))].Note = fmt.Sprint(l.n) })
	case k < 20:
		l.visit()
	default:
		l.wait()
	}
}

func (l *decidedLife) give() {
	who, now := l.somebody(), l.clock.Now()
	t := access.Permit{ID: access.PermitID(fmt.Sprintf("prm_%03d", l.n)), Person: who, Request: access.RequestID(fmt.Sprintf("req_%03d", l.n)), Kind: access.SourceRequest,
		Grant: access.Grants()[1+l.any(4)], Scope: l.scope(lifePlaces[l.any(len(lifePlaces))]).ID, Flags: access.Flags{Video: l.any(2) == 0},
		Standing: []access.Standing{access.Guest, access.Primary}[l.any(2)], Given: now}
	if l.any(3) > 0 {
		t.Until = now.Add(time.Duration(1+l.any(48)) * time.Hour)
	}
	if l.any(3) == 0 {
		t.NotBefore = now.Add(time.Duration(l.any(24)) * time.Hour)
	}
	l.last = fmt.Sprintf("permit %+v", t)
	l.permit(banksia, t)
	if !l.active(who) {
		t.Ended, t.EndReason = now, access.EndPermitDeactivated
	} else if l.retiredAt(t.Scope) {
		t.Ended, t.EndReason = now, access.EndPermitScope
	}
	l.permits[t.ID] = &t
}

func (l *decidedLife) active(who access.PersonID) (is bool) {
	l.do(l.store.View(l.ctx, func(v *store.View) error {
		dir, err := v.In(banksia)
		if err != nil {
			return err
		}
		p, err := dir.Person(who)
		is = p.Active
		return err
	}))
	return is
}

func (l *decidedLife) retiredAt(id access.ScopeID) bool {
	return l.retired && slices.Contains([]access.ScopeID{l.scope(lifeAccount).ID, l.scope(lifeAccount + "/cairns").ID}, id)
}

// ends ends in the model what which holds for.
func (l *decidedLife) ends(reason string, which func(access.Permit) bool) {
	for _, t := range l.permits {
		if t.Ended.IsZero() && which(*t) {
			t.Ended, t.EndReason = l.clock.Now(), reason
		}
	}
}

func (l *decidedLife) revoke() {
	ids := slices.Sorted(maps.Keys(l.permits))
	if len(ids) == 0 {
		return
	}
	id := ids[l.any(len(ids))]
	l.last = "revoke " + string(id)
	err := l.deciding(func(d *bridge.Deciding) error {
		_, err := d.EndPermit(banksia, id, access.EndPermitRevoked)
		return err
	})
	if t := l.permits[id]; err == nil && !t.Ended.IsZero() || err != nil && !fault.Is(err, fault.Stale) {
		l.t.Fatalf("%s: %v, and it was ended: %+v", l.last, err, t)
	} else if err == nil {
		t.Ended, t.EndReason = l.clock.Now(), access.EndPermitRevoked
	}
}

func (l *decidedLife) narrow() {
	x := access.Limit{ID: access.LimitID(fmt.Sprintf("lim_%03d", l.n)), Person: l.somebody(), Scope: l.scope(lifePlaces[l.any(len(lifePlaces))]).ID,
		Grant: append([]access.Grant{""}, access.Grants()...)[l.any(6)], NoVideo: l.any(2) == 0, Withheld: l.any(2) == 0}
	if most := access.EventsNone; l.any(2) == 0 {
		x.Events = &most
	}
	l.last = fmt.Sprintf("limit %+v", x)
	l.limit(banksia, x)
	l.limits[x.ID] = x
}

func (l *decidedLife) lift() {
	ids := slices.Sorted(maps.Keys(l.limits))
	if len(ids) == 0 {
		return
	}
	x := l.limits[ids[l.any(len(ids))]]
	l.last = "lift " + string(x.ID)
	l.do(l.deciding(func(d *bridge.Deciding) error {
		if _, err := d.Settled(banksia, x.Person); err != nil {
			return err
		}
		dir, err := d.In(banksia)
		if err != nil {
			return err
		}
		if _, err := dir.LiftLimit(x.ID, d.Now()); err != nil {
			return err
		}
		return d.Decide(banksia, store.Person{ID: x.Person})
	}))
	delete(l.limits, x.ID)
}

func (l *decidedLife) switchOff() {
	who, on := l.somebody(), l.any(3) > 0
	l.last = fmt.Sprintf("active %t of %s", on, who)
	l.patchUser(banksia, string(who), fmt.Sprintf(`{"op":"replace","path":"active","value":%t}`, on))
	if !on {
		l.ends(access.EndPermitDeactivated, func(t access.Permit) bool { return t.Person == who })
	}
}

func (l *decidedLife) certify() {
	who, c := l.somebody(), access.Certification{}
	if l.any(3) > 0 {
		c = access.Certification{Level: "Trainer", Until: l.clock.Now().Add(time.Duration(l.any(48)) * time.Hour)}
	}
	l.last = fmt.Sprintf("certify %s: %+v", who, c)
	l.do(l.bridge.Certify(l.ctx, banksia, who, c))
	l.certs[who] = c
}

// changeTree retires an account, or restores it; or moves one, which changes nobody's access.
func (l *decidedLife) changeTree() {
	plan := bridge.ScopePlan{Do: bridge.RetireScope, At: lifeAccount}
	if l.retired {
		plan.Do = bridge.RestoreScope
	}
	l.last = string(plan.Do)
	p, err := l.bridge.PlanScope(l.ctx, plan, bridge.PlanOptions{})
	l.do(err)
	_, err = l.bridge.ApplyPlan(l.ctx, p.Hash, accepting(p))
	l.do(err)
	l.retired = !l.retired
	l.ends(access.EndPermitScope, func(t access.Permit) bool { return l.retiredAt(t.Scope) })
}

// wait goes to a boundary, to the millisecond before or behind one, or for a while.
func (l *decidedLife) wait() {
	now := l.clock.Now()
	var edges []time.Time
	for _, t := range l.permits {
		edges = append(edges, t.NotBefore, t.Until)
	}
	for _, c := range l.certs {
		edges = append(edges, c.Until)
	}
	edges = slices.DeleteFunc(edges, func(t time.Time) bool { return !t.After(now) })
	slices.SortFunc(edges, time.Time.Compare)
	d := time.Duration(1+l.any(5)) * time.Hour
	if len(edges) > 0 && l.any(4) > 0 {
		d = max(edges[l.any(min(2, len(edges)))].Sub(now)+time.Duration(l.any(3)-1)*time.Millisecond, time.Millisecond)
	}
	l.clock.Add(d)
	l.last = fmt.Sprintf("wait %v, till %v", d, l.clock.Now())
}

// visit signs somebody in; it must stand on what the model allows.
func (l *decidedLife) visit() {
	at := l.any(len(l.people))
	l.last = "sign in " + string(l.people[at])
	_, b, err := l.signIn(banksia, fmt.Sprintf("oid-%d", at))
	if err != nil {
		if !fault.Is(err, fault.Denied) && !fault.Is(err, fault.Unauthenticated) {
			l.t.Fatal(err)
		}
		return
	}
	code, err := l.code(b)
	if err != nil {
		return // they must choose first
	}
	tokens, err := l.redeem(code)
	if fault.Is(err, fault.NotFound) {
		return // it ends within this second, and tokens count whole ones
	}
	l.do(err)
	l.visits = append(l.visits, lifeVisit{visit{browser: b, tokens: tokens}, l.people[at], mapping.Pair{Grant: b.Assignment.Grant, Scope: b.Assignment.Scope.ID}})
}

// allowed is what somebody may hold at this instant by the model, and with which flags.
func (l *decidedLife) allowed(dir *store.Directory, policy *mapping.Policy, p store.Person) (map[mapping.Pair]access.Flags, error) {
	now, all := l.clock.Now(), map[mapping.Pair]access.Flags{}
	facts, err := dir.Facts(p, nil)
	if err != nil || !p.Active {
		return all, err
	}
	add := func(at mapping.Pair, f access.Flags, byRule bool) {
		for _, x := range l.limits {
			if x.Person != p.ID || x.Grant != "" && x.Grant != at.Grant || !policy.Tree().Covers(x.Scope, at.Scope) {
				continue
			}
			if x.Withheld && byRule {
				return
			}
			f = x.Narrow(f)
		}
		all[at] = all[at].Union(f)
	}
	for _, t := range l.permits {
		c := l.certs[p.ID]
		if t.Person == p.ID && t.Ended.IsZero() && !now.Before(t.NotBefore) && (t.Until.IsZero() || now.Before(t.Until)) && (t.Grant != access.Technician || c.CertifiedAt(now)) {
			add(mapping.Pair{Grant: t.Grant, Scope: t.Scope}, t.Flags.Union(t.Grant.Floor()), false)
		}
	}
	for _, w := range mapping.Evaluate(policy, facts, now).Want {
		for _, s := range w.Sources {
			if s.ValidAt(now) {
				add(mapping.Pair{Grant: w.Grant, Scope: w.Scope}, s.Flags, true)
			}
		}
	}
	return all, nil
}

// inView reads the directory under the policy in force.
func (l *decidedLife) inView(read func(*store.View, *store.Directory, *mapping.Policy) error) {
	l.t.Helper()
	l.do(l.bridge.Reading(l.ctx, func(v *store.View, policy *mapping.Policy, _ time.Time) error {
		dir, err := v.In(banksia)
		if err != nil {
			return err
		}
		return read(v, dir, policy)
	}))
}

// check holds the invariant: what counts of anybody, as it is stored, is no more than the
// model allows, with nobody decided anew for it.
func (l *decidedLife) check() {
	l.inView(func(v *store.View, dir *store.Directory, policy *mapping.Policy) error {
		for _, who := range l.people {
			cur, err := v.Current(credential.Subject{Connection: banksia, Person: who})
			if err != nil {
				return err
			}
			if !cur.Alive || !cur.Decided || !cur.ValidUntil.IsZero() && !l.clock.Now().Before(cur.ValidUntil) {
				continue // nothing is accepted before they are decided anew
			}
			if err := l.compare(dir, policy, who, false); err != nil {
				return err
			}
		}
		return nil
	})
	if len(l.visits) > 0 {
		l.checkVisit(l.visits[l.any(len(l.visits))])
	}
}

// compare holds what is stored of somebody against the model: no more, or exactly that.
func (l *decidedLife) compare(dir *store.Directory, policy *mapping.Policy, who access.PersonID, exactly bool) error {
	p, err := dir.Person(who)
	if err != nil {
		return err
	}
	allowed, err := l.allowed(dir, policy, p)
	if err != nil {
		return err
	}
	held, err := dir.Assignments(p)
	for _, a := range held {
		at := mapping.Pair{Grant: a.Grant, Scope: a.Scope}
		if f, may := allowed[at]; a.ValidAt(l.clock.Now()) && (!may || f.Union(a.Flags) != f) {
			l.t.Fatalf("after %s\n%s holds %+v\nallowed are %+v", l.last, who, a, allowed)
		} else if a.ValidAt(l.clock.Now()) && a.Flags == f {
			delete(allowed, at)
		}
	}
	if exactly && len(allowed) > 0 {
		l.t.Fatalf("after %s\n%s does not hold %+v, but %+v", l.last, who, allowed, held)
	}
	return err
}

// checkVisit asks for a token: it may be accepted only as long as what it stands on is
// allowed. Then its person is decided anew, and holds exactly what the model says.
func (l *decidedLife) checkVisit(s lifeVisit) {
	_, err := l.bridge.Accept(l.ctx, s.tokens.AccessToken)
	l.inView(func(_ *store.View, dir *store.Directory, policy *mapping.Policy) error {
		p, failed := dir.Person(s.who)
		if failed != nil {
			return failed
		}
		allowed, failed := l.allowed(dir, policy, p)
		if _, may := allowed[s.on]; err == nil && !may {
			l.t.Fatalf("after %s\na token of %s for %+v is accepted", l.last, s.who, s.on)
		}
		return failed
	})
	l.do(l.deciding(func(d *bridge.Deciding) error { _, err := d.Settled(banksia, s.who); return err }))
	l.inView(func(_ *store.View, dir *store.Directory, policy *mapping.Policy) error {
		return l.compare(dir, policy, s.who, true)
	})
}

// checkHistory compares all that was ever permitted with what is known of it in the end.
func (l *decidedLife) checkHistory() {
	l.tidied()
	known := 0
	for _, who := range l.people {
		for _, t := range l.world.permits(banksia, who) {
			known++
			want := l.permits[t.ID]
			over := want.Ended.IsZero() && !want.Until.IsZero() && !l.clock.Now().Before(want.Until)
			timely := t.EndReason == access.EndPermitTime && !want.Until.IsZero() && !t.Ended.Before(want.Until)
			if t.Grant != want.Grant || t.Scope != want.Scope || t.Ended.IsZero() != (want.Ended.IsZero() && !over) || t.EndReason != want.EndReason && !timely {
				l.t.Errorf("%+v\nis known as %+v", *want, t)
			}
		}
	}
	if known != len(l.permits) {
		l.t.Errorf("%d permits are known of %d", known, len(l.permits))
	}
}

// TestI25_NobodyHoldsWhatNoLivingSourceGives: whatever people give, end and limit, whatever
// becomes of groups, people, scopes, rules and certifications, at every boundary of time.
func TestI25_NobodyHoldsWhatNoLivingSourceGives(t *testing.T) {
	t.Parallel()
	for seed := range seeds + 1 {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			l := &decidedLife{world: stored(t), r: rand.New(rand.NewPCG(seed, 25)), permits: map[access.PermitID]*access.Permit{}, limits: map[access.LimitID]access.Limit{},
				certs: map[access.PersonID]access.Certification{}}
			l.begin()
			for range 120 {
				l.step()
				l.check()
			}
			l.checkHistory()
		})
	}
}
