package bridge_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// errBroken is what a store says that cannot answer.
var errBroken = fault.New(fault.Unavailable, "test", "broken on purpose")

// breaking makes the n-th step of a kind fail, once.
type breaking struct {
	steps
	n, count int
	kinds    string
	where    string // the step that failed; "" if there was none
}

func (b *breaking) arm(n int, kinds string) {
	b.n, b.count, b.kinds, b.where = n, 0, kinds, ""
	b.reach = func(kind, what string) error {
		if !strings.Contains(b.kinds, kind) {
			return nil
		}
		b.count++
		if b.count != b.n {
			return nil
		}
		b.where = kind + ": " + what
		return errBroken
	}
}

// everyFault runs an act again and again, prepared anew each time, with the first,
// the second, … step broken, until one run takes all its steps.
func everyFault(t *testing.T, b *breaking, kinds string, prepare func() func() error, judge func(where string, err error)) {
	t.Helper()
	for n := 1; n < 500; n++ {
		act := prepare()
		b.arm(n, kinds)
		err := act()
		b.reach = nil
		if b.where == "" {
			if err != nil {
				t.Fatalf("with nothing broken: %v", err)
			}
			if n < 3 {
				t.Errorf("only %d steps were broken: this proves little", n-1)
			}
			return
		}
		judge(b.where, err)
	}
	t.Fatal("there is no end to the steps")
}

const storeSteps = stepBoundary + " " + stepStatement

// TestI23_NoStoreNoCredential: any error of the store or of the hot engine, at any
// call of any way to a credential, refuses it, and says "later" rather than "no".
// Threats: T-B8.
func TestI23_NoStoreNoCredential(t *testing.T) {
	for _, way := range []string{"sign-in", "issue", "code exchange", "refresh", "switch", "browser", "accept", "grants", "introspection of a refresh token"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := &breaking{}
			s := newScene(t, stepping(&b.steps))
			everyFault(t, b, storeSteps+" "+stepHot, func() func() error { return s.again(way) }, func(where string, err error) {
				if strings.HasSuffix(where, "EndSession") {
					return // tidying, after the commit
				}
				if err == nil {
					t.Errorf("%s succeeds although this failed: %s", way, where)
				} else if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Internal) {
					t.Errorf("%s says no, not later, because this failed: %s: %v", way, where, err)
				}
			})
		})
	}
}

// again prepares a way to a credential: with an empty window of epochs, so that the
// directory is asked, and with a code and a cookie that were not used.
func (s *scene) again(way string) func() error {
	s.w.forget()
	switch way {
	case "code exchange":
		code, err := s.w.code(s.held.browser)
		s.w.do(err)
		s.code = code
	case "refresh":
		s.refresh = s.w.session(southern, "oid-kim")
	case "switch":
		s.swap = s.w.session(southern, "oid-kim")
	}
	return s.ways()[way]
}

// TestI23_NoStoreNoAcknowledgedRevocation: an error of the store, at any call of
// anything that ends access, is never answered with success; and what is answered
// with success has ended access, even if the hot engine failed.
// Threats: T-B8.
func TestI23_NoStoreNoAcknowledgedRevocation(t *testing.T) {
	for name, end := range map[string]func(s *scene) error{
		"SCIM deactivation": func(s *scene) error {
			return s.scim("PATCH", "/Users/"+s.person, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`)
		},
		"SCIM deletion":  func(s *scene) error { return s.scim("DELETE", "/Users/"+s.person, "") },
		"group deletion": func(s *scene) error { return s.scim("DELETE", "/Groups/"+s.group, "") },
		"SCIM deactivation in a bulk": func(s *scene) error {
			off := operation{Method: "PATCH", Path: "/Users/" + s.person, Data: []byte(`{"Operations":[{"op":"replace","path":"active","value":false}]}`)}
			if got := s.w.bulk(southern, off); got[0].Status != "200" {
				return fmt.Errorf("%v", got[0])
			}
			return nil
		},
		"end of connection": func(s *scene) error { return s.w.bridge.EndConnection(s.w.ctx, southern) },
		"sign-out":          func(s *scene) error { return s.w.bridge.SignOut(s.w.ctx, s.held.browser.Session.ID, "signed_out") },
		"rule removed": func(s *scene) error {
			src := samplePolicy(s.w.t)
			withoutRule("southern-installers")(&src)
			_, err := s.w.bridge.ApplyPolicy(s.w.ctx, src)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &breaking{}
			s := newScene(t, stepping(&b.steps))
			prepare := func() func() error {
				s.restore()
				return func() error { return end(s) }
			}
			everyFault(t, b, storeSteps, prepare, func(where string, err error) {
				if err == nil {
					t.Errorf("%s is acknowledged although this failed: %s", name, where)
				}
			})
			s.w.allDead(s.held, name)
			s.restore()
			b.arm(1, stepHot)
			err := end(s)
			b.reach = nil
			if b, a, r := s.w.alive(s.held); err == nil && (b || a || r) {
				t.Errorf("%s is acknowledged without the hot engine, but browser %t, access %t, refresh %t are accepted", name, b, a, r)
			}
		})
	}
}

// restore gives the person their access back, whatever was done before, and a
// session, under names of their own.
func (s *scene) restore() {
	s.w.t.Helper()
	s.w.policy(withoutConnection(southern))
	s.w.policy(func(*mapping.PolicySource) {})
	if status, _ := s.w.send(southern, "GET", "/Users/"+s.person, ""); status == 404 {
		s.person = s.w.must(201, southern, "POST", "/Users", kimBody)["id"].(string)
	}
	if status, _ := s.w.send(southern, "GET", "/Groups/"+s.group, ""); status == 404 {
		s.group = s.w.group(southern, "Field Installers")
	}
	for _, active := range []string{"false", "true"} { // no session of an earlier round is left
		s.w.patchUser(southern, s.person, `{"op":"replace","path":"active","value":`+active+`}`)
	}
	s.w.addMember(southern, s.group, s.person)
	s.held = s.w.session(southern, "oid-kim")
}

// scim gives an error for every answer that is not a success.
func (s *scene) scim(method, path, body string) error {
	if status, out := s.w.send(southern, method, path, body); status/100 != 2 {
		return fmt.Errorf("%d %v", status, out)
	}
	return nil
}

// TestI23_NoStoreNoEndOfTokens: the OAuth verbs that end tokens say nothing good
// about an end that a fault prevented, nor when they are asked again after it.
func TestI23_NoStoreNoEndOfTokens(t *testing.T) {
	for name, end := range map[string]func(s *scene) error{
		"revoke a refresh token": func(s *scene) error { return s.w.bridge.Revoke(s.w.ctx, s.held.tokens.RefreshToken, "fleet-web") },
		"revoke an access token": func(s *scene) error { return s.w.bridge.Revoke(s.w.ctx, s.held.tokens.AccessToken, "fleet-web") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &breaking{}
			s := newScene(t, stepping(&b.steps))
			prepare := func() func() error {
				s.w.forget()
				s.held = s.w.session(southern, "oid-kim")
				return func() error { return end(s) }
			}
			everyFault(t, b, storeSteps+" "+stepHot, prepare, func(where string, err error) {
				if err == nil && !strings.HasSuffix(where, "EndSession") { // which is tidying, after the commit
					t.Errorf("acknowledged although this failed: %s", where)
				}
				if err := end(s); err != nil {
					t.Errorf("asked again after %s failed: %v", where, err)
				}
				s.noTokens("asked again after " + where + " failed")
			})
			s.noTokens("with nothing broken")
		})
	}
}

// noTokens fails unless the session's tokens are dead; the browser may be signed in.
func (s *scene) noTokens(when string) {
	s.w.t.Helper()
	if _, a, r := s.w.alive(s.held); a || r {
		s.w.t.Errorf("%s: access %t, refresh %t are accepted", when, a, r)
	}
}

// TestI4_ATheftIsDealtWithAfterItsCallerHungUp: a code or a refresh token that comes
// twice ends everything it led to, also when the connection goes at that moment.
func TestI4_ATheftIsDealtWithAfterItsCallerHungUp(t *testing.T) {
	for name, steal := range map[string]struct {
		seen string // the verb that sees the theft
		do   func(ctx context.Context, w *world, v visit, code string) error
	}{
		"a code": {"ConsumeCode", func(ctx context.Context, w *world, _ visit, code string) error {
			_, err := w.bridge.Redeem(ctx, oidc.CodeExchange{Code: code, RedirectURI: w.web.RedirectURIs[0], CodeVerifier: verifier, Client: w.web})
			return err
		}},
		"a refresh token": {"Rotate", func(ctx context.Context, w *world, v visit, _ string) error {
			_, err := w.bridge.Refresh(ctx, oidc.RefreshExchange{RefreshToken: v.tokens.RefreshToken, Client: w.web})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &breaking{}
			s := newScene(t, stepping(&b.steps))
			code, err := s.w.code(s.held.browser)
			s.w.do(err)
			first, err := s.w.redeem(code)
			s.w.do(err)
			thief := visit{cookie: s.held.cookie, browser: s.held.browser, tokens: first}
			second, err := s.w.refresh(first.RefreshToken)
			s.w.do(err)
			s.held = visit{cookie: s.held.cookie, browser: s.held.browser, tokens: second}
			s.w.clock.Add(s.w.lives.RefreshGrace + time.Millisecond)
			ctx, hangUp := context.WithCancel(s.w.ctx)
			defer hangUp()
			b.reach = func(kind, what string) error {
				if kind == stepHot && what == steal.seen {
					hangUp()
				}
				return nil
			}
			if err := steal.do(ctx, s.w, thief, code); err == nil || ctx.Err() == nil {
				t.Fatalf("the theft was answered with %v, hung up: %v", err, ctx.Err())
			}
			b.reach = nil
			s.noTokens("after the theft")
		})
	}
}
