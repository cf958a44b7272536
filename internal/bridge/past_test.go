package bridge_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/audit"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// seal lets the sealer do its work, so that the record is found by its index. Without
// it the end of the record is read.
func (w *world) seal() {
	w.t.Helper()
	s := audit.NewSealer(w.store, time.Second, nil)
	if _, err := s.Seal(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	w.do(s.Index(w.ctx))
}

// standing is what everybody holds and is in, in words that the past can give, too.
func (h *history) standing() map[access.PersonID]string {
	now := h.clock.Now()
	said := map[access.PersonID]string{}
	for _, p := range h.everybody() {
		h.inView(func(dir *store.Directory, policy *mapping.Policy) error {
			held, err := dir.Assignments(p)
			if err != nil {
				return err
			}
			groups, err := dir.Facts(p, nil)
			var words []string
			for _, a := range held {
				if !a.Until.IsZero() && !now.Before(a.Until) {
					continue
				}
				var sources []string
				for _, s := range a.Sources {
					sources = append(sources, fmt.Sprint(s.Kind, s.ID, s.Group))
				}
				words = append(words, fmt.Sprint(a.ID, a.Grant, a.Scope, a.Standing, a.Flags, a.NotBefore.UnixMilli(), a.Until.UnixMilli(), sources))
			}
			for _, m := range groups.Memberships {
				words = append(words, fmt.Sprint(m.Group, m.Since.UnixMilli()))
			}
			slices.Sort(words)
			said[p.ID] = fmt.Sprintf("active %t\n%s", p.Active, strings.Join(words, "\n"))
			return err
		})
	}
	return said
}

func wordsOf(e bridge.Explanation) string {
	var words []string
	for _, h := range e.Holds {
		var sources []string
		for _, s := range h.Sources {
			sources = append(sources, fmt.Sprint(s.Kind, s.ID, s.Group))
		}
		words = append(words, fmt.Sprint(h.ID, h.Grant, h.Scope, h.Standing, h.Flags, h.NotBefore.UnixMilli(), h.Until.UnixMilli(), sources))
	}
	for _, m := range e.Memberships {
		words = append(words, fmt.Sprint(m.Group, m.Since.UnixMilli()))
	}
	slices.Sort(words)
	return fmt.Sprintf("active %t\n%s", e.Active, strings.Join(words, "\n"))
}

// TestThePastIsWhatWasHeldThen: whatever happened in whatever order, what the record
// says of any instant is what was so then, of everybody who is here and of everybody
// who is not.
func TestThePastIsWhatWasHeldThen(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1) {
		h := &history{world: newWorld(t), r: rand.New(rand.NewPCG(seed, 13))}
		type moment struct {
			at   time.Time
			said map[access.PersonID]string
		}
		var was []moment
		ever := map[access.PersonID]bool{}
		for n := range 44 {
			if n%4 == 3 && len(h.groups) > 0 {
				h.widen(n)
			} else {
				h.step(n)
			}
			m := moment{h.clock.Now(), h.standing()}
			for id := range m.said {
				ever[id] = true
			}
			was = append(was, m)
			if n == 30 {
				h.seal() // what comes after is not indexed yet
			}
			h.clock.Add(time.Duration(1+h.r.IntN(2000)) * time.Millisecond)
		}
		for range 8 {
			m := pick(h, was)
			h.rolls(m.at, m.said)
			h.reaches(m.at, m.said)
			for id := range ever {
				found, err := h.bridge.ExplainAt(h.ctx, string(id), southern, m.at)
				want, there := m.said[id]
				switch {
				case !there && fault.Is(err, fault.NotFound):
				case !there && err == nil && len(found) == 1 && !found[0].Past.Here && len(found[0].Holds)+len(found[0].Groups) == 0:
				case err != nil || len(found) != 1 || !there:
					t.Fatalf("seed %d: %s at %v: %d explanations, there %t (%v)", seed, id, m.at, len(found), there, err)
				default:
					if got := wordsOf(found[0]); got != want {
						t.Fatalf("seed %d: %s at %v was\n%s\nthe record says\n%s", seed, id, m.at, want, got)
					}
				}
			}
		}
	}
}

// rolls compares who was in each group then with what was so.
func (h *history) rolls(at time.Time, said map[access.PersonID]string) {
	h.t.Helper()
	for _, g := range h.groups {
		var want, got []access.PersonID
		for id, words := range said {
			if strings.Contains(words, g) && strings.Contains(words, "\n"+g) {
				want = append(want, id)
			}
		}
		q := bridge.HolderQuery{Group: g, Connection: southern, At: at, Limit: 2}
		for q.After = " "; q.After != ""; {
			q.After = strings.TrimSpace(q.After)
			roll, err := h.bridge.WhoWasIn(h.ctx, q)
			h.do(err)
			for _, m := range roll.Members {
				got = append(got, m.Person)
			}
			q.After = roll.Next
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			h.t.Fatalf("in %s at %v were %v, the record says %v", g, at, want, got)
		}
	}
}

// reaches compares who could see a scope then with what was held.
func (h *history) reaches(at time.Time, said map[access.PersonID]string) {
	h.t.Helper()
	reach, err := h.bridge.WhoCanSee(h.ctx, bridge.HolderQuery{Scope: "southern/banksia", At: at, Limit: bridge.MostHolders})
	h.do(err)
	for _, v := range reach.Holders {
		if !strings.Contains(said[v.Person], fmt.Sprint(v.ID, v.Grant, v.Scope, v.Standing)) {
			h.t.Fatalf("%s did not hold %s at %v", v.Person, v.Is, at)
		}
	}
	held := 0
	for _, words := range said {
		for line := range strings.Lines(words) {
			for _, g := range access.Grants() {
				for _, scope := range []access.ScopeID{reach.Scope.ID, h.parentOf(reach.Scope.ID), h.parentOf(h.parentOf(reach.Scope.ID))} {
					if g.MaySignIn() && strings.Contains(line, string(g)+string(scope)) {
						held++
					}
				}
			}
		}
	}
	if int64(held) != reach.Total {
		h.t.Fatalf("%d assignments let somebody see it at %v, the record says %d", held, at, reach.Total)
	}
}

func (h *history) parentOf(id access.ScopeID) (up access.ScopeID) {
	h.inView(func(_ *store.Directory, policy *mapping.Policy) error {
		s, _ := policy.Tree().Scope(id)
		up = s.Parent
		return nil
	})
	return up
}

// TestWhoHoldsIsFound: whoever holds a grant now is found by it and by its scope, page
// by page, and nobody else; of one connection alone where that is asked.
func TestWhoHoldsIsFound(t *testing.T) {
	t.Parallel()
	h := &history{world: newWorld(t), r: rand.New(rand.NewPCG(5, 13))}
	for n := range 24 {
		if n%4 == 3 && len(h.groups) > 0 {
			h.widen(n)
		} else {
			h.step(n)
		}
	}
	h.drain()
	stranger := h.person(tundra, "liv@tundra.example", "oid-liv")
	h.group(tundra, "gl-tromso-ops", stranger)
	held := map[string][]access.AssignmentID{} // by question
	for _, p := range h.everybody() {
		h.inView(func(dir *store.Directory, policy *mapping.Policy) error {
			all, err := dir.Assignments(p)
			for _, a := range all {
				held["has "+string(a.Grant)] = append(held["has "+string(a.Grant)], a.ID)
				at := "at " + string(a.Grant) + policy.Tree().Path(a.Scope)
				held[at] = append(held[at], a.ID)
				for _, s := range policy.Tree().All() {
					if a.Grant.MaySignIn() && policy.Tree().Covers(a.Scope, s.ID) {
						held["sees "+policy.Tree().Path(s.ID)] = append(held["sees "+policy.Tree().Path(s.ID)], a.ID)
					}
				}
			}
			return err
		})
	}
	if len(held) < 4 {
		t.Fatalf("only %d questions", len(held))
	}
	ask := func(what string, q bridge.HolderQuery, find func(bridge.HolderQuery) (bridge.Holders, error)) {
		t.Helper()
		var got []access.AssignmentID
		q.Connection, q.Limit = southern, 2
		first, err := find(q)
		h.do(err)
		for page := first; ; {
			for _, v := range page.Holders {
				got = append(got, v.ID)
			}
			if q.After = page.Next; q.After == "" {
				break
			}
			page, err = find(q)
			h.do(err)
		}
		want := slices.Clone(held[what])
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) || first.Total != int64(len(want)) {
			t.Errorf("%s: %d counted, listed %v, held %v", what, first.Total, got, want)
		}
	}
	has := func(q bridge.HolderQuery) (bridge.Holders, error) { return h.bridge.WhoHas(h.ctx, q) }
	sees := func(q bridge.HolderQuery) (bridge.Holders, error) { return h.bridge.WhoCanSee(h.ctx, q) }
	for _, g := range access.Grants() {
		ask("has "+string(g), bridge.HolderQuery{Grant: g}, has)
		ask("at "+string(g)+"southern/banksia", bridge.HolderQuery{Grant: g, Scope: "southern/banksia"}, has)
	}
	for _, path := range []string{".", "southern", "southern/banksia", "southern/banksia/geelong"} {
		ask("sees "+path, bridge.HolderQuery{Scope: path}, sees)
	}
	everywhere, err := has(bridge.HolderQuery{Grant: access.Standard, Limit: bridge.MostHolders})
	h.do(err)
	if !slices.ContainsFunc(everywhere.Holders, func(v bridge.HolderView) bool { return v.Connection == tundra && v.UserName == "liv@tundra.example" }) {
		t.Errorf("liv is not among %+v", everywhere.Holders)
	}
	for _, q := range []bridge.HolderQuery{{Grant: "king"}, {Grant: access.Standard, After: "x"}, {Grant: access.Standard, At: h.clock.Now()}, {Grant: access.Standard, Scope: "southern", At: h.clock.Now().Add(1)}} {
		if _, err := has(q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// widen changes what is held, and gives it by two rules.
func (h *history) widen(n int) {
	src := samplePolicy(h.t)
	for i, name := range historyNames {
		for j := range 1 + n%2 {
			src.Rules = append(src.Rules, ruleSource{ID: fmt.Sprintf("wide-%d-%d", i, j), From: southern, Group: name, Give: "technician @ southern/banksia", Flags: access.Flags{Video: n%3 == 0}})
		}
	}
	_, err := h.bridge.ApplyPolicy(h.ctx, src)
	h.do(err)
	h.patch("/Groups/"+pick(h, h.groups), fmt.Sprintf(`{"op":"add","path":"members","value":%s}`, memberList(h.people)))
	h.drain()
}

// Somebody who was deleted is explained by id or externalId; a name that nobody has
// any more is not kept. The future is not answered.
func TestADeletedPersonIsExplainedById(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	group := w.group(banksia, "GL Account Admins", sam)
	then := w.clock.Now()
	w.clock.Add(time.Minute)
	w.must(204, banksia, "DELETE", "/Users/"+sam, "")
	deleted := w.clock.Now()
	w.clock.Add(time.Minute)
	for _, who := range []string{sam, "oid-sam"} {
		found, err := w.bridge.ExplainAt(w.ctx, who, "", then)
		if err != nil || len(found) != 1 || len(found[0].Holds) != 1 || found[0].UserName != "" || !found[0].Past.Deleted.Equal(deleted) {
			t.Fatalf("%s: %+v (%v)", who, found, err)
		}
		h := found[0].Holds[0]
		if l := h.Chain[0]; l.Pos.Line == 0 || l.ID != "banksia-admins" || l.Group.Group != access.GroupID(group) || !l.Group.Since.Equal(then) || l.MatchedBy != "name" {
			t.Errorf("%s: the chain is %+v", who, h.Chain)
		}
		after, err := w.bridge.ExplainAt(w.ctx, who, "", deleted)
		if err != nil || len(after) != 1 || after[0].Past.Here || len(after[0].Holds)+len(after[0].Groups) != 0 || after[0].Refusal != "not_provisioned" {
			t.Errorf("%s: after the deletion %+v (%v)", who, after, err)
		}
	}
	for who, at := range map[string]time.Time{"sam@banksia.example": then, sam: then.Add(-time.Second)} {
		if found, err := w.bridge.ExplainAt(w.ctx, who, "", at); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s at %v: %+v (%v)", who, at, found, err)
		}
	}
	if _, err := w.bridge.ExplainAt(w.ctx, sam, "", w.clock.Now().Add(time.Second)); !fault.Is(err, fault.Invalid) {
		t.Errorf("the future: %v", err)
	}
	if found, err := w.bridge.ExplainAt(w.ctx, sam, tundra, then); !fault.Is(err, fault.NotFound) {
		t.Errorf("in another connection: %+v (%v)", found, err)
	}
}

// Where a policy ended something, the record drops it later than it counted: the
// answer says so. Rules are where they stood in their file at that time.
func TestThePastSaysWhatCountedForNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Account Admins", sam)
	held := w.clock.Now()
	w.clock.Add(time.Minute)
	src := samplePolicy(t)
	stood := src.Rules[slices.IndexFunc(src.Rules, func(r ruleSource) bool { return r.ID == "banksia-admins" })].Pos
	src.Rules = slices.DeleteFunc(src.Rules, func(r ruleSource) bool { return r.ID == "banksia-admins" })
	_, err := w.bridge.ApplyPolicy(w.ctx, src)
	w.do(err)
	w.clock.Add(time.Second)
	between := w.clock.Now()
	marked := func() (said []string) { // by the questions about the present
		now, err := w.bridge.Explain(w.ctx, sam, "")
		w.do(err)
		for _, h := range now[0].Holds {
			said = append(said, h.Stale)
		}
		has, err := w.bridge.WhoHas(w.ctx, bridge.HolderQuery{Grant: access.Administrator, Connection: banksia})
		w.do(err)
		for _, h := range has.Holders {
			said = append(said, h.Stale)
		}
		return said
	}
	if got, want := marked(), []string{"not counted until decided anew", "not counted until decided anew"}; !slices.Equal(got, want) {
		t.Errorf("until decided anew: %q", got)
	}
	w.clock.Add(time.Second)
	w.drain()
	w.clock.Add(time.Second)
	if got := marked(); got != nil {
		t.Errorf("decided anew: %q", got)
	}
	at := func(t time.Time) bridge.Explanation {
		found, err := w.bridge.ExplainAt(w.ctx, sam, "", t)
		w.do(err)
		return found[0]
	}
	if e := at(held); len(e.Holds) != 1 || e.Holds[0].Stale != "" || e.Refusal != "" || len(e.Sees) != 1 || e.Policy != 1 || stood.Line == 0 || e.Holds[0].Chain[0].Pos != stood || e.Holds[0].Chain[0].MatchedBy != "name" {
		t.Errorf("before: %+v", e)
	}
	if e := at(between); len(e.Holds) != 1 || !strings.Contains(e.Holds[0].Stale, "version 2 of the policy") || e.Refusal == "" || len(e.Sees) != 0 {
		t.Errorf("between the policy and the drop: %+v", e)
	}
	if e := at(w.clock.Now()); len(e.Holds) != 0 || e.Policy != 2 {
		t.Errorf("afterwards: %+v", e)
	}
}

// wasIn tells for each instant whether somebody was in a group, by both questions about
// the past, and since when they counted as a member.
func (w *world) wasIn(group, person string, at ...time.Time) (said []string) {
	w.t.Helper()
	for _, t := range at {
		roll, err := w.bridge.WhoWasIn(w.ctx, bridge.HolderQuery{Group: group, Connection: banksia, At: t, Limit: bridge.MostHolders})
		w.do(err)
		in := "out"
		if i := slices.IndexFunc(roll.Members, func(m bridge.MemberThen) bool { return string(m.Person) == person }); i >= 0 {
			in = "since " + roll.Members[i].Since.Format(time.TimeOnly)
		}
		found, err := w.bridge.ExplainAt(w.ctx, person, banksia, t)
		w.do(err)
		also := "out"
		if i := slices.IndexFunc(found[0].Memberships, func(m bridge.Belonging) bool { return string(m.Group) == group }); i >= 0 {
			also = "since " + found[0].Memberships[i].Since.Format(time.TimeOnly)
		}
		if in != also {
			w.t.Errorf("at %s who-was-in says %q, explain %q", t.Format(time.TimeOnly), in, also)
		}
		said = append(said, in)
	}
	return said
}

// TestWhoWasRestoredWasAwayMeanwhile: a restore brings a membership back with the instant
// it began, but between the removal and the restore nobody was a member.
func TestWhoWasRestoredWasAwayMeanwhile(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(w *world, group, sam string){
		"removed":       func(w *world, group, sam string) { w.removeMember(banksia, group, sam) },
		"group deleted": func(w *world, group, _ string) { w.must(204, banksia, "DELETE", "/Groups/"+group, "") },
	} {
		w := newWorld(t)
		sam := w.person(banksia, "sam@banksia.example", "oid-sam")
		group := w.group(banksia, "GL Geelong Managers", sam)
		began := "since " + w.clock.Now().Format(time.TimeOnly)
		before := w.later()
		away(w, group, sam)
		gone := w.later()
		meanwhile := w.later()
		w.restore(banksia, before)
		back := w.clock.Now()
		w.clock.Add(time.Second)
		for _, sealed := range []bool{false, true} {
			if sealed {
				w.seal()
			}
			want := []string{began, "out", "out", began, began}
			if got := w.wasIn(group, sam, before, gone, meanwhile, back, w.clock.Now()); !slices.Equal(got, want) {
				t.Errorf("%s, sealed %t: %q, want %q", name, sealed, got, want)
			}
		}
	}
}

// TestWhoLeftByASuccessionWasAway: a successor took the group's place, and who left so
// came back before the rows of what was the group had been dropped. The record tells the
// leaving late, and yet of the instant at which it took effect.
func TestWhoLeftByASuccessionWasAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	people := w.people(banksia, 701)
	group := w.group(banksia, "GL Geelong Managers", people...)
	w.drain()
	began := "since " + w.clock.Now().Format(time.TimeOnly)
	before := w.later()
	w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("replace", people[:10]))
	gone := w.later()
	meanwhile := w.later()
	w.addMember(banksia, group, people[700])
	back := w.later()
	again := "since " + back.Format(time.TimeOnly)
	untold := w.wasIn(group, people[700], before, back)
	w.drain()
	for person, want := range map[string][]string{
		people[700]: {began, "out", "out", again, again},
		people[699]: {began, "out", "out", "out", "out"},
		people[3]:   {began, began, began, began, began},
	} {
		if got := w.wasIn(group, person, before, gone, meanwhile, back, w.clock.Now()); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if want := []string{began, again}; !slices.Equal(untold, want) {
		t.Errorf("before the rows were dropped: %q, want %q", untold, want)
	}
}
