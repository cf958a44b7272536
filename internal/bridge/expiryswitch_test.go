package bridge_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestI25_ExpiryWhileSwitching: sessions that switch to what is about to end, and take tokens
// by it, while the clock goes over that instant with nothing working in the background. When
// it is past, nothing stands on it, and nobody can switch to it.
func TestI25_ExpiryWhileSwitching(t *testing.T) {
	t.Parallel()
	w := stored(t)
	who := access.PersonID(w.person(banksia, "sam@banksia.example", "oid-sam"))
	w.group(banksia, "GL Account Admins", string(who))
	visits := make([]visit, 6)
	for i := range visits {
		visits[i].cookie, visits[i].browser = w.mustSignIn(banksia, "oid-sam")
	}
	at := mapping.Pair{Grant: access.Standard, Scope: w.scope("southern/banksia/hobart").ID}
	until := w.clock.Now().Add(10 * time.Second)
	w.permit(banksia, access.Permit{ID: "prm_race", Person: who, Request: "req_race", Kind: access.SourceRequest, Grant: at.Grant, Scope: at.Scope,
		Standing: access.Guest, Given: w.clock.Now(), Until: until})
	var to access.AssignmentID
	shown, err := w.bridge.Browser(w.ctx, visits[0].cookie)
	w.do(err)
	for _, a := range shown.Choices {
		if a.Grant == at.Grant && a.Scope.ID == at.Scope {
			to = a.ID
		}
	}
	if to == "" {
		t.Fatal("the permit gave nothing")
	}
	w.clock.Add(8*time.Second - time.Millisecond) // tokens count whole seconds

	var all sync.WaitGroup
	start, before, failed := make(chan struct{}), make([]bool, len(visits)), make([]error, len(visits))
	for i := range visits {
		all.Go(func() { <-start; before[i], failed[i] = w.switches(&visits[i], to) })
	}
	all.Go(func() {
		<-start
		for range 5 {
			w.clock.Add(500 * time.Millisecond)
			time.Sleep(time.Millisecond)
		}
	})
	close(start)
	all.Wait()
	for i, v := range visits {
		if failed[i] != nil {
			t.Error(failed[i])
		}
		w.standsNowhere(fmt.Sprintf("session %d, switched in time %t", i, before[i]), v, to)
	}
}

// switches goes over to an assignment and takes tokens by it, and reports whether it could. It
// may be refused, and by nothing else than that there is no such thing any more.
func (w *world) switches(v *visit, to access.AssignmentID) (done bool, err error) {
	cookie, b, err := w.bridge.Switch(w.ctx, v.cookie, to)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) || fault.Is(err, fault.Unauthenticated) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	v.cookie, v.browser = cookie.Reveal(), b
	code, err := w.code(b)
	if err == nil {
		v.tokens, err = w.redeem(code)
	}
	if err != nil && !fault.Is(err, fault.Internal) {
		return true, nil // it ended before the token was made
	}
	return true, err
}

// standsNowhere fails if anything of a sign-in stands on an assignment that is over.
func (w *world) standsNowhere(when string, v visit, at access.AssignmentID) {
	w.t.Helper()
	if v.tokens.AccessToken != "" {
		if _, err := w.bridge.Accept(w.ctx, v.tokens.AccessToken); err == nil {
			w.t.Errorf("%s: its access token is accepted", when)
		}
		if _, err := w.refresh(v.tokens.RefreshToken); err == nil {
			w.t.Errorf("%s: its refresh token is accepted", when)
		}
	}
	if b, err := w.bridge.Browser(w.ctx, v.cookie); err == nil && b.Assignment.ID == at {
		w.t.Errorf("%s: the session stands on it", when)
	}
	if _, _, err := w.bridge.Switch(w.ctx, v.cookie, at); err == nil {
		w.t.Errorf("%s: one can switch to it", when)
	}
}
