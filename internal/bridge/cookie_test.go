package bridge_test

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// TestALostAnswerToASwitchIsGivenAgain: a browser that did not see the answer still has
// the old cookie. It stays signed in, is given the new cookie, and the same one when it
// asks again, as long as nobody has brought the new one, and for a minute at most.
func TestALostAnswerToASwitchIsGivenAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	to := guestPlace(s)
	lost, _, err := w.bridge.Switch(w.ctx, s.cookie, to)
	w.do(err)

	b, err := w.bridge.Browser(w.ctx, s.cookie)
	if w.do(err); b.Session.Active != to || b.Renewed.Reveal() != lost.Reveal() {
		t.Fatalf("the old cookie shows %q, and is given %v again", b.Session.Active, b.Renewed.Reveal() == lost.Reveal())
	}
	again, b, err := w.bridge.Switch(w.ctx, s.cookie, to)
	if w.do(err); again.Reveal() != lost.Reveal() || b.Session.Version != s.browser.Session.Version+1 {
		t.Errorf("the same switch gives another cookie (%v), or switched again (version %d)", again.Reveal() != lost.Reveal(), b.Session.Version)
	}

	w.clock.Add(time.Minute)
	if _, err := w.bridge.Browser(w.ctx, s.cookie); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("after the grace the old cookie is answered %v", err)
	}
	if _, _, err := w.bridge.Switch(w.ctx, s.cookie, s.browser.Session.Active); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("after the grace the old cookie switches: %v", err)
	}
	if b, err := w.bridge.Browser(w.ctx, lost.Reveal()); err != nil || !b.Renewed.Empty() {
		t.Errorf("the new cookie is answered %v", err)
	}
}

// TestAnOldCookieIsDeadOnceTheNewOneHasCome: whoever stole it has no minute.
func TestAnOldCookieIsDeadOnceTheNewOneHasCome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	renewed, _, err := w.bridge.Switch(w.ctx, s.cookie, guestPlace(s))
	w.do(err)
	_, err = w.bridge.Browser(w.ctx, renewed.Reveal())
	w.do(err)
	if _, err := w.bridge.Browser(w.ctx, s.cookie); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the old cookie is answered %v", err)
	}
	if _, err := w.bridge.Browser(w.ctx, renewed.Reveal()); err != nil {
		t.Errorf("the new cookie is answered %v", err)
	}
}

// TestOnlyTheCookieBeforeThePresentOneIsGivenTheNewOne: two switches later it is dead, also
// within the minute.
func TestOnlyTheCookieBeforeThePresentOneIsGivenTheNewOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	s := w.session(southern, "oid-kim")
	to := guestPlace(s)
	first, _, err := w.bridge.Switch(w.ctx, s.cookie, to)
	w.do(err)
	second, b, err := w.bridge.Switch(w.ctx, s.cookie, s.browser.Session.Active) // the answer was lost, and the person changed their mind
	if w.do(err); b.Session.Active != s.browser.Session.Active || second.Reveal() == first.Reveal() {
		t.Errorf("it stands on %q", b.Session.Active)
	}
	if _, err := w.bridge.Browser(w.ctx, s.cookie); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the cookie of two switches ago is answered %v", err)
	}
	if _, err := w.bridge.Browser(w.ctx, second.Reveal()); err != nil {
		t.Errorf("the present cookie is answered %v", err)
	}
}
