package steward

import (
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// waiting fills the store with so many requests of strangers that wait for a decision, at
// the fleets of the world, and each tenth granted.
func (k *desks) waiting(n int) {
	k.t.Helper()
	fleets := []access.ScopeID{k.scope("southern/banksia/geelong"), k.scope("southern/banksia/hobart"), k.scope("southern/reefline/cairns"), k.scope("boreal/tundra/tromso")}
	err := k.store.Update(k.ctx, func(tx *store.Tx) error {
		for i := range n {
			at := fleets[i%len(fleets)]
			terms := request.Terms{Grant: access.Standard, Scope: at, Until: k.clock.Now().Add(30 * 24 * time.Hour)}
			r := request.Request{ID: access.RequestID(fmt.Sprintf("req_0000%09d", i)), State: request.Open, By: request.Party{Operator: "desk"},
				For:   request.Party{Connection: banksia, Person: access.PersonID(fmt.Sprintf("per_%d", i%5000))},
				Wish:  request.Wish{Workflows: []access.Workflow{access.LiveView}, Area: at, Case: access.CaseID(fmt.Sprintf("C-%d", i%9000)), Reason: "R"},
				Asked: terms, Smallest: terms, Standing: access.Guest, Class: "usual", Need: 1, Approvers: mapping.ScopeAdministrators, Created: k.clock.Now(), DecideBy: k.clock.Now().Add(time.Hour)}
			if i%10 == 9 {
				r.State = request.Granted
			}
			if err := tx.PutRequest(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

// BenchmarkRequests is what one use case costs beside 100 and 100,000 others.
func BenchmarkRequests(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		k := newDesks(b)
		k.waiting(n)
		must := func(b *testing.B, err error) {
			b.Helper()
			if err != nil {
				b.Fatal(err)
			}
		}
		run := func(name string, fn func(b *testing.B)) { b.Run(fmt.Sprintf("%s/%d", name, n), fn) }
		run("propose", func(b *testing.B) {
			for b.Loop() {
				_, err := k.steward.Propose(k.ctx, k.samActs, k.visit())
				must(b, err)
			}
		})
		run("list to decide", func(b *testing.B) {
			for b.Loop() {
				_, err := k.steward.Requests(k.ctx, k.ann, Query{ToDecide: true})
				must(b, err)
			}
		})
		run("list all", func(b *testing.B) {
			for b.Loop() {
				_, err := k.steward.Requests(k.ctx, k.own, Query{})
				must(b, err)
			}
		})
		run("list of a person who sees little", func(b *testing.B) {
			for b.Loop() {
				_, err := k.steward.Requests(k.ctx, k.hob, Query{State: request.Granted})
				must(b, err)
			}
		})
		run("ask and approve", func(b *testing.B) {
			for b.Loop() {
				k.clock.Add(time.Second)
				ask := k.visit()
				ask.Case = "C-0"
				v, err := k.steward.Ask(k.ctx, k.samActs, ask)
				must(b, err)
				v, err = k.steward.Approve(k.ctx, k.hob, v.ID, Approval{})
				must(b, err)
				_, err = k.steward.Revoke(k.ctx, k.hob, v.Permit.ID, "over")
				must(b, err)
			}
		})
		run("close a case of ten", func(b *testing.B) { k.closing(b) })
		run("tick with nothing to do", func(b *testing.B) {
			for b.Loop() {
				must(b, k.steward.Tick(k.ctx))
			}
		})
	}
}

// closing closes cases for which ten people were given something.
func (k *desks) closing(b *testing.B) {
	var ten []access.PersonID
	for i := range 10 {
		ten = append(ten, k.person(banksia, fmt.Sprintf("t%d-%d", i, b.N), geelongManagers))
	}
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		id := access.CaseID(fmt.Sprintf("T-%d-%d", b.N, i))
		for _, p := range ten {
			k.clock.Add(time.Millisecond)
			ask := k.visit()
			ask.For, ask.Case = PersonRef{banksia, p}, id
			v, err := k.steward.Ask(k.ctx, k.operator, ask)
			if err == nil {
				_, err = k.steward.Approve(k.ctx, k.hob, v.ID, Approval{})
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		shown, err := k.steward.Case(k.ctx, k.operator, id)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := k.steward.CloseCase(k.ctx, k.operator, id, CloseCase{Plan: shown.Plan}); err != nil {
			b.Fatal(err)
		}
	}
}
