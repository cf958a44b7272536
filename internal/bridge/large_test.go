package bridge_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// people adds n people without decisions beyond the first, all at once, and gives
// their ids.
func (w *world) people(c access.ConnectionID, n int) []string {
	w.t.Helper()
	var ids []string
	for len(ids) < n {
		w.do(w.store.Update(w.ctx, func(tx *store.Tx) error {
			dir, err := tx.In(c)
			if err != nil {
				return err
			}
			version, err := tx.PolicyVersion()
			for range min(1000, n-len(ids)) {
				p := store.Person{ID: access.PersonID(credential.NewID("per")), Connection: c, UserName: userName(len(ids)), ExternalID: externalID(len(ids)), Active: true,
					Epoch: 1, Version: 1, Policy: version, Doc: []byte(`{}`), Created: w.clock.Now(), Updated: w.clock.Now()}
				if err := dir.InsertPerson(&p); err != nil {
					return err
				}
				ids = append(ids, string(p.ID))
			}
			return err
		}))
	}
	return ids
}

// members are a group's members as a GET shows them, in order of ids.
func (w *world) members(c access.ConnectionID, group string) []string {
	w.t.Helper()
	var ids []string
	shown, _ := w.must(200, c, "GET", "/Groups/"+group, "")["members"].([]any)
	for _, m := range shown {
		ids = append(ids, m.(map[string]any)["value"].(string))
	}
	slices.Sort(ids)
	return ids
}

// joined is when each member joined, by id.
func (w *world) joined(c access.ConnectionID, group string) map[string]time.Time {
	w.t.Helper()
	all := map[string]time.Time{}
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(c)
		if err != nil {
			return err
		}
		g, err := dir.Group(access.GroupID(group))
		if err != nil {
			return err
		}
		rows, err := dir.Members(g, 0, 1<<20)
		for _, m := range rows {
			all[string(m.Person)] = m.Since
		}
		if int(g.MemberCount) != len(rows) {
			w.t.Errorf("%d members are counted, %d are there", g.MemberCount, len(rows))
		}
		return err
	}))
	return all
}

func patchOp(op string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + op + `]}`
}

func memberOp(op string, ids []string) string {
	return patchOp(fmt.Sprintf(`{"op":%q,"path":"members","value":%s}`, op, memberList(ids)))
}

func inOrder(ids ...string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// parts are the people of a group that is changed: it is those who stay and those who
// leave; others are to come.
type parts struct{ stay, leave, come []string }

// largeChange is one way to change a group, and which of its parts are in it then.
type largeChange struct {
	do        func(w *world, group string, p parts) (int, map[string]any)
	stay, new bool
}

func largeChanges() map[string]largeChange {
	put := func(w *world, group string, ids []string) (int, map[string]any) {
		return w.send(banksia, "PUT", "/Groups/"+group, fmt.Sprintf(`{"displayName":"GL Geelong Managers","members":%s}`, memberList(ids)))
	}
	patch := func(w *world, group, body string) (int, map[string]any) {
		return w.send(banksia, "PATCH", "/Groups/"+group, body)
	}
	after := func(p parts) []string { return slices.Concat(p.stay, p.come) }
	return map[string]largeChange{
		"PATCH replace": {func(w *world, g string, p parts) (int, map[string]any) {
			return patch(w, g, memberOp("replace", after(p)))
		}, true, true},
		"PATCH replace by nobody": {func(w *world, g string, _ parts) (int, map[string]any) { return patch(w, g, memberOp("replace", nil)) }, false, false},
		"PATCH remove without a filter": {func(w *world, g string, _ parts) (int, map[string]any) {
			return patch(w, g, patchOp(`{"op":"remove","path":"members"}`))
		}, false, false},
		"PATCH remove of many by their values": {func(w *world, g string, p parts) (int, map[string]any) {
			return patch(w, g, memberOp("remove", p.leave))
		}, true, false},
		"PATCH add and remove at once": {func(w *world, g string, p parts) (int, map[string]any) {
			return patch(w, g, patchOp(fmt.Sprintf(`{"op":"add","path":"members","value":%s},{"op":"remove","path":"members","value":%s}`, memberList(p.come), memberList(p.leave))))
		}, true, true},
		"PUT":           {func(w *world, g string, p parts) (int, map[string]any) { return put(w, g, after(p)) }, true, true},
		"PUT of nobody": {func(w *world, g string, _ parts) (int, map[string]any) { return put(w, g, nil) }, false, false},
	}
}

// TestALargeChangeIsWholeWhenItIsAnswered: whatever a request does to however many
// members, the next read shows all of it, who left is refused, who stays keeps
// session and the instant they joined, and who came may sign in.
func TestALargeChangeIsWholeWhenItIsAnswered(t *testing.T) {
	t.Parallel()
	for name, change := range largeChanges() {
		for size, leave := range map[string]int{"many": 350, "very many": 1000} {
			t.Run(name+", "+size, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				const stay, come = 250, 200
				people := w.people(banksia, stay+leave+come)
				p := parts{people[:stay], people[stay : stay+leave], people[stay+leave:]}
				group := w.group(banksia, "GL Geelong Managers", people[:stay+leave]...)
				if got := w.members(banksia, group); !slices.Equal(got, inOrder(people[:stay+leave]...)) {
					t.Fatalf("the group was made with %d members, want %d", len(got), stay+leave)
				}
				w.drain()
				kept, lost := w.session(banksia, externalID(0)), w.session(banksia, externalID(stay+leave-1))
				before := w.joined(banksia, group)
				w.clock.Add(time.Hour)
				if status, out := change.do(w, group, p); status/100 != 2 {
					t.Fatalf("answered %d %v", status, out)
				}
				var want []string
				if change.stay {
					want = append(want, p.stay...)
				}
				if change.new {
					want = append(want, p.come...)
				}
				check := func(when string) {
					if got := w.members(banksia, group); !slices.Equal(got, inOrder(want...)) {
						t.Errorf("%s, a read shows %d members, want %d", when, len(got), len(want))
					}
					for id, since := range w.joined(banksia, group) {
						if was, there := before[id]; there != since.Equal(was) || !there && since.Before(w.clock.Now()) {
							t.Fatalf("%s, %s joined at %s, the change was at %s", when, id, since, w.clock.Now())
						}
					}
					w.allDead(lost, when)
					if _, err := w.bridge.Browser(w.ctx, kept.cookie); (err == nil) != change.stay {
						t.Errorf("%s, the session of somebody who stays %t: %v", when, change.stay, err)
					}
					if _, _, err := w.signIn(banksia, externalID(stay+leave+come-1)); (err == nil) != change.new {
						t.Errorf("%s, somebody who came %t signs in: %v", when, change.new, err)
					}
				}
				check("at once")
				w.drain()
				check("after the recompute")
				for i, id := range []string{p.stay[1], p.leave[0], p.come[0]} {
					added, removed := w.told(banksia, id)
					if stays, comes := i == 0 && change.stay, i == 2; comes && (added == 1) != change.new || !comes && (added != 1 || (removed == 1) == stays) || removed > 1 {
						t.Errorf("%s: told %d times that they came and %d times that they left", []string{"who stays", "who leaves", "who comes"}[i], added, removed)
					}
				}
				if groups := w.must(200, banksia, "GET", "/Groups", ""); groups["totalResults"] != 1.0 {
					t.Errorf("%v groups", groups["totalResults"])
				}
			})
		}
	}
}

// told is how often the audit trail says that somebody came to a group, and left one.
func (w *world) told(c access.ConnectionID, person string) (added, removed int) {
	w.t.Helper()
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		rows, err := v.Unsealed(100_000) // nothing seals here
		for _, row := range rows {
			if row.Connection != c || !strings.Contains(string(row.Body), person) {
				continue
			}
			added += strings.Count(string(row.Body), string(event.MemberAdded))
			removed += strings.Count(string(row.Body), string(event.MemberRemoved))
		}
		return err
	}))
	return added, removed
}

// TestWhoLeavesALargeGroupAndComesBackIsNew: access lost by a large change and given
// again before anybody was decided anew is new access (I-2).
func TestWhoLeavesALargeGroupAndComesBackIsNew(t *testing.T) {
	t.Parallel()
	for size, many := range map[string]int{"many": 300, "very many": 700} {
		w := newWorld(t)
		people := w.people(banksia, many+1)
		group := w.group(banksia, "GL Geelong Managers", people...)
		w.drain()
		s := w.session(banksia, externalID(many))
		w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("replace", people[:10]))
		w.addMember(banksia, group, people[many])
		w.allDead(s, size)
		w.drain()
		w.allDead(s, size+", after the recompute")
		if _, _, err := w.signIn(banksia, externalID(many)); err != nil {
			t.Errorf("%s: %v", size, err)
		}
	}
}

// TestALargeChangeSurvivesADeathAtAnyPoint: a process that dies at any statement or
// commit of a large change leaves the old members or, after the next start, the new
// ones; and what was answered is there.
func TestALargeChangeSurvivesADeathAtAnyPoint(t *testing.T) {
	t.Parallel()
	for size, leave := range map[string]int{"many": 120, "very many": 700} {
		t.Run(size, func(t *testing.T) {
			t.Parallel()
			behind, n := 0, 1
			for ; ; n++ {
				status, changed := dieInALargeChange(t, n, leave)
				if changed {
					behind++
				}
				if status/100 == 2 {
					break
				}
			}
			if behind < 3 || n < 8 {
				t.Errorf("%d steps, %d of them behind the decision: this proves little", n, behind)
			}
		})
	}
}

// dieInALargeChange lets nothing succeed from the n-th transaction on, and says what
// the change was answered with and whether it had happened after the next start.
func dieInALargeChange(t *testing.T, n, leave int) (status int, changed bool) {
	t.Helper()
	dead := &breaking{}
	w := newWorld(t, stepping(&dead.steps))
	defer w.close()
	const stay, come = 120, 120
	people := w.people(banksia, stay+leave+come)
	before := people[:stay+leave]
	after := inOrder(append(slices.Clone(people[:stay]), people[stay+leave:]...)...)
	group := w.hugeGroup(banksia, "GL Geelong Managers", before)
	seen := 0
	dead.reach = func(kind, _ string) error {
		if kind != stepBoundary {
			return nil
		}
		if seen++; seen >= n { // nothing works any more
			return errBroken
		}
		return nil
	}
	status, _ = w.send(banksia, "PATCH", "/Groups/"+group, memberOp("replace", after))
	dead.reach = nil
	w.restart()
	w.drain()
	got := w.members(banksia, group)
	changed = slices.Equal(got, after)
	if !changed && (status/100 == 2 || !slices.Equal(got, inOrder(before...))) {
		t.Fatalf("a death at step %d (answered %d) leaves %d members, neither the old nor the new", n, status, len(got))
	}
	w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("replace", people[:1])) // nothing is in its way
	return status, changed
}

// TestLargeAndSmallChangesOfOneGroupLoseNothing: parallel changes of the same group, of
// many members and of one, all take effect.
func TestLargeAndSmallChangesOfOneGroupLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const many = 300
	people := w.people(banksia, crowd+3*many)
	single, large := people[:crowd], people[crowd:]
	group := w.group(banksia, "GL Geelong Managers", large[2*many:]...)
	together(func(i int) bool {
		body := memberOp("add", single[i:i+1])
		switch i {
		case 10:
			body = memberOp("add", append(slices.Clone(large[:many]), single[10]))
		case 20:
			body = memberOp("add", append(slices.Clone(large[many:2*many]), single[20]))
		case 30:
			body = patchOp(fmt.Sprintf(`{"op":"remove","path":"members","value":%s},{"op":"add","path":"members","value":%s}`, memberList(large[2*many:]), memberList(single[30:31])))
		}
		if status, out := w.send(banksia, "PATCH", "/Groups/"+group, body); status != 204 {
			t.Errorf("answered %d %v", status, out)
		}
		return true
	})
	want := inOrder(append(slices.Clone(single), large[:2*many]...)...)
	if got := w.members(banksia, group); !slices.Equal(got, want) {
		t.Errorf("%d members, want %d", len(got), len(want))
	}
	w.joined(banksia, group)
}

// TestParallelChangesOfOneGroupLoseNothing: 64 PATCHes at once, each of one member.
func TestParallelChangesOfOneGroupLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	people := w.people(banksia, crowd)
	group := w.group(banksia, "GL Geelong Managers")
	if n := together(func(i int) bool {
		status, _ := w.send(banksia, "PATCH", "/Groups/"+group, memberOp("add", people[i:i+1]))
		return status == 204
	}); n != crowd {
		t.Errorf("%d of %d were answered 204", n, crowd)
	}
	if got := w.members(banksia, group); !slices.Equal(got, inOrder(people...)) {
		t.Errorf("%d members, want %d", len(got), crowd)
	}
}

// TestParallelIdenticalCreationsMakeOne: 64 equal POSTs at once, of a user and of a
// group with members: one is answered 201, the others 409.
func TestParallelIdenticalCreationsMakeOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	people := w.people(banksia, 250)
	for path, body := range map[string]string{
		"/Users":  `{"userName":"sam@banksia.example","externalId":"oid-sam"}`,
		"/Groups": fmt.Sprintf(`{"displayName":"GL Geelong Managers","members":%s}`, memberList(people)),
	} {
		var conflicts atomic.Int64
		if n := together(func(int) bool {
			status, _ := w.send(banksia, "POST", path, body)
			if status == 409 {
				conflicts.Add(1)
			}
			return status == 201
		}); n != 1 || conflicts.Load() != crowd-1 {
			t.Errorf("%s: %d were answered 201 and %d 409", path, n, conflicts.Load())
		}
	}
}

// TestAnyChangesOfMembersAreASetDifference: whatever is added, removed and replaced,
// in small requests and large ones, in a bulk or not, the group is what a set would
// be, and whoever stays keeps the instant they joined.
func TestAnyChangesOfMembersAreASetDifference(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			w, r := newWorld(t), rand.New(rand.NewPCG(seed, 9))
			people := w.people(southern, 700)
			group := w.group(southern, "Field Installers")
			want := map[string]time.Time{}
			for step := range 30 {
				w.clock.Add(time.Minute)
				some := func() []string {
					p := slices.Clone(people)
					r.Shuffle(len(p), func(i, j int) { p[i], p[j] = p[j], p[i] })
					return p[:[]int{1, 40, 230, 600}[r.IntN(4)]]
				}
				verb, ids := []string{"add", "remove", "replace"}[r.IntN(3)], some()
				body := memberOp(verb, ids)
				if r.IntN(3) == 0 {
					got := w.bulk(southern, operation{Method: "PATCH", Path: "/Groups/" + group, Data: []byte(memberOp("add", people[:1]))},
						operation{Method: "PATCH", Path: "/Groups/" + group, Data: []byte(body)})
					if got[1].Status != "204" {
						t.Fatalf("step %d: %v", step, got)
					}
					apply(want, "add", people[:1], w.clock.Now())
				} else {
					w.must(204, southern, "PATCH", "/Groups/"+group, body)
				}
				apply(want, verb, ids, w.clock.Now())
				got := w.joined(southern, group)
				for id, since := range got {
					if !since.Equal(want[id]) {
						t.Fatalf("step %d, %s %d: %s joined at %s, want %s", step, verb, len(ids), id, since, want[id])
					}
				}
				if len(got) != len(want) {
					t.Fatalf("step %d, %s %d: %d members, want %d", step, verb, len(ids), len(got), len(want))
				}
			}
		})
	}
}

func apply(set map[string]time.Time, verb string, ids []string, now time.Time) {
	named := map[string]bool{}
	for _, id := range ids {
		named[id] = true
	}
	for id := range set {
		if verb == "remove" && named[id] || verb == "replace" && !named[id] {
			delete(set, id)
		}
	}
	for id := range named {
		if _, there := set[id]; !there && verb != "remove" {
			set[id] = now
		}
	}
}

// TestALargeChangeInABulk: an operation too large for a shared commit has its own, in
// its turn.
func TestALargeChangeInABulk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	people := w.people(banksia, 450)
	list := memberList(people)
	got := w.bulk(banksia,
		operation{Method: "POST", Path: "/Users", BulkID: "new", Data: []byte(`{"userName":"new@banksia.example"}`)},
		operation{Method: "POST", Path: "/Groups", BulkID: "large", Data: []byte(`{"displayName":"GL Geelong Managers","members":` + strings.TrimSuffix(list, "]") + `,{"value":"bulkId:new"}]}`)},
		operation{Method: "POST", Path: "/Users", BulkID: "later", Data: []byte(`{"userName":"later@banksia.example"}`)})
	for _, o := range got {
		if o.Status != "201" {
			t.Fatalf("%v", got)
		}
	}
	id := got[1].Location[strings.LastIndex(got[1].Location, "/")+1:]
	if n := len(w.members(banksia, id)); n != 451 {
		t.Errorf("%d members, want 451", n)
	}
}

// TestOthersAreServedDuringALargeChange: while thousands of members move, another
// connection's changes are answered in between.
func TestOthersAreServedDuringALargeChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	people := w.people(banksia, 3000)
	group := w.group(banksia, "GL Geelong Managers", people[:2000]...)
	w.drain()
	sam := w.person(southern, "sam@southern.example", "oid-sam")
	small := w.group(southern, "Field Installers")
	var all sync.WaitGroup
	var over atomic.Bool
	all.Go(func() {
		defer over.Store(true)
		w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("replace", people[1000:]))
	})
	served := 0
	for verbs := []string{"add", "remove"}; !over.Load(); served++ {
		w.must(204, southern, "PATCH", "/Groups/"+small, memberOp(verbs[served%2], []string{sam}))
	}
	all.Wait()
	if served < 5 {
		t.Errorf("only %d changes were served meanwhile", served)
	}
	if got := w.members(banksia, group); !slices.Equal(got, inOrder(people[1000:]...)) {
		t.Errorf("%d members", len(got))
	}
}

// TestAMemberCostsTheSameInAnyGroup: a PATCH of one member takes the same steps
// whatever the size of its group. That each statement uses its index is held by
// TestHotQueriesUseAnIndex of internal/store/sqlite.
func TestAMemberCostsTheSameInAnyGroup(t *testing.T) {
	count := &steps{}
	w := newWorld(t, stepping(count))
	people := w.people(banksia, 5001)
	last := people[5000:]
	verbs := map[string]string{"add": memberOp("add", last), "remove by value": memberOp("remove", last),
		"remove by filter": patchOp(fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\"]"}`, last[0]))}
	costs := map[string]map[int]int{}
	for _, size := range []int{10, 5000} {
		group := w.hugeGroup(banksia, fmt.Sprint("Depot ", size), people[:size])
		for _, verb := range []string{"add", "remove by value", "add", "remove by filter"} {
			n := 0
			count.reach = func(string, string) error { n++; return nil }
			w.must(204, banksia, "PATCH", "/Groups/"+group, verbs[verb])
			count.reach = nil
			if costs[verb] == nil {
				costs[verb] = map[int]int{}
			}
			costs[verb][size] = n
		}
	}
	for verb, by := range costs {
		if by[10] != by[5000] || by[10] == 0 {
			t.Errorf("%s takes %d steps in a group of 10 and %d in one of 5,000", verb, by[10], by[5000])
		}
	}
}

// TestSomebodyDeletedMeanwhileIsNoHindrance: a person who is deleted between the
// working out of a large change and any step of it is left out, whatever the step.
func TestSomebodyDeletedMeanwhileIsNoHindrance(t *testing.T) {
	t.Parallel()
	for name, sizes := range map[string]struct{ stay, leave, come int }{
		"worked out to be small":  {300, 0, 5},
		"one by one":              {10, 150, 150},
		"by a successor":          {10, 2400, 150},
		"all of it added at once": {0, 0, 300},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n, over := 1, false; !over; n++ {
				st := &steps{}
				w := newWorld(t, stepping(st))
				people := w.people(banksia, sizes.stay+sizes.leave+sizes.come)
				group := w.hugeGroup(banksia, "GL Geelong Managers", people[:sizes.stay+sizes.leave])
				after := append(slices.Clone(people[:sizes.stay]), people[sizes.stay+sizes.leave:]...)
				gone, seen := after[len(after)-1], 0
				over = true
				st.reach = func(kind, what string) error {
					if kind != stepBoundary || !strings.HasPrefix(what, "before") {
						return nil
					}
					if seen++; seen == n {
						over = false
						w.must(204, banksia, "DELETE", "/Users/"+gone, "")
					}
					return nil
				}
				w.must(204, banksia, "PATCH", "/Groups/"+group, memberOp("replace", after))
				st.reach = nil
				want := after
				if !over {
					want = after[:len(after)-1]
				}
				if got := w.members(banksia, group); !slices.Equal(got, inOrder(want...)) {
					t.Fatalf("deleted at step %d: %d members, want %d", n, len(got), len(want))
				}
				w.joined(banksia, group) // counts them
				w.close()
			}
		})
	}
}
