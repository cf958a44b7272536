package bridge_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// lossPolicy gives who is in Staff a place at Geelong, as a certified technician in
// Support, and who is on the Desk a visit.
func lossPolicy(change func(*mapping.PolicySource)) func(*mapping.PolicySource) {
	return func(src *mapping.PolicySource) {
		src.Attributes = []mapping.AttributeSource{{Name: "department", From: departmentPath}}
		src.Rules = []ruleSource{
			{ID: "own", From: southern, Group: "Staff", Give: "technician @ southern/banksia/geelong", When: `attr.department == "Support"`, None: []mapping.GroupRef{{Group: "Suspended"}}},
			{ID: "visit", From: southern, Group: "Desk", Guest: []string{"elevated @ southern/reefline"}},
		}
		change(src)
	}
}

// losses are all that takes away what the first rule of lossPolicy gives, and not what
// the second gives.
func losses() map[string]func(w *world, person, staff string) {
	policy := func(change func(*mapping.PolicySource)) func(*world, string, string) {
		return func(w *world, _, _ string) { w.policy(lossPolicy(change)) }
	}
	own := func(change func(*ruleSource)) func(*world, string, string) {
		return policy(func(src *mapping.PolicySource) { change(&src.Rules[0]) })
	}
	geelong := func(change func(*access.Scope)) func(*world, string, string) {
		return policy(func(src *mapping.PolicySource) {
			src.Rules = src.Rules[1:]
			src.Scopes = slices.Clone(src.Scopes)
			at := slices.IndexFunc(src.Scopes, func(s access.Scope) bool { return s.Slug == "geelong" })
			change(&src.Scopes[at])
		})
	}
	return map[string]func(w *world, person, staff string){
		"a group left":     func(w *world, p, g string) { w.removeMember(southern, g, p) },
		"a group deleted":  func(w *world, _, g string) { w.must(204, southern, "DELETE", "/Groups/"+g, "") },
		"a group renamed":  func(w *world, _, g string) { w.renameGroupOf(southern, g, "Else") },
		"a group excluded": func(w *world, p, _ string) { w.group(southern, "Suspended", p) },
		"an attribute": func(w *world, p, _ string) {
			w.patchUser(southern, p, `{"op":"replace","path":"`+departmentPath+`","value":"Sales"}`)
		},
		"an attribute gone": func(w *world, p, _ string) { w.patchUser(southern, p, `{"op":"remove","path":"`+departmentPath+`"}`) },
		"a certification": func(w *world, p, _ string) {
			w.patchUser(southern, p, `{"op":"replace","path":"`+fleetURN+`:technicianCertification","value":"None"}`)
		},
		"a certification by the vendor": func(w *world, p, _ string) {
			w.do(w.bridge.Certify(w.ctx, southern, access.PersonID(p), access.Certification{Level: "Trainer", Until: w.clock.Now().Add(-time.Hour)}))
		},
		"a rule gone":                        policy(func(src *mapping.PolicySource) { src.Rules = src.Rules[1:] }),
		"a rule in shadow mode":              own(func(r *ruleSource) { r.Mode = mapping.Shadow }),
		"a rule that asks for another group": own(func(r *ruleSource) { r.Group = "Else" }),
		"a rule with another condition":      own(func(r *ruleSource) { r.When = `attr.department == "Sales"` }),
		"a rule that has ended":              own(func(r *ruleSource) { r.Expires = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }),
		"a rule that gives it for a while":   own(func(r *ruleSource) { r.For = time.Millisecond }),
		"a rule that gives something else":   own(func(r *ruleSource) { r.Give = "technician @ southern/banksia/hobart" }),
		"a lower ceiling": policy(func(src *mapping.PolicySource) {
			src.Rules = src.Rules[1:]
			at := slices.IndexFunc(src.Connections, func(c connection) bool { return c.ID == southern })
			src.Connections[at].Ceiling.Grants = []access.Grant{access.Elevated}
		}),
		"a scope retired": geelong(func(s *access.Scope) { s.Retired = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }),
	}
}

// TestI2_WhatIsLostTakesItsCredentialsAlong: whatever takes the assignment away on which
// a session stands, with the 2xx no token, refresh token or code of it is accepted, the
// person must choose among what is left; and who stands on something else notices nothing
// (I-2). Nothing works in the background.
func TestI2_WhatIsLostTakesItsCredentialsAlong(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(losses())) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.policy(lossPolicy(func(*mapping.PolicySource) {}))
			w.drain()
			sam := w.must(201, southern, "POST", "/Users", `{"userName":"sam@southern.example","externalId":"oid-sam","active":true,"`+enterpriseURN+`":{"department":"Support"},"`+fleetURN+`":{"technicianCertification":"Trainer"}}`)["id"].(string)
			staff := w.group(southern, "Staff", sam)
			w.group(southern, "Desk", sam)
			own := w.session(southern, "oid-sam")
			visiting := w.switched(southern, "oid-sam")
			code, err := w.code(own.browser)
			w.do(err)
			w.clock.Add(time.Second)

			losses()[name](w, sam, staff)
			if _, err := w.bridge.Accept(w.ctx, own.tokens.AccessToken); err == nil {
				t.Error("the access token is accepted")
			}
			if _, err := w.redeem(code); err == nil {
				t.Error("the code is redeemed")
			}
			if _, err := w.bridge.AcceptRefresh(w.ctx, own.tokens.RefreshToken); err == nil {
				t.Error("the refresh token is accepted")
			}
			if _, err := w.refresh(own.tokens.RefreshToken); err == nil {
				t.Error("the refresh token is used")
			}
			if b, err := w.bridge.Browser(w.ctx, own.cookie); err != nil || b.Session.State != session.MustChoose {
				t.Errorf("the browser is %s (%v)", b.Session.State, err)
			}
			if b, a, r := w.alive(visiting); !b || !a || !r {
				t.Errorf("the session that visits: browser %t, access token %t, refresh token %t", b, a, r)
			}
		})
	}
}

const enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// switched is a sign-in that stands on the place that is not the person's own.
func (w *world) switched(c access.ConnectionID, subject string) visit {
	w.t.Helper()
	cookie, b := w.mustSignIn(c, subject)
	renewed, b, err := w.bridge.Switch(w.ctx, cookie, guestPlace(visit{browser: b}))
	w.do(err)
	code, err := w.code(b)
	w.do(err)
	tokens, err := w.redeem(code)
	w.do(err)
	return visit{renewed.Reveal(), b, tokens}
}

func (w *world) renameGroupOf(c access.ConnectionID, group, name string) {
	w.t.Helper()
	w.must(204, c, "PATCH", "/Groups/"+group, patchOp(`{"op":"replace","path":"displayName","value":"`+name+`"}`))
}
