package bridge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// walker is somebody with a session, its tokens and a code, who is about to ask for more.
type walker struct {
	w                  *world
	who, person, group string
	v                  visit
	code               string
}

// newcomer makes the n-th walker of a world.
func (w *world) newcomer(group string, n int) *walker {
	w.t.Helper()
	k := &walker{w: w, who: fmt.Sprint("oid-kim", n), group: group}
	k.person = w.must(201, southern, "POST", "/Users", strings.NewReplacer("kim@southern.example", k.who+"@southern.example", "oid-kim", k.who).Replace(kimBody))["id"].(string)
	w.addMember(southern, group, k.person)
	k.v = w.saidIn(upstream.Identity{Connection: southern, Subject: k.who, Sub: k.who})
	var err error
	k.code, err = w.code(k.v.browser)
	w.do(err)
	w.clock.Add(time.Second)
	return k
}

// way leads from what a walker has to another credential. What it gives tells whether any of
// what came out is accepted.
type way struct {
	name string
	take func(*walker) visit
}

func waysOn() []way {
	return []way{
		{"sign-in", func(k *walker) (v visit) {
			cookie, _, _ := k.w.bridge.SignIn(k.w.ctx, upstream.Identity{Connection: southern, Issuer: idpIssuer(southern), Subject: k.who, Sub: k.who, AuthTime: k.w.clock.Now(), Started: k.w.clock.Now()})
			return visit{cookie: cookie.Reveal()}
		}},
		{"issue", func(k *walker) (v visit) {
			code, _ := k.w.code(k.v.browser)
			v.tokens, _ = k.w.redeem(code)
			return v
		}},
		{"code exchange", func(k *walker) (v visit) { v.tokens, _ = k.w.redeem(k.code); return v }},
		{"refresh", func(k *walker) (v visit) { v.tokens, _ = k.w.refresh(k.v.tokens.RefreshToken); return v }},
		{"token exchange", func(k *walker) (v visit) {
			v.tokens, _ = k.w.exchange(k.v.tokens.AccessToken, guestPlace(k.v))
			return v
		}},
		{"switch", func(k *walker) visit {
			renewed, _, _ := k.w.bridge.Switch(k.w.ctx, k.v.cookie, guestPlace(k.v))
			return visit{cookie: renewed.Reveal()}
		}},
	}
}

// blow ends access in the middle of a way; after puts right what it did to everybody.
type blow struct {
	name  string
	do    func(*walker)
	after func(*world)
	begun bool // it ends what there was: a sign-in that was begun before it may go on
}

func blows() []blow {
	back := func(w *world) { w.policy(func(*mapping.PolicySource) {}) }
	return []blow{
		{"inactive", func(k *walker) {
			k.w.patchUser(southern, k.person, `{"op":"replace","path":"active","value":false}`)
		}, nil, false},
		{"disabled and enabled", func(k *walker) {
			k.w.patchUser(southern, k.person, `{"op":"replace","path":"active","value":false}`)
			k.w.patchUser(southern, k.person, `{"op":"replace","path":"active","value":true}`)
		}, nil, true},
		{"deleted", func(k *walker) { k.w.must(204, southern, "DELETE", "/Users/"+k.person, "") }, nil, false},
		{"out of the group", func(k *walker) { k.w.removeMember(southern, k.group, k.person) }, nil, false},
		{"connection removed", func(k *walker) { k.w.policy(withoutConnection(southern)) }, back, false},
		{"rule removed", func(k *walker) { k.w.policy(withoutRule("southern-installers")) }, back, false},
		{"revoked by the identity provider", func(k *walker) {
			k.w.clock.Add(time.Second)
			_, err := k.w.bridge.HearRevocation(k.w.ctx, inbound.Revocation{Message: k.w.message(), Connection: southern, Issuer: idpIssuer(southern), Subject: inbound.Subject{ID: k.who}})
			k.w.do(err)
		}, nil, false},
		{"sessions ended", func(k *walker) {
			_, err := k.w.bridge.EndPersonSessions(k.w.ctx, southern, access.PersonID(k.person), session.EndAdministrator, event.ByAdministrator)
			k.w.do(err)
		}, nil, true},
		{"everything ended", func(k *walker) { k.w.do(k.w.bridge.EndEverything(k.w.ctx, event.ByAdministrator)) }, nil, true},
	}
}

// TestTB5_NoStepOutlivesWhatEndsIt stops each way to a credential at each step inside, between
// transactions and at each verb of the hot engine, lets each thing happen that ends access, and goes on:
// whatever comes out, and whatever was there before, is not accepted.
func TestTB5_NoStepOutlivesWhatEndsIt(t *testing.T) {
	for _, b := range blows() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			st := &steps{}
			w := newWorld(t, stepping(st))
			group, n := w.group(southern, "Field Installers"), 0
			for _, way := range waysOn() {
				if b.begun && way.name == "sign-in" {
					continue // what it would give is not there yet
				}
				at := 0
				for struck(t, w.newcomer(group, n), st, way, b, at) {
					if n, at = n+1, at+1; b.after != nil {
						b.after(w)
					}
				}
				if n++; at < 4 {
					t.Errorf("%s takes only %d steps: this proves little", way.name, at)
				}
			}
		})
	}
}

// struck lets the blow fall at the n-th step of a way, and reports whether there is such a step.
func struck(t *testing.T, k *walker, st *steps, way way, b blow, n int) (reached bool) {
	t.Helper()
	count, what := 0, ""
	st.reach = func(kind, name string) error {
		if kind == stepStatement {
			return nil // inside a transaction nobody else writes
		}
		if count == n {
			reached, what = true, kind+" "+name
			b.do(k)
		}
		count++
		return nil
	}
	got := way.take(k)
	st.reach = nil
	browser, access, refresh := k.w.alive(got)
	if !reached {
		if !browser && !access && !refresh {
			t.Errorf("undisturbed, %s gives nothing", way.name)
		}
		return false
	}
	if browser || access || refresh {
		t.Errorf("%s, stopped at step %d (%s): browser %t, access token %t, refresh token %t are accepted", way.name, n, what, browser, access, refresh)
	}
	k.w.allDead(k.v, way.name+", what was there before")
	return true
}
