package steward

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Of more requests than lapse with the closing of their case, the others are refused until
// the background has come to them.
func TestNothingIsGivenForAClosedCase(t *testing.T) {
	k := newDesks(t)
	k.waitFor("CASE-7", endsInline)
	v := k.asks(k.samActs, k.visit())
	if _, err := k.steward.CloseCase(k.ctx, k.operator, "CASE-7", CloseCase{}); err != nil {
		t.Fatal(err)
	}
	_, err := k.steward.Approve(k.ctx, k.hob, v.ID, Approval{})
	k.refusedFor(err, fault.Invalid, request.ReasonCaseClosed)
	if live, _ := k.permits(); live != 0 {
		t.Errorf("%d permits for a closed case", live)
	}
	if err := k.steward.Tick(k.ctx); err != nil {
		t.Fatal(err)
	}
	if v, err = k.steward.Request(k.ctx, k.hob, v.ID); err != nil || v.State != request.Lapsed {
		t.Errorf("%+v, %v", v, err)
	}
}

// waitFor writes requests of a case that wait for a decision.
func (k *desks) waitFor(id access.CaseID, n int) {
	k.t.Helper()
	terms := request.Terms{Grant: access.Standard, Scope: k.scope("southern/banksia/geelong"), Until: k.clock.Now().Add(time.Hour)}
	err := k.store.Update(k.ctx, func(tx *store.Tx) error {
		if _, err := tx.OpenCase(id, "cas_0", k.clock.Now()); err != nil {
			return err
		}
		for i := range n {
			r := request.Request{ID: access.RequestID("req_0" + string(rune('A'+i/26)) + string(rune('A'+i%26))), State: request.Open, By: request.Party{Operator: "desk"},
				For: request.Party{Connection: banksia, Person: "per_gone"}, Wish: request.Wish{Area: terms.Scope, Case: id}, Asked: terms, Smallest: terms, DecideBy: k.clock.Now().Add(time.Hour)}
			if err := tx.PutRequest(r); err != nil {
				return err
			}
		}
		return tx.CountCaseWaiting(id, n)
	})
	if err != nil {
		k.t.Fatal(err)
	}
}
