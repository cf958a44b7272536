package bridge_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// reconcile compares everybody: how many differed.
func (w *world) reconcile() int64 {
	w.t.Helper()
	_, differed, err := w.bridge.Reconcile(w.ctx)
	w.do(err)
	return differed
}

// byHand writes into the database as nobody should.
func (w *world) byHand(statements ...string) {
	w.t.Helper()
	w.do(w.rows.Update(w.ctx, "", func(q store.Querier) error {
		for _, s := range statements {
			n, err := q.Exec(s)
			if err == nil && n == 0 {
				err = fmt.Errorf("%s: nothing was changed", s)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, func() {}))
}

// I-8: whatever somebody wrote into the database by hand, what is held is what rules and
// people give as soon as everybody has been compared, and somebody was told.
func TestI8WhatWasWrittenByHandIsFoundToldAndPutRight(t *testing.T) {
	const ended = `update permits set ended_at = 1, end_reason = 'revoked'`
	for name, plant := range map[string]struct {
		sql  []string
		told event.Type // of an assignment; "": nothing that was held changes
	}{
		"what a rule gives is missing":           {[]string{`delete from assignments where by_rule`}, event.AssignmentGiven},
		"what people gave is missing":            {[]string{`delete from assignments where not by_rule`}, event.AssignmentGiven},
		"somebody holds what nothing gives":      {[]string{`update assignments set grant_kind = 'elevated' where by_rule`}, event.AssignmentDropped},
		"somebody holds it elsewhere":            {[]string{`update assignments set scope = 'HOBART' where by_rule`}, event.AssignmentDropped},
		"a flag is wider":                        {[]string{`update assignments set video = not video where by_rule`}, event.AssignmentChanged},
		"it has no end":                          {[]string{`update assignments set until = 0 where not by_rule`}, event.AssignmentChanged},
		"a decision holds for ever":              {[]string{`update people set valid_until = 0 where user_name = 'kim@banksia.example'`}, ""},
		"a permit is not counted":                {[]string{`update people set decided = 0 where user_name = 'kim@banksia.example'`}, ""},
		"a permit has ended":                     {[]string{ended}, event.AssignmentDropped},
		"a membership is gone":                   {[]string{`delete from memberships`}, event.AssignmentDropped},
		"a permit is not counted, nor its grant": {[]string{`update people set decided = 0 where user_name = 'kim@banksia.example'`, `delete from assignments where not by_rule`}, event.AssignmentGiven},
	} {
		t.Run(name, func(t *testing.T) {
			w, who, _ := installer(t)
			w.group(banksia, "GL Geelong Managers", string(who))
			for i := range 3 {
				w.person(banksia, fmt.Sprintf("other%d@banksia.example", i), fmt.Sprint("x", i))
			}
			w.drain()
			if n := w.reconcile(); n != 0 {
				t.Fatalf("%d differ before anybody wrote anything by hand", n)
			}
			for _, s := range plant.sql {
				w.byHand(strings.ReplaceAll(s, "HOBART", string(w.scope("southern/banksia/hobart").ID)))
			}
			w.restart() // nothing of it is known from memory
			if n := w.reconcile(); n != 1 {
				t.Errorf("%d differ", n)
			}
			if plant.told != "" && !w.said(plant.told, map[string]string{"because": "reconciled"}) || !w.said(event.PersonReconciled, nil) || !w.said(event.AlarmReconciled, map[string]string{"people": "1"}) {
				t.Errorf("not everything was told: %v", w.trail(banksia))
			}
			alarms, err := w.bridge.Raised(w.ctx, banksia)
			if w.do(err); len(alarms) != 1 || alarms[0].Kind != bridge.KindReconciled || bridge.Sentence(alarms[0]) == "" {
				t.Errorf("raised: %+v", alarms)
			}
			if n := w.reconcile(); n != 0 {
				t.Errorf("%d differ after it was put right", n)
			}
			w.follows(who)
		})
	}
}

// follows holds a person against what follows from the rest.
func (w *world) follows(who access.PersonID) {
	w.t.Helper()
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(banksia)
		if err != nil {
			return err
		}
		policy, err := w.bridge.PolicyOf(v)
		if err != nil {
			return err
		}
		p, err := dir.Person(who)
		if err != nil {
			return err
		}
		held, err := dir.Assignments(p)
		if err != nil {
			return err
		}
		want, err := fromScratch(dir, policy, p, w.clock.Now())
		if got, want := uses(held), uses(want); !slices.Equal(got, want) {
			w.t.Errorf("holds %v, from scratch %v", got, want)
		}
		return err
	}))
}

// A session that stands on what nothing gives loses it with its tokens.
func TestI8ASessionOnWhatNothingGivesEnds(t *testing.T) {
	w, _, s := installer(t)
	w.byHand(`update permits set ended_at = 1, end_reason = 'revoked'`)
	w.restart()
	if n := w.reconcile(); n != 1 {
		t.Errorf("%d differ", n)
	}
	w.allDead(s, "when what it stood on was put right")
	if held := w.holds("kim@banksia.example"); len(held) != 0 {
		t.Errorf("still holds %v", held)
	}
}

// Rounds go on where they were, on whichever node, and say when the last one ended.
func TestReconciliationGoesRound(t *testing.T) {
	w := newWorld(t)
	for i := range 250 {
		w.person(banksia, fmt.Sprintf("p%d@banksia.example", i), fmt.Sprint("x", i))
	}
	ctx, stop := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() { defer close(done); w.bridge.RunReconciliation(ctx) }()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if r, err := w.bridge.Reconciled(w.ctx); err != nil || !r.Ended.IsZero() {
			break
		}
	}
	stop()
	<-done
	r, err := w.bridge.Reconciled(w.ctx)
	if err != nil || !r.Ended.Equal(w.clock.Now()) || r.LastPeople < 250 || r.Differences != 0 || !r.Began.IsZero() {
		t.Errorf("%+v (%v)", r, err)
	}
}

// Two nodes that compare everybody at once write down how far one of them has come.
func TestOneNodeSaysHowFarReconciliationHasCome(t *testing.T) {
	w := newWorld(t)
	var was store.Reconciled
	move := func(to store.Reconciled) error {
		return w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.MoveReconciled(was, to) })
	}
	w.do(move(store.Reconciled{Person: 7, Began: w.clock.Now(), People: 3}))
	if err := move(store.Reconciled{Person: 9}); err == nil {
		t.Error("another moved on from where nobody is any more")
	}
}
