package bridge_test

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/session"
)

const (
	banksia  = "banksia-entra"
	southern = "southern-entra"
	tundra   = "tundra-okta"
)

// TestI1_EveryVerbThatEndsAccessKillsEveryCredential: after the 2xx of whatever
// leaves a person without access, nothing made before is accepted (I-1).
// Threats: T-B1.
func TestI1_EveryVerbThatEndsAccessKillsEveryCredential(t *testing.T) {
	whole := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"sam@banksia.example","externalId":"oid-sam","active":false}`
	for name, end := range map[string]func(w *world, person, group string){
		"PATCH active False, as Entra sends it": func(w *world, p, _ string) {
			w.patchUser(banksia, p, `{"op":"Replace","path":"active","value":"False"}`)
		},
		"PATCH without a path, as Okta sends it": func(w *world, p, _ string) {
			w.patchUser(banksia, p, `{"op":"replace","value":{"active":false}}`)
		},
		"PUT active false": func(w *world, p, _ string) { w.must(200, banksia, "PUT", "/Users/"+p, whole) },
		"DELETE user":      func(w *world, p, _ string) { w.must(204, banksia, "DELETE", "/Users/"+p, "") },
		"PATCH active False in a bulk": func(w *world, p, _ string) {
			w.bulked(banksia, operation{Method: "PATCH", Path: "/Users/" + p, Data: []byte(`{"Operations":[{"op":"Replace","path":"active","value":"False"}]}`)})
		},
		"DELETE user in a bulk, among others": func(w *world, p, g string) {
			w.bulked(banksia, operation{Method: "POST", Path: "/Users", BulkID: "lee", Data: []byte(`{"userName":"lee@banksia.example"}`)},
				operation{Method: "DELETE", Path: "/Users/" + p}, operation{Method: "PUT", Path: "/Groups/" + g, Data: []byte(`{"displayName":"GL Geelong Managers","members":[{"value":"bulkId:lee"}]}`)})
		},
		"removed from the group in a bulk": func(w *world, p, g string) {
			w.bulked(banksia, operation{Method: "PATCH", Path: "/Groups/" + g, Data: []byte(`{"Operations":[{"op":"remove","path":"members","value":[{"value":"` + p + `"}]}]}`)})
		},
		"removed from the group": func(w *world, p, g string) { w.removeMember(banksia, g, p) },
		"group deleted":          func(w *world, _, g string) { w.must(204, banksia, "DELETE", "/Groups/"+g, "") },
		"group's members replaced": func(w *world, _, g string) {
			w.must(204, banksia, "PATCH", "/Groups/"+g, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"members","value":[]}]}`)
		},
		"group renamed": func(w *world, _, g string) {
			w.must(204, banksia, "PATCH", "/Groups/"+g, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"displayName","value":"Something else"}]}`)
		},
		"PUT group without members": func(w *world, _, g string) {
			w.must(200, banksia, "PUT", "/Groups/"+g, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"GL Geelong Managers","members":[]}`)
		},
		"connection ended": func(w *world, _, _ string) {
			if err := w.bridge.EndConnection(w.ctx, banksia); err != nil {
				w.t.Fatal(err)
			}
		},
		"rule removed": func(w *world, _, _ string) {
			src := samplePolicy(w.t)
			src.Rules = slices.DeleteFunc(src.Rules, func(r ruleSource) bool { return r.ID == "banksia-managers" })
			if _, err := w.bridge.ApplyPolicy(w.ctx, src); err != nil {
				w.t.Fatal(err)
			}
		},
		"connection removed from the policy": func(w *world, _, _ string) {
			src := samplePolicy(w.t)
			src.Connections = slices.DeleteFunc(src.Connections, func(c connection) bool { return c.ID == banksia })
			src.Rules = slices.DeleteFunc(src.Rules, func(r ruleSource) bool { return r.From == banksia })
			if _, err := w.bridge.ApplyPolicy(w.ctx, src); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			sam := w.person(banksia, "sam@banksia.example", "oid-sam")
			group := w.group(banksia, "GL Geelong Managers", sam)
			before := []visit{w.session(banksia, "oid-sam"), w.session(banksia, "oid-sam")}
			other := w.bystander()
			_, b := w.mustSignIn(banksia, "oid-sam")
			code, err := w.code(b)
			if err != nil {
				t.Fatal(err)
			}
			end(w, sam, group)
			if _, err := w.redeem(code); err == nil {
				t.Error("a code made before is redeemed")
			}
			for _, s := range before {
				w.allDead(s, name)
			}
			if b, a, r := w.alive(other); !b || !a || !r {
				t.Errorf("another connection's person lost something: browser %t, access %t, refresh %t", b, a, r)
			}
		})
	}
}

func (w *world) bystander() visit {
	w.t.Helper()
	liv := w.person(tundra, "liv@tundra.example", "00u-liv")
	w.group(tundra, "gl-tromso-ops", liv)
	return w.session(tundra, "00u-liv")
}

// TestTimeLimitEndsAccessAtTheInstant: `for: 14d` is judged at use, to the
// millisecond, with no background work running.
func TestTimeLimitEndsAccessAtTheInstant(t *testing.T) {
	w := newWorld(t)
	kim := w.must(201, southern, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:drawbridge:scim:schemas:extension:fleet:2.0:User"],
		"userName":"kim@southern.example","externalId":"oid-kim","active":true,
		"urn:drawbridge:scim:schemas:extension:fleet:2.0:User":{"technicianCertification":"Installation Certified Technician G2","certificationExpires":"2027-06-30T00:00:00Z"}}`)["id"].(string)
	w.group(southern, "Field Installers", kim)
	want := []string{"primary technician @ southern/banksia", "guest technician @ southern/reefline/cairns"}
	if got := w.holds("kim@southern.example"); !slices.Equal(got, want) {
		t.Fatalf("kim holds %v, want %v", got, want)
	}
	w.clock.Add(14*24*time.Hour - time.Minute)
	s := w.session(southern, "oid-kim")
	w.clock.Add(time.Minute - time.Millisecond)
	if b, _, _ := w.alive(s); !b {
		t.Error("a millisecond before the end the session is refused")
	}
	w.clock.Add(time.Millisecond)
	w.allDead(s, "at the end of 14 days")
	if _, _, err := w.signIn(southern, "oid-kim"); err == nil {
		t.Error("kim signs in after the end")
	}
}

// TestI13_ReactivationRevivesNothing: active=true on the same id restores the
// person and their memberships, and no credential from before.
func TestI13_ReactivationRevivesNothing(t *testing.T) {
	w := newWorld(t)
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	s := w.session(banksia, "oid-sam")
	w.patchUser(banksia, sam, `{"op":"Replace","path":"active","value":"False"}`)
	w.patchUser(banksia, sam, `{"op":"Replace","path":"active","value":"True"}`)
	w.allDead(s, "after disable and enable")
	if got := w.holds("sam@banksia.example"); !slices.Equal(got, []string{"primary standard @ southern/banksia/geelong"}) {
		t.Errorf("after the restore sam holds %v", got)
	}
	if b, a, r := w.alive(w.session(banksia, "oid-sam")); !b || !a || !r {
		t.Error("sam cannot sign in anew")
	}
}

// TestLosingAnAssignmentTouchesOnlyWhatStandsOnIt: joe is primary at Geelong and a
// guest at Hobart; losing Hobart bumps nothing, losing Geelong makes him choose.
func TestLosingAnAssignmentTouchesOnlyWhatStandsOnIt(t *testing.T) {
	w := newWorld(t)
	joe := w.person(banksia, "joe@banksia.example", "oid-joe")
	geelong := w.group(banksia, "GL Geelong Managers", joe)
	hobart := w.group(banksia, "GL Hobart Managers", joe)
	s := w.session(banksia, "oid-joe")
	w.removeMember(banksia, hobart, joe)
	if b, a, r := w.alive(s); !b || !a || !r {
		t.Error("losing the other assignment ended something")
	}
	w.addMember(banksia, hobart, joe)
	s = w.session(banksia, "oid-joe")
	active := s.browser.Assignment.Scope.Path
	w.removeMember(banksia, geelong, joe)
	if active != "southern/banksia/geelong" {
		t.Fatalf("the session began on %s", active)
	}
	b, err := w.bridge.Browser(w.ctx, s.cookie)
	if err != nil || b.Session.State != session.MustChoose || len(b.Choices) != 1 {
		t.Errorf("the session is %v with %d choices (%v), want must_choose with one", b.Session.State, len(b.Choices), err)
	}
	if _, err := w.bridge.Accept(w.ctx, s.tokens.AccessToken); err == nil {
		t.Error("the access token of the lost assignment is accepted")
	}
}

// TestALargeGroupIsFencedAtOnce: deleting a group too large for one transaction
// refuses its members in the same instant, and the rows follow in chunks.
func TestALargeGroupIsFencedAtOnce(t *testing.T) {
	w := newWorld(t)
	group := w.group(banksia, "GL Geelong Managers")
	var ids []string
	for i := range 450 {
		ids = append(ids, w.person(banksia, userName(i), externalID(i)))
	}
	w.addMember(banksia, group, ids...)
	first, last := w.session(banksia, externalID(0)), w.session(banksia, externalID(449))
	w.must(204, banksia, "DELETE", "/Groups/"+group, "")
	w.must(404, banksia, "GET", "/Groups/"+group, "")
	w.allDead(first, "fenced, first member")
	w.group(banksia, "GL Geelong Managers", ids[449]) // a new group under the old name is a new group
	for {
		n, err := w.bridge.Recompute(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	w.allDead(last, "after the recompute")
	if got := w.holds(userName(1)); len(got) != 0 {
		t.Errorf("a former member holds %v", got)
	}
	if got := w.holds(userName(449)); len(got) != 1 {
		t.Errorf("the member of the new group holds %v", got)
	}
}

// TestAWritesVersionIsTheNextReadsVersion: what a write answers as the group's version is what the
// next read finds, whatever the write moved.
func TestAWritesVersionIsTheNextReadsVersion(t *testing.T) {
	w := newWorld(t)
	one, two := w.person(banksia, "one@banksia.example", "oid-1"), w.person(banksia, "two@banksia.example", "oid-2")
	group := w.group(banksia, "GL Geelong Managers", one)
	for _, ops := range []string{
		`{"op":"add","path":"members","value":[{"value":"` + two + `"}]}`,
		`{"op":"add","path":"members","value":[{"value":"` + two + `"}]}`,
		`{"op":"replace","path":"members","value":[{"value":"` + two + `"}]}`,
		`{"op":"replace","value":{"displayName":"GL Hobart Managers","members":[{"value":"` + one + `"}]}}`,
		`{"op":"remove","path":"members"}`,
	} {
		said := w.must(200, banksia, "PATCH", "/Groups/"+group+"?attributes=displayName,meta,members", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+ops+`]}`)
		read := w.must(200, banksia, "GET", "/Groups/"+group, "")
		if a, b := said["meta"].(map[string]any)["version"], read["meta"].(map[string]any)["version"]; a != b {
			t.Errorf("%s answered version %v, the next read %v", ops, a, b)
		}
	}
}

// TestI2_WhatWasLostInBetweenStaysLost: access that a first change takes and a second
// gives back, before anybody was decided anew, is new access: nothing that stood on
// the old comes back to life (I-2).
func TestI2_WhatWasLostInBetweenStaysLost(t *testing.T) {
	rename := func(w *world, group, name string) {
		w.must(204, banksia, "PATCH", "/Groups/"+group, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"`+name+`"}]}`)
	}
	apply := func(w *world, keep func(ruleSource) bool) {
		src := samplePolicy(w.t)
		src.Rules = slices.DeleteFunc(src.Rules, func(r ruleSource) bool { return !keep(r) })
		if _, err := w.bridge.ApplyPolicy(w.ctx, src); err != nil {
			w.t.Fatal(err)
		}
	}
	for name, blink := range map[string]func(w *world, large, small string){
		"a large group renamed away and back": func(w *world, large, _ string) {
			rename(w, large, "Something else")
			rename(w, large, "GL Geelong Managers")
		},
		"a large group deleted, a small one takes its name": func(w *world, large, small string) {
			w.must(204, banksia, "DELETE", "/Groups/"+large, "")
			rename(w, small, "GL Geelong Managers")
		},
		"a rule taken away and put back": func(w *world, _, _ string) {
			apply(w, func(r ruleSource) bool { return r.ID != "banksia-managers" })
			apply(w, func(ruleSource) bool { return true })
		},
		"a large group renamed away, the rule changed to its new name": func(w *world, large, _ string) {
			rename(w, large, "Geelong people")
			src := samplePolicy(w.t)
			src.Rules = append(src.Rules, ruleSource{ID: "renamed", From: banksia, Group: "Geelong people", Give: "standard @ southern/banksia/geelong", Flags: src.Rules[1].Flags})
			if _, err := w.bridge.ApplyPolicy(w.ctx, src); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var ids []string
			for i := range inline + 1 {
				ids = append(ids, w.person(banksia, userName(i), externalID(i)))
			}
			large, small := w.group(banksia, "GL Geelong Managers", ids...), w.group(banksia, "Nothing yet", ids[0])
			w.drain()
			s := w.session(banksia, externalID(0))
			blink(w, large, small)
			w.allDead(s, name)
			w.drain()
			w.allDead(s, name+", after the recompute")
			if got := w.holds(userName(0)); !slices.Equal(got, []string{"primary standard @ southern/banksia/geelong"}) {
				t.Errorf("in the end the person holds %v", got)
			}
		})
	}
}

// inline is how many people the bridge decides in the transaction itself.
const inline = 200
