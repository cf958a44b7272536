package bridge_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// limits are all that can end what rules give, or begin it, at an instant.
func limits(at, joined time.Time) map[string]struct {
	rule      ruleSource
	certified bool // until the instant
	begins    bool // then, instead of ending
} {
	staff := func(r ruleSource) ruleSource {
		r.ID, r.From, r.Group = "staff", southern, "Staff"
		if r.Give == "" {
			r.Give, r.Guest = "standard @ southern", []string{"standard @ southern/banksia"}
		}
		return r
	}
	type limit = struct {
		rule      ruleSource
		certified bool
		begins    bool
	}
	return map[string]limit{
		"until":                      {rule: staff(ruleSource{Until: at})},
		"for":                        {rule: staff(ruleSource{For: at.Sub(joined)})},
		"expires":                    {rule: staff(ruleSource{Expires: at})},
		"for, before until":          {rule: staff(ruleSource{For: at.Sub(joined), Until: at.Add(time.Hour), Expires: at.Add(time.Millisecond)})},
		"a certification":            {rule: staff(ruleSource{Give: "technician @ southern", Guest: []string{"technician @ southern/banksia"}}), certified: true},
		"attr > now":                 {rule: staff(ruleSource{When: "attr.passed > now"}), certified: true},
		"!(now >= attr)":             {rule: staff(ruleSource{When: "!(now >= attr.passed)"}), certified: true},
		"a condition of a condition": {rule: staff(ruleSource{When: "current && true"}), certified: true},
		"attr + duration > now":      {rule: staff(ruleSource{When: `attr.passed + duration("0s") > now`}), certified: true},
		"not_before":                 {rule: staff(ruleSource{NotBefore: at}), begins: true},
		"now >= attr":                {rule: staff(ruleSource{When: "now >= attr.passed"}), certified: true, begins: true},
		"attr <= now":                {rule: staff(ruleSource{When: "attr.passed <= now && !(now < attr.passed)"}), certified: true, begins: true},
	}
}

// timed is a bridge on which sam of Staff holds what one rule gives. Nothing works in the
// background, and nothing will: what is decided is decided when somebody asks.
type timed struct {
	*world
	at    time.Time
	doors visit // a token each, since some are used up
	swap  visit
	renew visit
	code  string
}

func newTimed(t *testing.T, name string) (w *timed, begins bool) {
	w = &timed{world: newWorld(t)}
	joined := w.clock.Now()
	w.at = joined.Add(24 * time.Hour)
	l := limits(w.at, joined)[name]
	w.policy(func(src *mapping.PolicySource) {
		src.Attributes = []mapping.AttributeSource{{Name: "passed", From: fleetURN + ":certificationExpires"}}
		src.Conditions = []mapping.ConditionSource{{Name: "current", CEL: "attr.passed > now"}}
		src.Rules = []ruleSource{l.rule}
	})
	w.drain()
	passed := w.at.Add(100 * time.Hour)
	if l.certified {
		passed = w.at
	}
	sam := w.must(201, southern, "POST", "/Users", fmt.Sprintf(`{"userName":"sam@southern.example","externalId":"oid-sam","active":true,%q:{"technicianCertification":"Trainer","certificationExpires":%q}}`,
		fleetURN, passed.Format(time.RFC3339Nano)))["id"].(string)
	w.group(southern, "Staff", sam)
	return w, l.begins
}

// enter signs sam in and asks for everything once, so that there is something to refuse.
func (w *timed) enter() {
	w.t.Helper()
	visits := []*visit{&w.doors, &w.swap, &w.renew}
	for _, v := range visits {
		*v = w.session(southern, "oid-sam", "profile", "email")
	}
	var err error
	w.code, err = w.world.code(w.doors.browser)
	w.do(err)
}

// through tries every door, those that use something up last.
func (w *timed) through() map[string]error {
	said := map[string]error{}
	token := w.doors.tokens.AccessToken
	accepted, err := w.bridge.Accept(w.ctx, token)
	if said["introspection"] = err; err == nil {
		_, err = w.bridge.Profile(w.ctx, accepted)
	}
	said["userinfo"] = err
	_, said["introspection of a refresh token"] = w.bridge.AcceptRefresh(w.ctx, w.doors.tokens.RefreshToken)
	_, _, said["/me/grants"] = w.bridge.Grants(w.ctx, oidc.Presented{Token: token})
	_, said["/me"] = w.bridge.Browser(w.ctx, w.doors.cookie)
	if rec := w.with(token, southern, "GET", "/Me", ""); rec.Code != 200 {
		said["SCIM /Me"] = fmt.Errorf("%d", rec.Code)
	} else {
		said["SCIM /Me"] = nil
	}
	_, said["issue"] = w.world.code(w.doors.browser)
	_, said["code exchange"] = w.redeem(w.code)
	_, _, said["switch"] = w.bridge.Switch(w.ctx, w.swap.cookie, guestPlace(w.swap))
	_, said["refresh"] = w.refresh(w.renew.tokens.RefreshToken)
	_, _, said["sign-in"] = w.signIn(southern, "oid-sam")
	return said
}

// all fails unless every door says the same.
func (w *timed) all(open bool, when string) {
	w.t.Helper()
	for door, err := range w.through() {
		if open != (err == nil) {
			w.t.Errorf("%s: %s says %v", when, door, err)
		}
	}
}

func (w *timed) goTo(at time.Time) { w.clock.Add(at.Sub(w.clock.Now())) }

// TestI12_ATimeLimitIsKeptToTheMillisecondAtEveryDoor: a millisecond before the instant
// all is accepted, at the instant nothing is, whatever it is that ends; and what begins
// then is refused a millisecond before (I-12).
// Threats: T-B13.
func TestI12_ATimeLimitIsKeptToTheMillisecondAtEveryDoor(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(limits(time.Time{}, time.Time{}))) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, begins := newTimed(t, name)
			if begins {
				w.goTo(w.at.Add(-time.Millisecond))
				if _, _, err := w.signIn(southern, "oid-sam"); err == nil {
					t.Error("a millisecond before it begins, sam signs in")
				}
				w.goTo(w.at)
				w.enter()
				w.all(true, "at the beginning")
				return
			}
			w.goTo(w.at.Add(-20 * time.Second))
			w.enter()
			w.goTo(w.at.Add(-time.Millisecond))
			w.all(true, "a millisecond before the end")
			w.enter()
			w.goTo(w.at)
			w.all(false, "at the end")
		})
	}
}

// TestI12_WhatIsActiveEndsAloneAtItsInstant: of two assignments the one that a session
// stands on ends. Its tokens are dead at the instant, the person must choose the other
// one, and the session of somebody on the other one notices nothing (I-12).
func TestI12_WhatIsActiveEndsAloneAtItsInstant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.clock.Now().Add(time.Hour)
	w.policy(func(src *mapping.PolicySource) {
		src.Rules = []ruleSource{{ID: "short", From: southern, Group: "Staff", Give: "elevated @ southern", Until: at},
			{ID: "long", From: southern, Group: "Staff", Guest: []string{"standard @ southern/banksia"}},
			{ID: "later", From: southern, Group: "Staff", Guest: []string{"standard @ southern/reefline"}, NotBefore: at}}
	})
	w.drain()
	w.group(southern, "Staff", w.person(southern, "sam@southern.example", "oid-sam"))
	w.clock.Add(at.Add(-time.Minute).Sub(w.clock.Now()))
	short, long := w.session(southern, "oid-sam"), w.switched(southern, "oid-sam")
	later := w.laterPlace(short.browser.Session.Person)

	w.clock.Add(at.Add(-time.Millisecond).Sub(w.clock.Now()))
	if _, _, err := w.bridge.Switch(w.ctx, long.cookie, later); err == nil {
		t.Error("a millisecond before it begins, the later one is switched to")
	}
	if _, err := w.bridge.Accept(w.ctx, short.tokens.AccessToken); err != nil {
		t.Errorf("a millisecond before the end: %v", err)
	}
	w.clock.Add(time.Millisecond)
	if _, err := w.bridge.Accept(w.ctx, short.tokens.AccessToken); err == nil {
		t.Error("at the end the access token is accepted")
	}
	if _, err := w.refresh(short.tokens.RefreshToken); err == nil {
		t.Error("at the end the refresh token is")
	}
	if b, err := w.bridge.Browser(w.ctx, short.cookie); err != nil || b.Session.State != session.MustChoose || len(b.Choices) != 2 {
		t.Errorf("at the end the browser may choose among %+v (%v)", b.Choices, err)
	}
	if _, err := w.refresh(long.tokens.RefreshToken); err != nil { // its access token ended with the decision
		t.Errorf("the session on the other assignment: %v", err)
	}
	if _, _, err := w.bridge.Switch(w.ctx, long.cookie, later); err != nil {
		t.Errorf("at its beginning the later one cannot be switched to: %v", err)
	}
}

// TestI12_WhatEndsWithinASecondEndsForTokensWithTheOneBefore: a token says in whole
// seconds when it ends, and never later than what it stands on (I-12).
func TestI12_WhatEndsWithinASecondEndsForTokensWithTheOneBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := w.clock.Now().Add(time.Hour)
	at := second.Add(700 * time.Millisecond)
	w.policy(func(src *mapping.PolicySource) {
		src.Rules = []ruleSource{{ID: "short", From: southern, Group: "Staff", Give: "standard @ southern", Until: at}}
	})
	w.drain()
	w.group(southern, "Staff", w.person(southern, "sam@southern.example", "oid-sam"))
	w.clock.Add(second.Add(-20 * time.Second).Sub(w.clock.Now()))
	s := w.session(southern, "oid-sam")
	for _, moment := range []struct {
		at            time.Time
		token, signIn bool
	}{{second.Add(-time.Millisecond), true, true}, {second, false, true}, {at.Add(-time.Millisecond), false, true}, {at, false, false}} {
		w.clock.Add(moment.at.Sub(w.clock.Now()))
		if _, err := w.bridge.Accept(w.ctx, s.tokens.AccessToken); moment.token != (err == nil) {
			t.Errorf("at %v an access token: %v", moment.at, err)
		}
		if _, err := w.bridge.Browser(w.ctx, s.cookie); moment.signIn != (err == nil) {
			t.Errorf("at %v the browser: %v", moment.at, err)
		}
		if _, _, err := w.signIn(southern, "oid-sam"); moment.signIn != (err == nil) {
			t.Errorf("at %v a sign-in: %v", moment.at, err)
		}
	}
}

// laterPlace is the assignment that the rule "later" gives.
func (w *world) laterPlace(who access.PersonID) (id access.AssignmentID) {
	w.t.Helper()
	found, err := w.bridge.Explain(w.ctx, string(who), southern)
	w.do(err)
	for _, h := range found[0].Holds {
		if h.Is == "standard @ southern/reefline" {
			id = h.ID
		}
	}
	return id
}
