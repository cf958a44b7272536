package steward

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/exception"
	"github.com/drawbridge-id/drawbridge/internal/request"
)

// listed are the exceptions of a kind, as the operator reads them.
func (k *desks) listed(kind exception.Kind) []string {
	k.t.Helper()
	all, _ := k.exceptions(k.operator, ExceptionQuery{Kind: kind})
	return lines(all)
}

// Whoever is held over as the last administrator is an exception until somebody names a
// successor, or confirms that there will be none.
func TestWhoIsHeldOverIsAnException(t *testing.T) {
	for name, said := range map[string]func(k *desks) Approval{
		"confirmed": func(*desks) Approval { return Approval{ConfirmLast: true} },
		"a successor": func(k *desks) Approval {
			return Approval{Successor: &PersonRef{banksia, k.ada.Person}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newDesks(t)
			ask := k.visit()
			ask.Workflows, ask.Grant, ask.Area, ask.Until = nil, access.Administrator, "southern/banksia/geelong", k.clock.Now().Add(10*24*time.Hour)
			v := k.asks(k.samActs, ask)
			_, err := k.steward.Approve(k.ctx, k.ann, v.ID, Approval{})
			if err == nil {
				t.Fatal("the last administrator was made without a word about who follows")
			}
			gil := k.person(banksia, "gil", geelongManagers)
			k.permit(banksia, gil, access.Administrator, "southern/banksia/geelong", access.Permit{})
			k.approves(k.ann, v.ID, Approval{})
			k.activate(banksia, gil, false) // who was to stay leaves
			k.clock.Add(7*24*time.Hour - time.Millisecond)
			k.ticks()
			if got := k.listed(exception.HeldOver); len(got) != 0 {
				t.Errorf("before it is held over: %q", got)
			}
			k.clock.Add(time.Millisecond)
			k.ticks()
			if got := k.listed(exception.HeldOver); !slices.Equal(got, []string{"last_administrator_held_over sam administrator @ southern/banksia/geelong"}) {
				t.Fatalf("held over: %q", got)
			}
			k.approves(k.ann, v.ID, said(k))
			if got := k.listed(exception.HeldOver); len(got) != 0 {
				t.Errorf("after it was said who follows: %q", got)
			}
			k.sameExceptions(banksia, k.sam)
		})
	}
}

func (k *desks) ticks() {
	k.t.Helper()
	for range 2 {
		if err := k.steward.Tick(k.ctx); err != nil {
			k.t.Fatal(err)
		}
	}
}

// What was taken at once is an exception until the last who must has confirmed it, or it
// has ended; also where its end stays the same.
func TestBrokenGlassIsAnExceptionUntilItIsConfirmed(t *testing.T) {
	k := newDesks(t)
	k.glass()
	sue := k.person(southern, "sue", "Service Desk")
	take := Ask{For: PersonRef{southern, sue}, Workflows: []access.Workflow{access.LiveView}, Grant: access.Standard, Area: "southern/banksia/hobart", Reason: "Incident 4", BreakGlass: true}
	want := []string{"broken_glass_unconfirmed sue standard @ southern/banksia/hobart"}
	for _, lasts := range []time.Duration{30 * time.Minute, 3 * time.Hour} {
		take.Until = k.clock.Now().Add(lasts)
		v := k.asks(k.operator, take)
		if got := k.listed(exception.Unconfirmed); !slices.Equal(got, want) {
			t.Errorf("taken: %q", got)
		}
		k.approves(k.hob, v.ID, Approval{})
		if got := k.listed(exception.Unconfirmed); !slices.Equal(got, want) {
			t.Errorf("confirmed by one of two: %q", got)
		}
		if v = k.approves(k.pat, v.ID, Approval{}); v.State != request.Granted {
			t.Fatal(v.State)
		}
		if got := k.listed(exception.Unconfirmed); len(got) != 0 {
			t.Errorf("confirmed: %q", got)
		}
		k.sameExceptions(southern, sue)
		k.clock.Add(lasts)
	}
	take.Until = k.clock.Now().Add(3 * time.Hour)
	k.asks(k.operator, take)
	k.clock.Add(time.Hour) // nobody confirms it, and nothing works in the background
	if got := k.listed(exception.Unconfirmed); len(got) != 0 {
		t.Errorf("after its end: %q", got)
	}
	k.ticks()
	k.sameExceptions(southern, sue)
}
