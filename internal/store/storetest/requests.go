package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// asked is a request number n, by one of two people for the other, at a scope.
func asked(n int, scope string) request.Request {
	by, other := request.Party{Connection: north, Person: "per_by"}, request.Party{Connection: south, Person: "per_for"}
	if n%2 == 1 {
		by, other = request.Party{Operator: "desk"}, by
	}
	terms := request.Terms{Grant: access.Standard, Scope: access.ScopeID(scope), Flags: access.Flags{Video: true}, Until: day.Add(48 * time.Hour)}
	return request.Request{ID: access.RequestID(fmt.Sprintf("req_%03d", n)), State: request.Open, By: by, For: other, Smallest: terms, Asked: terms, Standing: access.Guest, Class: "usual",
		Wish:      request.Wish{Workflows: []access.Workflow{access.LiveView}, Area: terms.Scope, Until: terms.Until, Reason: "R", Case: []access.CaseID{"", "C-1", "C-2"}[n%3]},
		Approvers: mapping.ScopeAdministrators, Need: 2, Created: day, DecideBy: day.Add(time.Duration(n+1) * time.Hour)}
}

// A request is read as it was written, moves once from each state, and keeps its approvals
// in their order, one of a person.
func testRequests(t *testing.T, f *fixture) {
	r := asked(1, "scp_a")
	put := func(r request.Request) error {
		return f.Update(t.Context(), func(tx *store.Tx) error { return tx.PutRequest(r) })
	}
	if err := put(r); err != nil {
		t.Fatal(err)
	}
	if err := put(r); !fault.Is(err, fault.Conflict) {
		t.Errorf("written twice: %v", err)
	}
	r.Approvals = []request.Approval{{By: request.Party{Connection: north, Person: "per_1"}, At: day, Terms: r.Asked, Comment: "fine"}, {By: request.Party{Connection: south, Person: "per_1"}, At: day.Add(time.Second), Terms: r.Asked}}
	for i, a := range r.Approvals {
		f.update(func(tx *store.Tx) error { return tx.AddApproval(r.ID, i+1, a) })
	}
	for n, a := range map[int]request.Approval{3: r.Approvals[0], 2: {By: request.Party{Connection: north, Person: "per_9"}}} {
		err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.AddApproval(r.ID, n, a) })
		if !fault.Is(err, fault.Stale) || fault.ReasonOf(err) != request.ReasonTwice {
			t.Errorf("approval %d: %v", n, err)
		}
	}
	r.State, r.Decided, r.DecidedBy, r.Permit = request.Granted, day.Add(time.Second), r.Approvals[1].By, "prm_1"
	f.update(func(tx *store.Tx) error { return tx.MoveRequest(r, request.Open) })
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.MoveRequest(r, request.Open) }); !fault.Is(err, fault.Stale) {
		t.Errorf("it moves twice from the same state: %v", err)
	}
	f.view(func(v *store.View) error {
		got, err := v.Request(r.ID)
		if !reflect.DeepEqual(got, r) {
			t.Errorf("%+v\nwant %+v", got, r)
		}
		if _, err := v.Request("req_7"); !fault.Is(err, fault.NotFound) {
			t.Errorf("what there is not: %v", err)
		}
		like, err2 := v.LikeRequest("req_0", 5)
		if err2 != nil || !slices.Equal(like, []access.RequestID{r.ID}) {
			t.Errorf("%v, %v", like, err2)
		}
		return err
	})
}

// Requests are listed by everything that they are looked for by, each once, the newest
// first.
func testRequestsFound(t *testing.T, f *fixture) {
	var all []request.Request
	f.update(func(tx *store.Tx) error {
		for i := range 60 {
			r := asked(i, fmt.Sprintf("scp_%d", i%7))
			if i%5 == 0 {
				r.State = request.Granted
			}
			if err := tx.PutRequest(r); err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	slices.Reverse(all)
	desk, forSouth := request.Party{Operator: "desk"}, request.Party{Connection: south, Person: "per_for"}
	at := []access.ScopeID{"scp_5", "scp_2", "scp_9", "scp_3"}
	f.view(func(v *store.View) error {
		for name, c := range map[string]struct {
			list  store.RequestList
			there func(request.Request) bool
		}{
			"all":     {store.RequestList{}, func(request.Request) bool { return true }},
			"by":      {store.RequestList{By: &desk}, func(r request.Request) bool { return r.By == desk }},
			"for":     {store.RequestList{For: &forSouth}, func(r request.Request) bool { return r.For == forSouth }},
			"case":    {store.RequestList{Case: "C-2"}, func(r request.Request) bool { return r.Wish.Case == "C-2" }},
			"state":   {store.RequestList{State: request.Granted}, func(r request.Request) bool { return r.State == request.Granted }},
			"scopes":  {store.RequestList{Scopes: at}, func(r request.Request) bool { return slices.Contains(at, r.Asked.Scope) }},
			"waiting": {store.RequestList{Scopes: at, Waiting: true}, func(r request.Request) bool { return slices.Contains(at, r.Asked.Scope) && r.State.Waits() }},
			"none":    {store.RequestList{Scopes: []access.ScopeID{}}, func(request.Request) bool { return false }},
		} {
			var want, got []access.RequestID
			for _, r := range all {
				if c.there(r) {
					want = append(want, r.ID)
				}
			}
			for _, n := range []int{1, 4, 100} {
				got = nil
				for before := access.RequestID(""); ; {
					page, err := v.RequestKeys(c.list, before, n)
					if err != nil {
						return err
					}
					for _, k := range page {
						got = append(got, k.ID)
					}
					if len(page) < n {
						break
					}
					before = page[n-1].ID
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, %d at a time: %v\nwant %v", name, n, got, want)
				}
			}
		}
		waiting, err := v.WaitingRequests(forSouth, 8)
		if err != nil || len(waiting) == 0 || slices.ContainsFunc(waiting, func(r request.Request) bool { return r.For != forSouth || r.State != request.Open }) {
			t.Errorf("%+v, %v", waiting, err)
		}
		due, err := v.OverdueRequests(day.Add(4*time.Hour), 10)
		if err != nil || !slices.Equal(due, []access.RequestID{"req_001", "req_002", "req_003"}) {
			t.Errorf("overdue: %v, %v", due, err)
		}
		return err
	})
}

// A case is opened once, and sorts by when; what waits for it is counted.
func testCases(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error {
		for i, id := range []access.CaseID{"Z", "A", "Z"} {
			opened, err := tx.OpenCase(id, fmt.Sprintf("cas_%d", i), day.Add(time.Duration(i)*time.Hour))
			if err != nil || opened != (i < 2) {
				t.Errorf("%s: %v, %v", id, opened, err)
			}
		}
		return tx.CountCaseWaiting("Z", 2)
	})
	closed := request.Case{ID: "Z", Number: "cas_0", Opened: day, Closed: day.Add(time.Hour), Waiting: 2, Untold: true, Mark: "prm_4", Kind: "project",
		ClosedBy: request.Party{Operator: "desk"}, Reason: "done", Review: "rev_1"}
	f.update(func(tx *store.Tx) error { return tx.MoveCase(closed) })
	if err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.MoveCase(request.Case{ID: "X"}) }); !fault.Is(err, fault.NotFound) {
		t.Errorf("a case that there is not: %v", err)
	}
	f.view(func(v *store.View) error {
		if got, err := v.Case("Z"); err != nil || !reflect.DeepEqual(got, closed) {
			t.Errorf("%+v, %v", got, err)
		}
		for open, want := range map[bool]string{false: "A Z ", true: "A "} {
			all, err := v.Cases(open, "", 10)
			got := ""
			for _, c := range all {
				got += string(c.ID) + " "
			}
			if err != nil || got != want {
				t.Errorf("open %v: %q, %v", open, got, err)
			}
		}
		if behind, err := v.Cases(false, "cas_1", 10); err != nil || len(behind) != 1 || behind[0].ID != "Z" {
			t.Errorf("%+v, %v", behind, err)
		}
		if todo, err := v.UnfinishedCases(10); err != nil || len(todo) != 1 || !reflect.DeepEqual(todo[0], closed) {
			t.Errorf("%+v, %v", todo, err)
		}
		return nil
	})
	closed.Untold = false
	f.update(func(tx *store.Tx) error { return tx.MoveCase(closed) })
	f.view(func(v *store.View) error {
		todo, err := v.UnfinishedCases(10)
		if len(todo) != 1 || todo[0].Mark != "" {
			t.Errorf("requests that lapse with it: %+v", todo)
		}
		return err
	})
}

// What was given for a case ends at once, whoever's it is, and nothing else; its people's
// last decisions count for nothing.
func testCaseEnds(t *testing.T, f *fixture) {
	mara, sam := f.person(north, "per_mara", "mara"), f.person(south, "per_sam", "sam")
	give := func(conn access.ConnectionID, p store.Person, id string, c access.CaseID) {
		one := permit(id, "scp_a")
		one.Case = c
		f.write(conn, func(d *store.DirectoryTx) error {
			if err := d.PutPermit(p, one); err != nil {
				return err
			}
			return d.SetDecided(p.Key, 1, time.Time{})
		})
	}
	give(north, mara, "prm_1", "C-1")
	give(north, mara, "prm_2", "C-1")
	give(north, mara, "prm_3", "C-2")
	give(south, sam, "prm_4", "C-1")
	f.view(func(v *store.View) error {
		places, err := v.LivePlaces("C-1", 10)
		if !slices.Equal(places, []store.PermitPlace{{Scope: "scp_a", ID: "prm_1"}, {Scope: "scp_a", ID: "prm_2"}, {Scope: "scp_a", ID: "prm_4"}}) {
			t.Errorf("%v", places)
		}
		administered, err2 := v.AdministrationOf("C-1", 10)
		if err2 != nil || len(administered) > 0 {
			t.Errorf("standard users administer %v, %v", administered, err2)
		}
		return err
	})
	f.update(func(tx *store.Tx) error {
		n, err := tx.EndPermitsOf("C-1", access.EndPermitCase, day.Add(time.Hour))
		if n != 3 {
			t.Errorf("%d ended", n)
		}
		return err
	})
	for conn, p := range map[access.ConnectionID]store.Person{north: mara, south: sam} {
		f.read(conn, func(d *store.Directory) error {
			now := reread(t, d, p)
			by, err := d.Decided(now)
			if left := map[access.ConnectionID]int{north: 1, south: 0}[conn]; len(by.Permits) != left || int(now.Decided) != left || now.ValidUntil.IsZero() {
				t.Errorf("%s: %d, %+v", conn, now.Decided, by.Permits)
			}
			return err
		})
	}
	f.view(func(v *store.View) error {
		first, err := v.EndedOf("C-1", access.EndPermitCase, "", 2)
		if err != nil || len(first) != 2 || first[0].ID != "prm_1" || !first[0].Ended.Equal(day.Add(time.Hour)) {
			t.Errorf("%+v, %v", first, err)
		}
		rest, err := v.EndedOf("C-1", access.EndPermitCase, "prm_2", 2)
		if len(rest) != 1 || rest[0].Connection != south {
			t.Errorf("%+v", rest)
		}
		return err
	})
}

// Permits are listed by everything that they are looked for by, the newest first.
func testPermitPages(t *testing.T, f *fixture) {
	mara, sam := f.person(north, "per_mara", "mara"), f.person(south, "per_sam", "sam")
	var all []store.PermitRow
	for i := range 24 {
		one := permit(fmt.Sprintf("prm_%02d", i), fmt.Sprintf("scp_%d", i%3))
		one.Case = []access.CaseID{"", "C-1"}[i%2]
		conn, p := north, mara
		if i%4 == 0 {
			conn, p = south, sam
		}
		f.write(conn, func(d *store.DirectoryTx) error {
			err := d.PutPermit(p, one)
			if err == nil && i%5 == 0 {
				one, err = d.EndPermit(one.ID, access.EndPermitRevoked, day)
			}
			return err
		})
		all = append(all, store.PermitRow{Permit: one, Connection: conn})
	}
	slices.Reverse(all)
	forSam := request.Party{Connection: south, Person: sam.ID}
	f.view(func(v *store.View) error {
		for name, c := range map[string]struct {
			list  store.PermitList
			there func(store.PermitRow) bool
		}{
			"all":    {store.PermitList{}, func(store.PermitRow) bool { return true }},
			"for":    {store.PermitList{For: &forSam}, func(p store.PermitRow) bool { return p.Connection == south }},
			"case":   {store.PermitList{Case: "C-1"}, func(p store.PermitRow) bool { return p.Case == "C-1" }},
			"scopes": {store.PermitList{Scopes: []access.ScopeID{"scp_2", "scp_0"}}, func(p store.PermitRow) bool { return p.Scope != "scp_1" }},
			"live":   {store.PermitList{Scopes: []access.ScopeID{"scp_2", "scp_0"}, Live: true}, func(p store.PermitRow) bool { return p.Scope != "scp_1" && p.Ended.IsZero() }},
		} {
			var want, got []access.PermitID
			for _, p := range all {
				if c.there(p) {
					want = append(want, p.ID)
				}
			}
			for before := access.PermitID(""); ; {
				page, err := v.PermitPage(c.list, before, 3)
				if err != nil {
					return err
				}
				for _, p := range page {
					got = append(got, p.ID)
				}
				if len(page) < 3 {
					break
				}
				before = page[2].ID
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v\nwant %v", name, got, want)
			}
		}
		return nil
	})
}

// A permit is watched until the instant that was said last.
func testPermitWatch(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error {
		for i, id := range []access.PermitID{"prm_1", "prm_2", "prm_3", "prm_1"} {
			if err := tx.PutWatch(id, day.Add(time.Duration(i)*time.Minute)); err != nil {
				return err
			}
		}
		return tx.DropWatch("prm_3")
	})
	f.view(func(v *store.View) error {
		for at, want := range map[time.Duration][]store.Watch{0: nil, time.Minute: {{Permit: "prm_2", Next: day.Add(time.Minute)}},
			time.Hour: {{Permit: "prm_2", Next: day.Add(time.Minute)}, {Permit: "prm_1", Next: day.Add(3 * time.Minute)}}} {
			if got, err := v.Watched(day.Add(at), 10); err != nil || !slices.Equal(got, want) {
				t.Errorf("after %v: %v, %v", at, got, err)
			}
		}
		return nil
	})
}

// Administrators are those of the scope itself, who are here and whose connection has not
// ended.
func testAdministrators(t *testing.T, f *fixture) {
	f.update(func(tx *store.Tx) error {
		return tx.PutCeiling(north, ceiling(access.Standard, access.Administrator))
	})
	mara, sam := f.person(north, "per_mara", "mara"), f.person(north, "per_sam", "sam")
	give := func(p store.Person, g access.Grant, until time.Time) {
		a := access.Assignment{ID: access.AssignmentID("asg_" + p.ID + access.PersonID(g)), Person: p.ID, Grant: g, Scope: "scp_account", Standing: access.Guest, Until: until,
			Sources: []access.Source{{Kind: access.SourceRule, ID: "r", Standing: access.Guest}}}
		f.write(north, func(d *store.DirectoryTx) error { return d.ApplyPlan(p, mapping.Plan{Give: []access.Assignment{a}}) })
	}
	give(mara, access.Administrator, day.Add(time.Hour))
	give(sam, access.Standard, time.Time{})
	f.view(func(v *store.View) error {
		all, err := v.AdministratorsAt("scp_account", 10)
		good, err2 := v.AdministeredForGood("scp_account")
		if err != nil || err2 != nil || good || len(all) != 1 || all[0].Person != mara.ID || !all[0].ValidAt(day) || all[0].ValidAt(day.Add(time.Hour)) {
			t.Errorf("%+v %v, %v %v", all, good, err, err2)
		}
		return nil
	})
	give(sam, access.Administrator, time.Time{})
	f.view(func(v *store.View) error {
		all, err := v.AdministratorsAt("scp_account", 1)
		good, err2 := v.AdministeredForGood("scp_account")
		elsewhere, err3 := v.AdministeredForGood("scp_other")
		if err != nil || err2 != nil || err3 != nil || !good || elsewhere || len(all) != 1 {
			t.Errorf("%+v %v %v", all, good, elsewhere)
		}
		return nil
	})
}
