package bridge_test

import (
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/console"
)

// TestTB15_NoCookieOfBeforeIsTheSessionOfAfter: a session begins under a new secret at each sign-in and at each switch. A
// cookie that somebody put into a browser before, their own or a made-up one, opens nothing of whoever
// signs in there.
func TestTB15_NoCookieOfBeforeIsTheSessionOfAfter(t *testing.T) {
	t.Parallel()
	name := console.SessionCookie(false)
	all := halfway(t, "openid profile")
	attacker, victim := all.visitors[5], all.visitors[0]
	for what, planted := range map[string]string{"the attacker's own": attacker.cookies[name], "a made-up one": "drb_session_" + attacker.cookies[name]} {
		all.w.clock.Add(2 * time.Minute) // a fresh sign-in may be a minute older than what asks for it
		victim.cookies = map[string]string{name: planted}
		victim.state = in(victim.do(http.MethodGet, victim.asked("login consent"), nil, ""), "state")
		victim.callback()
		mine := victim.cookies[name]
		if mine == "" || mine == planted {
			t.Fatalf("%s: the victim has the cookie %q", what, mine)
		}
		if b, err := all.w.bridge.Browser(all.w.ctx, planted); err == nil && string(b.Session.Person) == victim.person {
			t.Errorf("%s is the victim's session", what)
		}
		if b, err := all.w.bridge.Browser(all.w.ctx, mine); err != nil || string(b.Session.Person) != victim.person {
			t.Errorf("%s: the victim's own cookie: %v", what, err)
		}
	}
	before := maps.Clone(victim.cookies)
	for _, a := range victim.choices {
		victim.do(http.MethodPost, "/me/switch", url.Values{"assignment": {string(a.ID)}}, "")
	}
	if victim.cookies[name] == before[name] {
		t.Error("a switch keeps the cookie")
	}
	victim.do(http.MethodGet, "/me/", nil, "") // the answer to the switch has arrived: its cookie comes
	if _, err := all.w.bridge.Browser(all.w.ctx, before[name]); err == nil {
		t.Error("the cookie of before a switch is accepted after the new one has come")
	}
}
