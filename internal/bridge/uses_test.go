package bridge_test

import (
	"context"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// rest lets the background work write what it keeps for later.
func (w *world) rest() {
	gone, stop := context.WithCancel(w.ctx)
	stop()
	w.bridge.Run(gone)
}

// lastUsed is when each of a person's assignments was last used, by its grant.
func (w *world) lastUsed(c access.ConnectionID, id string) map[access.Grant]time.Time {
	w.t.Helper()
	w.rest()
	used := map[access.Grant]time.Time{}
	err := w.store.View(w.ctx, func(v *store.View) error {
		dir, err := v.In(c)
		if err != nil {
			return err
		}
		p, err := dir.Person(access.PersonID(id))
		if err != nil {
			return err
		}
		held, err := dir.Assignments(p)
		for _, a := range held {
			used[a.Grant] = a.LastUsed
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return used
}

// An assignment knows when a session last stood on it: by a sign-in, a code, a refresh
// or a switch, to the minute. It keeps that when it changes, and when all is dropped
// to be given anew.
func TestAnAssignmentKnowsWhenItWasLastUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const conn = "banksia-entra"
	sam := w.person(conn, "sam@banksia.example", "oid-sam")
	admins := w.group(conn, "GL Account Admins", sam)
	w.group(conn, "GL Geelong Managers", sam)
	is := func(when string, grant access.Grant, want time.Time) {
		t.Helper()
		if got := w.lastUsed(conn, sam)[grant]; !got.Equal(want) {
			t.Errorf("%s: %s was last used %v, want %v", when, grant, got, want)
		}
	}
	is("before any sign-in", access.Administrator, time.Time{})
	s := w.session(conn, "oid-sam", "offline_access")
	began := w.clock.Now()
	is("after the sign-in", access.Administrator, began)
	w.clock.Add(20 * time.Second)
	tokens, err := w.refresh(s.tokens.RefreshToken)
	w.do(err)
	is("within the minute", access.Administrator, began)
	w.clock.Add(time.Minute)
	_, err = w.refresh(tokens.RefreshToken)
	w.do(err)
	refreshed := w.clock.Now()
	is("after a refresh", access.Administrator, refreshed)
	is("of the other", access.Standard, time.Time{})

	w.clock.Add(time.Hour)
	for _, c := range s.browser.Choices {
		if c.Grant == access.Standard {
			_, _, err := w.bridge.Switch(w.ctx, s.cookie, c.ID)
			w.do(err)
		}
	}
	is("after a switch", access.Standard, w.clock.Now())
	is("of what was left", access.Administrator, refreshed)
	switched := w.clock.Now()
	w.removeMember(conn, admins, sam) // the guest becomes the primary
	is("changed", access.Standard, switched)
	for _, flags := range []access.Flags{{Video: true}, {}} { // two versions at once: all is dropped, and given anew
		src := samplePolicy(t)
		for i := range src.Rules {
			src.Rules[i].Flags = flags
		}
		_, err := w.bridge.ApplyPolicy(w.ctx, src)
		w.do(err)
	}
	w.drain()
	is("given anew", access.Standard, switched)
}
