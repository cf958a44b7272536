package steward

import (
	"slices"
	"sync"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/request"
)

// atOnce runs all of them at the same time, and gives their errors.
func atOnce(fns ...func() error) []error {
	errs := make([]error, len(fns))
	var all sync.WaitGroup
	start := make(chan struct{})
	for i, fn := range fns {
		all.Go(func() {
			<-start
			errs[i] = fn()
		})
	}
	close(start)
	all.Wait()
	return errs
}

func (k *desks) approving(a Actor, id access.RequestID) func() error {
	return func() error { _, err := k.steward.Approve(k.ctx, a, id, Approval{}); return err }
}

// order is where the first event of a type about a person stands among all; -1: nowhere.
func (k *desks) order(t event.Type, p access.PersonID) int {
	all := k.facts("")
	return slices.IndexFunc(all, func(e event.Event) bool { return e.Type == t && (p == "" || e.Person == p) })
}

// permits are what was given for sam, and how often it was told.
func (k *desks) permits() (live, told int) {
	k.t.Helper()
	page, err := k.steward.Permits(k.ctx, k.operator, PermitQuery{For: &PersonRef{banksia, k.sam}, Live: true})
	if err != nil {
		k.t.Fatal(err)
	}
	return len(page.Permits), len(k.facts(event.PermitGiven))
}

func TestApprovedTwiceAtOnceGivesOnce(t *testing.T) {
	k := newDesks(t)
	v := k.asks(k.samActs, k.visit())
	errs := atOnce(k.approving(k.hob, v.ID), k.approving(k.hob, v.ID), k.approving(k.ann, v.ID), k.approving(k.pat, v.ID))
	good := 0
	for _, err := range errs {
		switch {
		case err == nil:
			good++
		case !fault.Is(err, fault.Stale):
			t.Error(err)
		}
	}
	if live, told := k.permits(); good != 1 || live != 1 || told != 1 || len(k.facts(event.RequestApproved)) != 1 {
		t.Errorf("%d approved, %d permits, told %d times", good, live, told)
	}
}

func TestTwoApproversAtOnceAreTwo(t *testing.T) {
	k := newDesks(t)
	ask := k.visit()
	ask.Area = "southern/reefline/cairns"
	v := k.asks(k.operator, ask)
	for _, err := range atOnce(k.approving(k.own, v.ID), k.approving(k.owen, v.ID)) {
		if err != nil {
			t.Error(err)
		}
	}
	got, err := k.steward.Request(k.ctx, k.samActs, v.ID)
	if live, told := k.permits(); err != nil || got.State != request.Granted || len(got.Approvals) != 2 || live != 1 || told != 1 {
		t.Errorf("%+v, %v: %d permits, told %d times", got, err, live, told)
	}
}

// Whoever loses the right while they approve has approved before that, or not at all.
func TestAnApproverWhoLosesTheRight(t *testing.T) {
	k := newDesks(t)
	v := k.asks(k.samActs, k.visit())
	errs := atOnce(k.approving(k.hob, v.ID), func() error { k.leave(banksia, k.hob.Person, hobartAdmins); return nil })
	live, told := k.permits()
	if errs[0] != nil {
		if k.refusedFor(errs[0], fault.Denied, ReasonRightLost); live != 0 || told != 0 {
			t.Errorf("refused, and %d permits were given", live)
		}
		return
	}
	if approved, dropped := k.order(event.RequestApproved, k.sam), k.order(event.AssignmentDropped, k.hob.Person); live != 1 || approved < 0 || dropped < approved {
		t.Errorf("approved at %d, the right was lost at %d", approved, dropped)
	}
}

// Whoever is switched off while something is approved for them has nothing afterwards,
// nor when they come back.
func TestSwitchedOffWhileItIsApproved(t *testing.T) {
	k := newDesks(t)
	v := k.asks(k.samActs, k.visit())
	errs := atOnce(k.approving(k.hob, v.ID), func() error { k.activate(banksia, k.sam, false); return nil })
	if errs[0] != nil {
		k.refusedFor(errs[0], fault.Invalid, ReasonInactive)
	}
	if live, _ := k.permits(); live != 0 || k.has(k.sam) != "" {
		t.Errorf("%d permits live, and %q is held", live, k.has(k.sam))
	}
	k.activate(banksia, k.sam, true)
	if k.holdsAt(banksia, k.sam, string(k.scope("southern/banksia/hobart"))) {
		t.Error("it revived")
	}
}

// Whatever comes for a case while it is closed is refused, or ends with it.
func TestACaseClosesWhileSomethingIsAskedForIt(t *testing.T) {
	k := newDesks(t)
	first := k.asks(k.samActs, k.visit())
	more := k.visit()
	more.Workflows = []access.Workflow{access.MediaView}
	asked := RequestView{}
	errs := atOnce(
		func() error { _, err := k.steward.CloseCase(k.ctx, k.operator, "CASE-7", CloseCase{}); return err },
		func() (err error) { asked, err = k.steward.Ask(k.ctx, k.samActs, more); return err },
		k.approving(k.hob, first.ID))
	if errs[0] != nil { // something was given before it could close
		k.refusedFor(errs[0], fault.Invalid, ReasonPlanMissing)
		shown, err := k.steward.Case(k.ctx, k.operator, "CASE-7")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.steward.CloseCase(k.ctx, k.operator, "CASE-7", CloseCase{Plan: shown.Plan}); err != nil {
			t.Fatal(err)
		}
	}
	if errs[1] != nil {
		k.refusedFor(errs[1], fault.Invalid, request.ReasonCaseClosed)
	} else if got, err := k.steward.Request(k.ctx, k.samActs, asked.ID); err != nil || got.State != request.Lapsed {
		t.Errorf("%+v, %v", got, err)
	}
	if errs[2] != nil && !fault.Is(errs[2], fault.Stale) {
		t.Error(errs[2])
	}
	if live, _ := k.permits(); live != 0 {
		t.Errorf("%d permits outlive their case", live)
	}
	c, err := k.steward.Case(k.ctx, k.operator, "CASE-7")
	if err != nil || c.Requests != 0 || c.Closed.IsZero() {
		t.Errorf("%+v, %v", c, err)
	}
}
