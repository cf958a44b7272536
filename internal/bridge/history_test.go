package bridge_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/filter"
)

// history is a random life of a bridge: what identity providers, policies, people
// and time may do to it, in any order. The seed repeats it.
type history struct {
	*world
	r       *rand.Rand
	last    string // the step taken last, for reports
	people  []string
	groups  []string
	cookies []string
}

var (
	historyNames = []string{"GL Geelong Managers", "gl hobart managers", "GL Account Admins", "GL FIP Contacts", "Field Installers", "Service Desk", "Nothing"}
	historyIDs   = []string{"", "ext-1", "ext-2"}
)

// live lives through histories, with check after each step.
func live(t *testing.T, check func(*history)) {
	for seed := range seeds + 1 {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			h := &history{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 4))}
			for step := range 70 {
				h.step(step)
				if check(h); t.Failed() {
					t.Fatalf("at step %d: %s", step, h.last)
				}
			}
		})
	}
}

func pick[T any](h *history, of []T) T { return of[h.r.IntN(len(of))] }

func (h *history) step(n int) {
	conn := access.ConnectionID(southern)
	switch k := h.r.IntN(20); {
	case k < 3 || len(h.people) == 0:
		h.last = "create a person"
		body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"p%d@southern.example","externalId":"oid-%d","active":%t,
			"urn:drawbridge:scim:schemas:extension:fleet:2.0:User":{"technicianCertification":"Trainer","certificationExpires":"2026-12-%02dT00:00:00Z"}}`,
			n, n, h.r.IntN(4) > 0, 1+h.r.IntN(28))
		h.people = append(h.people, h.must(201, conn, "POST", "/Users", body)["id"].(string))
	case k < 5 || len(h.groups) == 0:
		h.last = "create a group"
		status, out := h.send(conn, "POST", "/Groups", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"externalId":%q,"members":%s}`,
			pick(h, historyNames), pick(h, historyIDs), memberList([]string{pick(h, h.people), pick(h, h.people)})))
		if status == 201 {
			h.groups = append(h.groups, out["id"].(string))
		}
	case k < 7:
		h.patch("/Users/"+pick(h, h.people), fmt.Sprintf(`{"op":"replace","path":"active","value":%t}`, h.r.IntN(2) == 0))
	case k < 8:
		h.patch("/Users/"+pick(h, h.people), fmt.Sprintf(`{"op":"replace","path":"urn:drawbridge:scim:schemas:extension:fleet:2.0:User:technicianCertification","value":%q}`, pick(h, []string{"Trainer", "None"})))
	case k < 9:
		at := h.r.IntN(len(h.people))
		h.last = "delete a person"
		h.must(204, conn, "DELETE", "/Users/"+h.people[at], "")
		h.people = slices.Delete(h.people, at, at+1)
	case k < 10:
		at := h.r.IntN(len(h.groups))
		h.last = "delete a group"
		h.must(204, conn, "DELETE", "/Groups/"+h.groups[at], "")
		h.groups = slices.Delete(h.groups, at, at+1)
	case k < 11:
		h.patch("/Groups/"+pick(h, h.groups), fmt.Sprintf(`{"op":"replace","path":"displayName","value":%q}`, pick(h, historyNames)))
	case k < 12:
		h.patch("/Groups/"+pick(h, h.groups), fmt.Sprintf(`{"op":"replace","path":"externalId","value":%q}`, pick(h, historyIDs[1:])))
	case k < 14:
		h.patch("/Groups/"+pick(h, h.groups), fmt.Sprintf(`{"op":%q,"path":"members","value":%s}`, pick(h, []string{"add", "add", "remove", "replace"}), memberList([]string{pick(h, h.people), pick(h, h.people)})))
	case k < 16:
		h.newPolicy()
	case k < 17:
		d := pick(h, []time.Duration{time.Hour, 3 * 24 * time.Hour, 8 * 24 * time.Hour})
		h.last = "wait " + d.String()
		h.clock.Add(d)
	default:
		h.visit()
	}
}

func (h *history) patch(path, op string) {
	h.last = "patch " + path + " " + op
	status, out := h.send(southern, "PATCH", path, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+op+`]}`)
	if status != 200 && status != 204 && status != 409 { // a name may be taken
		h.t.Fatalf("%s answered %d %v", h.last, status, out)
	}
}

// newPolicy applies a policy that may ask for anything. One that does not compile
// changes nothing.
func (h *history) newPolicy() {
	_, err := h.bridge.ApplyPolicy(h.ctx, h.randomPolicy())
	h.last = fmt.Sprintf("apply a policy (%v)", err)
	if err != nil && !fault.Is(err, fault.Invalid) {
		h.t.Fatal(err)
	}
}

// randomPolicy may ask for anything, and reach beyond every ceiling.
func (h *history) randomPolicy() mapping.PolicySource {
	src := samplePolicy(h.t)
	grants, places := access.Grants(), []string{"southern", "southern/banksia", "southern/reefline/cairns", "southern/banksia/geelong", "boreal", "boreal/tundra", "."}
	var paths []access.ScopeID
	for _, s := range src.Scopes {
		paths = append(paths, s.ID)
	}
	for i := range src.Connections {
		if src.Connections[i].ID == southern && h.r.IntN(2) == 0 {
			src.Connections[i].Ceiling = access.Ceiling{Scope: pick(h, paths), Grants: []access.Grant{pick(h, grants), pick(h, grants), pick(h, grants)}}
		}
	}
	src.Rules = slices.DeleteFunc(src.Rules, func(r ruleSource) bool { return r.From == southern && h.r.IntN(2) == 0 })
	for i := range h.r.IntN(4) {
		r := ruleSource{ID: fmt.Sprint("random-", i), From: southern, Group: pick(h, historyNames), Give: string(pick(h, grants)) + " @ " + pick(h, places),
			For: pick(h, []time.Duration{0, 0, 48 * time.Hour}), Flags: access.Flags{Video: h.r.IntN(2) == 0}}
		if h.r.IntN(3) == 0 {
			r.Guest = []string{string(pick(h, grants)) + " @ " + pick(h, places)}
		}
		if h.r.IntN(3) == 0 {
			r.Group, r.GroupID = "", pick(h, historyIDs[1:])
		}
		if h.r.IntN(5) == 0 {
			r.Group, r.GroupID, r.Give, r.Guest = "GL {fleet} Managers", "", "standard @ southern/banksia/{fleet}", nil
		}
		src.Rules = append(src.Rules, r)
	}
	return src
}

// visit signs somebody in, or moves one of the sessions to another place.
func (h *history) visit() {
	if len(h.cookies) > 0 && h.r.IntN(2) == 0 {
		at := h.r.IntN(len(h.cookies))
		if b, err := h.bridge.Browser(h.ctx, h.cookies[at]); err == nil && len(b.Choices) > 0 {
			h.last = "switch"
			renewed, _, err := h.bridge.Switch(h.ctx, h.cookies[at], pick(h, b.Choices).ID)
			h.do(err)
			h.cookies[at] = renewed.Reveal()
		}
		return
	}
	var who store.Person
	for _, p := range h.everybody() {
		if p.ID == access.PersonID(pick(h, h.people)) {
			who = p
		}
	}
	h.last = "sign in " + who.ExternalID
	if cookie, _, err := h.signIn(southern, who.ExternalID); err == nil {
		h.cookies = append(h.cookies, cookie)
	} else if !fault.Is(err, fault.Denied) && !fault.Is(err, fault.Unauthenticated) {
		h.t.Fatal(err)
	}
}

// inView reads southern's directory, with the policy compiled from its row.
func (h *history) inView(read func(dir *store.Directory, policy *mapping.Policy) error) {
	h.t.Helper()
	h.do(h.store.View(h.ctx, func(v *store.View) error {
		row, err := v.Policy()
		if err != nil {
			return err
		}
		var src mapping.PolicySource
		if err := json.Unmarshal(row.Source, &src); err != nil {
			return err
		}
		policy, err := mapping.Compile(src)
		if err != nil {
			return err
		}
		dir, err := v.In(southern)
		if err != nil {
			return err
		}
		return read(dir, policy)
	}))
}

func (h *history) everybody() (all []store.Person) {
	h.inView(func(dir *store.Directory, _ *mapping.Policy) (err error) {
		var none filter.Expr
		all, _, err = dir.People(store.Query{Filter: none, Start: 1, Count: store.MaxPage})
		return err
	})
	return all
}

// drain does all the background work there is.
func (w *world) drain() {
	w.t.Helper()
	for {
		n, err := w.bridge.Recompute(w.ctx)
		w.do(err)
		if n == 0 {
			return
		}
	}
}

// fromScratch is what a person would hold if everything were decided from nothing now.
func fromScratch(dir *store.Directory, policy *mapping.Policy, p store.Person, now time.Time) ([]access.Assignment, error) {
	facts, err := dir.Facts(p, policy.Attributes(p.Connection))
	if err != nil || !p.Active {
		return nil, err
	}
	by, err := dir.Decided(p)
	return policy.Diff(nil, mapping.Evaluate(policy, facts, now).Want, by, now).After(), err
}

// TestI8_WhatIsHeldIsWhatTheRulesGiveNow: whatever happened in whatever order, what
// everybody holds equals a decision from scratch (I-8).
func TestI8_WhatIsHeldIsWhatTheRulesGiveNow(t *testing.T) {
	t.Parallel()
	live(t, func(h *history) {
		h.drain()
		for _, p := range h.everybody() {
			h.inView(func(dir *store.Directory, policy *mapping.Policy) error {
				held, err := dir.Assignments(p)
				if err != nil {
					return err
				}
				want, err := fromScratch(dir, policy, p, h.clock.Now())
				if got, want := uses(held), uses(want); !slices.Equal(got, want) {
					h.t.Errorf("%s holds\n  %v\nfrom scratch\n  %v", p.UserName, got, want)
				}
				return err
			})
		}
	})
}

// uses writes assignments without the ids that each decision would make anew.
func uses(as []access.Assignment) []string {
	var out []string
	for _, a := range as {
		out = append(out, fmt.Sprintf("%s %s @ %s %v %v..%v by %v", a.Standing, a.Grant, a.Scope, a.Flags, a.NotBefore.Unix(), a.Until.Unix(), a.Sources))
	}
	slices.Sort(out)
	return out
}

// TestI5_NothingIsGivenAboveTheCeiling: whatever rules say and however the tree
// moves, no rule's assignment lies outside its connection's ceiling, and no session
// stands on one, not even before the background work has run (I-5).
func TestI5_NothingIsGivenAboveTheCeiling(t *testing.T) {
	t.Parallel()
	live(t, func(h *history) {
		for _, cookie := range h.cookies {
			b, err := h.bridge.Browser(h.ctx, cookie)
			if err != nil || b.Session.State != session.Active {
				continue
			}
			h.inView(func(_ *store.Directory, policy *mapping.Policy) error {
				h.under(policy, b.Assignment.Grant, b.Assignment.Scope.ID)
				return nil
			})
		}
		h.drain()
		for _, p := range h.everybody() {
			h.inView(func(dir *store.Directory, policy *mapping.Policy) error {
				held, err := dir.Assignments(p)
				for _, a := range held {
					h.under(policy, a.Grant, a.Scope)
				}
				return err
			})
		}
	})
}

func (h *history) under(policy *mapping.Policy, g access.Grant, s access.ScopeID) {
	h.t.Helper()
	conn, _ := policy.Connection(southern)
	if !conn.Ceiling.Allows(policy.Tree(), g, s) {
		h.t.Errorf("%s is outside the ceiling %v", policy.Describe(g, s), conn.Ceiling)
	}
}

// TestI6_ASessionStandsOnWhatItsPersonHoldsNow: a session that is accepted has one
// active assignment, which its person holds now by the rules, or must choose among
// at least one; otherwise it is refused (I-6).
func TestI6_ASessionStandsOnWhatItsPersonHoldsNow(t *testing.T) {
	t.Parallel()
	live(t, func(h *history) {
		for _, cookie := range h.cookies {
			b, err := h.bridge.Browser(h.ctx, cookie)
			if err != nil {
				continue
			}
			h.inView(func(dir *store.Directory, policy *mapping.Policy) error {
				p, err := dir.Person(b.Session.Person)
				if err != nil {
					return err
				}
				held, err := fromScratch(dir, policy, p, h.clock.Now())
				may := session.Choices(held, h.clock.Now())
				stands := func(a access.Assignment) bool {
					return a.Grant == b.Assignment.Grant && a.Scope == b.Assignment.Scope.ID
				}
				switch b.Session.State {
				case session.Active:
					if b.Session.Active != b.Assignment.ID || !slices.ContainsFunc(may, stands) {
						h.t.Errorf("a session of %s stands on %v, which is not among %v", p.UserName, b.Assignment, uses(may))
					}
				case session.MustChoose:
					if b.Session.Active != "" || len(may) == 0 || len(b.Choices) != len(may) {
						h.t.Errorf("a session of %s must choose among %d, and %d may be chosen", p.UserName, len(b.Choices), len(may))
					}
				default:
					h.t.Errorf("an ended session of %s is accepted", p.UserName)
				}
				return err
			})
		}
	})
}
