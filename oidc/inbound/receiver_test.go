package inbound

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// TestOpenIDSSFReceiverTestPlan has the modules of the OpenID Foundation's plan
// openid-ssf-receiver-test-plan by their names, by push and by poll.
func TestOpenIDSSFReceiverTestPlan(t *testing.T) {
	both(t, func(t *testing.T, push bool) {
		t.Run("openid-ssf-receiver-happypath", func(t *testing.T) { happyPath(t, push) })
		t.Run("openid-ssf-receiver-stream-create-delete", func(t *testing.T) {
			s := newSender(t)
			w := newListening(t, s, s.config(push))
			w.turn(0)
			w.quiet()
			d := s.stream["delivery"].(map[string]any)
			if push && (d["endpoint_url"] != base+"/connect/okta/events" || !strings.HasPrefix(d["authorization_header"].(string), "Bearer ")) {
				t.Errorf("asked for %v", d)
			}
			w.restart() // and nothing is configured any more
			w.turn(time.Second)
			w.quiet()
			if asked := s.since(); asked[len(asked)-1] != "DELETE /streams" || s.stream != nil || len(w.rows.rows) != 0 {
				t.Errorf("asked %v, left %v and %v", asked, s.stream, w.rows.rows)
			}
		})
		t.Run("openid-ssf-receiver-stream-status-update", func(t *testing.T) { statusUpdate(t, push) })
		t.Run("openid-ssf-receiver-stream-verification", func(t *testing.T) { verification(t, push) })
		t.Run("openid-ssf-receiver-unsolicited-stream-verification", func(t *testing.T) {
			s := newSender(t)
			w := newListening(t, s, s.config(push))
			early := make(chan int, 1)
			if push { // the transmitter sends it before it says that there is a stream
				s.eager = func() {
					go func() {
						status, _ := w.push(s.stream["delivery"].(map[string]any)["authorization_header"].(string), w.signed(w.claims(ssf.Verification, streamSubject())))
						early <- status
					}()
				}
			}
			w.turn(0)
			if push {
				if status := <-early; status != 202 {
					t.Errorf("sent early: %d", status)
				}
			} else if status, code := w.send(w.signed(w.claims(ssf.Verification, streamSubject())), "set-1"); status != 202 {
				t.Errorf("%d %s", status, code)
			}
			if w.stream().Verified.IsZero() || w.stream().State == "" {
				t.Errorf("%+v", w.stream())
			}
		})
		t.Run("openid-ssf-receiver-stream-supported-events", func(t *testing.T) {
			s := newSender(t)
			w := newListening(t, s, s.config(push))
			w.turn(0)
			for i, c := range []struct {
				event  ssf.Type
				effect Effect
			}{{ssf.SessionRevoked, EffectSession}, {SessionsRevoked, EffectPerson}, {ssf.AccountDisabled, EffectPerson}, {ssf.AccountPurged, EffectPerson},
				{CredentialChange, EffectNone}, {ssf.TokenClaimsChange, EffectNone}, {"https://example.com/another", EffectNone}} {
				claims := w.claims(c.event, kim(s))
				claims["jti"] = fmt.Sprint("set-", i)
				if status, code := w.send(w.signed(claims), fmt.Sprint("set-", i)); status != 202 {
					t.Errorf("%s: %d %s", c.event, status, code)
				}
				got := w.signals[len(w.signals)-1]
				if got.Event != c.event || got.Effect != c.effect || got.User != (Subject{Issuer: s.issuer(), ID: "00u1"}) || got.Signer != s.issuer() || got.JTI != fmt.Sprint("set-", i) || got.Issuer != "https://login.example" {
					t.Errorf("%s: %+v", c.event, got)
				}
			}
			if w.quiet(); len(w.signals) != 7 || w.stream().Heard.IsZero() || w.counted[0] != "okta signal ended" {
				t.Errorf("%d signals, %+v, counted %v", len(w.signals), w.stream(), w.counted)
			}
		})
	})
}

func happyPath(t *testing.T, push bool) {
	s := newSender(t)
	l := s.config(push)
	w := newListening(t, s, l)
	w.turn(0)
	if asked := s.since(); !slices.Equal(asked, []string{"GET /streams", "POST /streams", "POST /verify"}) {
		t.Errorf("create: %v", asked)
	}
	w.restart(l)
	w.turn(time.Minute)
	if asked := s.since(); !slices.Equal(asked, []string{"GET /streams", "GET /status"}) {
		t.Errorf("read: %v", asked)
	}
	l.Events = []ssf.Type{ssf.SessionRevoked}
	w.r.Prepare([]Listening{l})()
	w.turn(time.Minute)
	if asked := s.since(); !slices.Equal(asked, []string{"GET /streams", "PATCH /streams", "GET /status"}) || len(asList(s.stream["events_requested"])) != 1 {
		t.Errorf("update: %v of %v", asked, s.stream)
	}
	l.Push = !push
	w.r.Prepare([]Listening{l})()
	w.turn(time.Minute)
	if asked := s.since(); !slices.Equal(asked, []string{"GET /streams", "PUT /streams", "GET /status", "POST /verify"}) || (w.stream().Method == ssf.Push) == push {
		t.Errorf("replace: %v of %v", asked, s.stream)
	}
	if status, code := w.send(w.signed(w.claims(ssf.SessionRevoked, kim(s))), "set-1"); status != 202 {
		t.Errorf("after that: %d %s", status, code)
	}
	w.r.Prepare(nil)()
	w.turn(time.Second)
	if w.quiet(); s.stream != nil || len(w.rows.rows) != 0 {
		t.Errorf("delete: %v, %v", s.stream, w.rows.rows)
	}
}

func statusUpdate(t *testing.T, push bool) {
	s := newSender(t)
	w := newListening(t, s, s.config(push))
	w.turn(0)
	claims := w.claims(ssf.StreamUpdated, streamSubject())
	claims["events"] = map[string]any{string(ssf.StreamUpdated): map[string]any{"status": "paused", "reason": "maintenance"}}
	s.status = ssf.Paused
	if status, code := w.send(w.signed(claims), "set-1"); status != 202 || w.stream().Status != ssf.Paused || w.stream().Reason != "maintenance" {
		t.Errorf("%d %s: %+v", status, code, w.stream())
	}
	w.turn(time.Hour)
	w.quiet()
	if s.status != ssf.Enabled || w.stream().Status != ssf.Enabled {
		t.Errorf("the transmitter has it %s, we %s", s.status, w.stream().Status)
	}
}

func verification(t *testing.T, push bool) {
	s := newSender(t)
	w := newListening(t, s, s.config(push))
	w.turn(0)
	verified := func(state string) (int, string) {
		claims := w.claims(ssf.Verification, streamSubject())
		claims["events"] = map[string]any{string(ssf.Verification): map[string]any{"state": state}}
		return w.send(w.signed(claims), "set-1")
	}
	if status, code := verified("another"); status != 400 || code != codeRequest || !w.stream().Verified.IsZero() {
		t.Errorf("another state: %d %s", status, code)
	}
	if len(s.states) != 1 {
		t.Fatalf("asked for %d verifications", len(s.states))
	}
	for range 2 { // it may come again: the acknowledgement may have got lost
		if status, code := verified(s.states[0]); status != 202 || w.stream().Verified.IsZero() || w.stream().State != "" {
			t.Errorf("%d %s: %+v", status, code, w.stream())
		}
	}
	claims := w.claims(ssf.Verification, map[string]any{"format": "opaque", "id": "str-2"})
	if status, code := w.send(w.signed(claims), "set-1"); status != 400 || code != codeRequest {
		t.Errorf("another stream's: %d %s", status, code)
	}
	w.turn(6 * time.Hour)
	if len(s.states) != 2 || s.states[0] == s.states[1] {
		t.Errorf("asked with %v", s.states)
	}
}

// TestOpenIDSSFReceiverCAEPTestPlan has the modules of the OpenID Foundation's plan
// openid-ssf-receiver-caep-test-plan by their names, by push and by poll.
func TestOpenIDSSFReceiverCAEPTestPlan(t *testing.T) {
	both(t, func(t *testing.T, push bool) {
		t.Run("openid-ssf-receiver-happypath", func(t *testing.T) { happyPath(t, push) })
		t.Run("openid-ssf-receiver-stream-status-update", func(t *testing.T) { statusUpdate(t, push) })
		t.Run("openid-ssf-receiver-stream-caep-interop", func(t *testing.T) {
			s := newSender(t)
			l := s.config(push)
			l.Events, l.EndOnCredentialChange = append(l.Events, CredentialChange), true
			w := newListening(t, s, l)
			w.turn(0)
			w.restart(l)
			w.turn(time.Minute)
			if asked := s.since(); !slices.Equal(asked, []string{"GET /streams", "POST /streams", "POST /verify", "GET /streams", "GET /status"}) {
				t.Errorf("%v", asked)
			}
			for event, what := range map[ssf.Type]map[string]any{
				ssf.Verification:   {"state": s.states[0]},
				ssf.SessionRevoked: {"event_timestamp": w.clock.Unix(), "initiating_entity": "policy", "reason_admin": map[string]string{"en": "x"}, "reason_user": map[string]string{"en": "y"}},
				CredentialChange:   {"credential_type": "password", "change_type": "update", "event_timestamp": w.clock.Unix()},
			} {
				claims := w.claims(event, map[string]any{"format": "complex", "user": map[string]any{"format": "email", "email": "kim@southern.example"},
					"session": map[string]any{"format": "opaque", "id": "sid-1"}, "tenant": map[string]any{"format": "opaque", "id": "t"}})
				if event == ssf.Verification {
					claims["sub_id"] = streamSubject()
				}
				claims["jti"], claims["txn"], claims["events"] = nameOf(event), "7", map[string]any{string(event): what}
				if status, code := w.send(w.signed(claims), nameOf(event)); status != 202 {
					t.Errorf("%s: %d %s", event, status, code)
				}
			}
			if len(w.signals) != 2 || w.signals[0].User.Email != "kim@southern.example" || w.signals[0].Session != "sid-1" || w.signals[0].Effect == EffectNone || w.signals[1].Effect == EffectNone {
				t.Errorf("%+v", w.signals)
			}
			w.quiet()
		})
	})
}
