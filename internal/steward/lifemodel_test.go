package steward

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/register"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

func (l *life) deed(plan bridge.ScopePlan) error {
	p, err := l.bridge.PlanScope(l.ctx, plan, bridge.PlanOptions{})
	if err != nil {
		return err
	}
	how := bridge.ApplyOptions{Author: "ops", Reason: "planned"}
	for _, g := range p.Guards {
		switch g.Guard {
		case bridge.GuardLosing:
			how.Approvals.Losing = g.Names
		case bridge.GuardWithoutAccess:
			how.Approvals.WithoutAccess = g.Names
		default:
			how.Approvals.Administrators = g.Names
		}
	}
	_, err = l.bridge.ApplyPlan(l.ctx, p.Hash, how)
	return err
}

// policy puts another policy in force: what requests need has become stricter or laxer.
func (l *life) policy() {
	p := worldPolicy(l.t)
	tree, err := access.NewTree(p.Scopes)
	if err != nil {
		l.t.Fatal(err)
	}
	for i := range p.Connections {
		c := &p.Connections[i]
		c.Root, c.Ceiling.Scope = mapping.ProvisionalID(tree.Path(c.Root)), mapping.ProvisionalID(tree.Path(c.Ceiling.Scope))
	}
	p.Scopes, p.TreeInStore = p.Scopes[:1], true
	p.Requests.BreakGlass = &mapping.BreakGlass{Grants: []access.Grant{access.Elevated}, Longest: 4 * time.Hour, Need: 2, Within: time.Hour}
	l.need, l.owners = 1+l.any(2), l.sometimes(4)
	c := mapping.RequestClass{Name: "all", Approvers: mapping.ScopeAdministrators, Need: l.need}
	if l.owners {
		c.Approvers = mapping.ServiceOwners
	}
	if l.sometimes(3) {
		c.Longest = 48 * time.Hour
	}
	p.Requests.Classes = []mapping.RequestClass{c}
	_, err = l.bridge.InsecureApplyUnreviewed(l.ctx, p)
	l.did(err, "policy %+v", c)
}

func (l *life) certify() {
	who := l.somebody()
	if l.sometimes(3) {
		if l.did(l.steward.RemoveEntry(l.ctx, Actor{Operator: "desk"}, who.Connection, l.userName(who)), "remove the entry of %+v", who) {
			delete(l.certs, who)
		}
		return
	}
	until := l.clock.Now().Add(time.Duration(1+l.any(48)) * time.Hour)
	_, err := l.steward.SetEntry(l.ctx, Actor{Operator: "desk"}, register.Row{Connection: who.Connection, User: l.userName(who), Level: "Trainer", Until: until})
	if l.did(err, "certify %+v until %v", who, until) {
		l.certs[who] = access.Certification{Level: "Trainer", Until: until}
	}
}

func (l *life) userName(who PersonRef) string {
	domain, _, _ := strings.Cut(string(who.Connection), "-")
	return l.names[who] + "@" + domain + ".example"
}

// wait goes to the next boundaries, to the millisecond before or behind one, or for a while.
func (l *life) wait() {
	now := l.clock.Now()
	var edges []time.Time
	for _, p := range l.given {
		edges = append(edges, p.from, p.terms.Until, p.confirmEnd)
	}
	for _, c := range l.certs {
		edges = append(edges, c.Until)
	}
	edges = slices.DeleteFunc(edges, func(t time.Time) bool { return !t.After(now) })
	slices.SortFunc(edges, time.Time.Compare)
	d := time.Duration(1+l.any(5*3600)) * time.Second
	if len(edges) > 0 && !l.sometimes(4) {
		d = max(edges[l.any(min(2, len(edges)))].Sub(now)+time.Duration(l.any(3)-1)*time.Millisecond, time.Millisecond)
	}
	l.clock.Add(d)
	l.did(nil, "wait %v", d)
}

// work lets the background do a part of what it does.
func (l *life) work() {
	if l.did(nil, "background"); l.sometimes(2) {
		l.did(l.steward.Tick(l.ctx), "tick")
	}
	if l.sometimes(2) {
		l.tickReviews()
	}
	if l.sometimes(2) {
		l.recompute()
	}
}

// visit signs somebody in, or goes on with a session of theirs: it may be switched to what
// the model allows alone.
func (l *life) visit() {
	who := l.somebody()
	if l.cookies[who] == "" || l.sometimes(4) {
		cookie, _, err := l.bridge.SignIn(l.ctx, upstream.Identity{Connection: who.Connection, Issuer: "https://login.example/" + string(who.Connection), Subject: l.names[who], AuthTime: l.clock.Now()})
		if l.did(err, "sign in %+v", who) {
			l.cookies[who] = cookie.Reveal()
		}
	}
	allowed := l.allowed(who)
	for _, a := range l.held(who.Connection, who.Person) {
		cookie, _, err := l.bridge.Switch(l.ctx, l.cookies[who], a.ID)
		if err != nil {
			continue
		}
		l.cookies[who] = cookie.Reveal()
		if _, may := allowed[mapping.Pair{Grant: a.Grant, Scope: a.Scope}]; !may {
			l.t.Fatalf("after %s\n%+v switches to %+v\nallowed are %+v", l.last, who, a, allowed)
		}
	}
}

// may is what somebody may hold of one kind, and whether that is there by more than what was
// taken at once.
type may struct {
	flags  access.Flags
	proven bool
}

// allowed is what living sources give somebody at this instant, by the model.
func (l *life) allowed(who PersonRef) map[mapping.Pair]may {
	now, all := l.clock.Now(), map[mapping.Pair]may{}
	err := l.bridge.Reading(l.ctx, func(v *store.View, policy *mapping.Policy, _ time.Time) error {
		dir, err := v.In(who.Connection)
		if err != nil {
			return err
		}
		p, err := dir.Person(who.Person)
		if err != nil || !p.Active {
			return err
		}
		facts, err := dir.Facts(p, nil)
		if err != nil {
			return err
		}
		add := func(grant access.Grant, at access.ScopeID, f access.Flags, proven bool) {
			for _, x := range l.limits {
				if x.who == who && (x.Grant == "" || x.Grant == grant) && policy.Tree().Covers(x.Scope, at) {
					f.Video = f.Video && !x.NoVideo
				}
			}
			pair := mapping.Pair{Grant: grant, Scope: at}
			all[pair] = may{all[pair].flags.Union(f), all[pair].proven || proven}
		}
		for _, t := range l.given {
			if t.who == who && l.lives(t, now) && policy.Tree().Live(t.terms.Area.ID) {
				add(t.terms.Grant, t.terms.Area.ID, t.terms.Flags.Union(t.terms.Grant.Floor()), !t.unproven)
			}
		}
		for _, w := range mapping.Evaluate(policy, facts, now).Want {
			for _, s := range w.Sources {
				if s.ValidAt(now) {
					add(w.Grant, w.Scope, s.Flags, true)
				}
			}
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

func (l *life) lives(t *lifePermit, now time.Time) bool {
	c := l.certs[t.who]
	return !t.over && !now.Before(t.from) && (t.terms.Until.IsZero() || now.Before(t.terms.Until)) && (t.confirmEnd.IsZero() || now.Before(t.confirmEnd)) &&
		(t.terms.Grant != access.Technician || c.CertifiedAt(now))
}

// administered is where somebody decides for others at this instant, by the model.
func (l *life) administered(who PersonRef) (at []access.ScopeID) {
	if who == (PersonRef{}) {
		return nil
	}
	host := l.scope(".")
	for pair, m := range l.allowed(who) {
		if pair.Grant == access.Administrator && m.proven && (!l.owners || pair.Scope == host) {
			at = append(at, pair.Scope)
		}
	}
	return at
}

// check holds the invariant for everybody, with nobody decided anew for it.
func (l *life) check() {
	for _, who := range l.people {
		if !l.counts(who) {
			continue // nothing is accepted before they are decided anew
		}
		allowed := l.allowed(who)
		for _, a := range l.held(who.Connection, who.Person) {
			m, is := allowed[mapping.Pair{Grant: a.Grant, Scope: a.Scope}]
			if a.ValidAt(l.clock.Now()) && (!is || m.flags.Union(a.Flags) != m.flags) {
				l.t.Fatalf("after %s\n%+v holds %+v\nallowed are %+v", l.last, who, a, allowed)
			}
		}
	}
}

// counts reports whether what is stored of somebody is accepted now.
func (l *life) counts(who PersonRef) (is bool) {
	err := l.store.View(l.ctx, func(v *store.View) error {
		cur, err := v.Current(credential.Subject{Connection: who.Connection, Person: who.Person})
		is = cur.Alive && cur.Decided && (cur.ValidUntil.IsZero() || l.clock.Now().Before(cur.ValidUntil))
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return is
}

// checkHistory reads all requests and permits that there ever were: nothing of them is gone
// or has become something else.
func (l *life) checkHistory() {
	operator := Actor{Operator: "auditor"}
	for _, id := range slices.Sorted(maps.Keys(l.asked)) {
		q := l.asked[id]
		v, err := l.steward.Request(l.ctx, operator, id)
		if err != nil {
			l.t.Fatalf("after %s\n%s is not known any more: %v", l.last, id, err)
		}
		was := q.seen
		if v.By.PersonRef != q.by || v.For.PersonRef != q.who || v.Asked.Grant != was.Asked.Grant || v.Asked.Area.ID != was.Asked.Area.ID || !v.Asked.Until.Equal(was.Asked.Until) ||
			v.Reason != was.Reason || v.Case != was.Case || len(v.Approvals) != len(q.yes) || !was.State.Waits() && v.State != was.State || was.State == request.Open && v.State == request.Granted {
			l.t.Fatalf("after %s\n%+v\nhas become %+v", l.last, was, v)
		}
		q.seen = v
	}
	known := map[access.PermitID]PermitView{}
	for after := access.PermitID(""); ; {
		page, err := l.steward.Permits(l.ctx, operator, PermitQuery{Count: 200, After: after})
		if err != nil {
			l.t.Fatal(err)
		}
		for _, p := range page.Permits {
			known[p.ID] = p
		}
		if after = page.Next; after == "" {
			break
		}
	}
	for id, p := range l.given {
		v, is := known[id]
		if !is || v.For.PersonRef != p.who || v.Terms.Grant != p.terms.Grant || v.Terms.Area.ID != p.terms.Area.ID || p.over && v.Ended.IsZero() && v.State != "over" {
			l.t.Fatalf("after %s\n%s, %+v\nis known as %+v", l.last, id, p, v)
		}
	}
	if len(known) != len(l.given) {
		l.t.Fatalf("after %s\n%d permits are known of %d", l.last, len(known), len(l.given))
	}
}

// TestI26_NobodyGivesMoreThanTheyCould: whatever people ask for, approve, lessen, refuse, take
// at once, revoke and close, whatever becomes of groups, people, scopes, policies and
// certifications meanwhile, at every boundary of time, with the background working seldom.
func TestI26_NobodyGivesMoreThanTheyCould(t *testing.T) {
	t.Parallel()
	for seed := range uint64(lifeSeeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			l := newLife(t, seed)
			for range lifeSteps {
				l.step()
				l.check()
				if l.n%10 == 0 {
					l.checkHistory()
				}
			}
			l.checkHistory()
			t.Logf("%d requests, %d permits", len(l.asked), l.granted)
		})
	}
}
