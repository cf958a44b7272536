package bridge_test

import (
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/authzen"
)

// pep is an application that asks what people may do.
func pep(sector string) oidc.Client {
	return oidc.Client{ID: "pep", SecretDigest: credential.DigestOf("s"), GrantTypes: []string{oidc.GrantTypeClientCredentials}, ServiceScopes: []string{oidc.ScopeAuthZEN}, Sector: sector}
}

// TestWhatSomebodyMayDoIsDecidedNow: by what they hold, or by what their session stands
// on, in the names that the application knows them by.
func TestWhatSomebodyMayDoIsDecidedNow(t *testing.T) {
	t.Parallel()
	for _, sector := range []string{"", "pep.example"} {
		w := newWorld(t)
		c := pep(sector)
		person := w.person(banksia, "sam@banksia.example", "oid-sam")
		w.group(banksia, "GL Geelong Managers", person)
		v := w.session(banksia, "oid-sam")
		sub, sid := w.bridge.SubjectFor(c, access.PersonID(person)), w.bridge.SessionFor(c, v.browser.Session.ID)
		scope := v.browser.Assignment.Scope
		ask := func(change func(*authzen.Question)) bool {
			q := authzen.Question{SubjectType: "user", SubjectID: sub, Action: authzen.CanAccess, ResourceType: scope.Level.String(), ResourceID: string(scope.ID)}
			change(&q)
			yes, err := w.bridge.MayDo(w.ctx, c, q)
			if err != nil {
				t.Fatal(err)
			}
			return yes
		}
		for _, row := range []struct {
			name   string
			change func(*authzen.Question)
			want   bool
		}{
			{"the scope by its id", func(*authzen.Question) {}, true},
			{"the scope by its path", func(q *authzen.Question) { q.ResourceID = scope.Path }, true},
			{"whatever level", func(q *authzen.Question) { q.ResourceType = authzen.TypeScope }, true},
			{"a workflow", func(q *authzen.Question) { q.Action = "live_view" }, true},
			{"a workflow that it does not open", func(q *authzen.Question) { q.Action = "settings.manage" }, false},
			{"an unknown action", func(q *authzen.Question) { q.Action = "openid" }, false},
			{"the wrong level", func(q *authzen.Question) { q.ResourceType = "host" }, false},
			{"the scope above", func(q *authzen.Question) {
				q.ResourceType, q.ResourceID = authzen.TypeScope, string(scope.AncestorIDs[len(scope.AncestorIDs)-2])
			}, false},
			{"no such scope", func(q *authzen.Question) { q.ResourceID = "scp_x" }, false},
			{"somebody else", func(q *authzen.Question) { q.SubjectID = "per_x" }, false},
			{"by user name", func(q *authzen.Question) { q.SubjectID = "sam@banksia.example" }, false},
			{"another kind of subject", func(q *authzen.Question) { q.SubjectType = "device" }, false},
			{"their session", func(q *authzen.Question) { q.Session = sid }, true},
			{"no such session", func(q *authzen.Question) { q.Session = "ses_x" }, false},
		} {
			if got := ask(row.change); got != row.want {
				t.Errorf("sector %q, %s: %t", sector, row.name, got)
			}
		}
		q := authzen.Question{SubjectType: "user", SubjectID: sub, Action: "live_view", ResourceType: scope.Level.String(), ResourceID: string(scope.ID)}
		who, _, err := w.bridge.WhoMay(w.ctx, c, q, authzen.Page{Limit: 10})
		if err != nil || !slices.Equal(who, []string{sub}) {
			t.Errorf("who: %v (%v)", who, err)
		}
		where, next, err := w.bridge.WhereMay(w.ctx, c, q, authzen.Page{Limit: 10})
		if err != nil || next != "" || !slices.Contains(where, authzen.Found{Type: scope.Level.String(), ID: string(scope.ID)}) {
			t.Errorf("where: %v %q (%v)", where, next, err)
		}
		what, err := w.bridge.WhatMay(w.ctx, c, q)
		if err != nil || !slices.Contains(what, "live_view") || slices.Contains(what, "settings.manage") || !slices.Contains(what, authzen.CanAccess) {
			t.Errorf("what: %v (%v)", what, err)
		}
		w.patchUser(banksia, person, `{"op":"replace","path":"active","value":false}`)
		if ask(func(*authzen.Question) {}) || ask(func(q *authzen.Question) { q.Session = sid }) {
			t.Errorf("sector %q: somebody who has left may", sector)
		}
		if who, _, err := w.bridge.WhoMay(w.ctx, c, q, authzen.Page{Limit: 10}); err != nil || len(who) > 0 {
			t.Errorf("who, after they left: %v (%v)", who, err)
		}
	}
}

// TestAGrantThatDemandsASignInIsHeldByASessionThatMeetsIt, and by nobody where none is named.
func TestAGrantThatDemandsASignInIsHeldByASessionThatMeetsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := pep("")
	person := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", person)
	_, plain := w.signInAs(banksia, "oid-sam", "pwd")
	scope := plain.Assignment.Scope
	q := authzen.Question{SubjectType: "user", SubjectID: person, Action: authzen.CanAccess, ResourceType: scope.Level.String(), ResourceID: string(scope.ID)}
	expect := func(when, sid string, want bool) {
		t.Helper()
		q.Session = sid
		may, err := w.bridge.MayDo(w.ctx, c, q)
		w.do(err)
		where, _, err := w.bridge.WhereMay(w.ctx, c, q, authzen.Page{Limit: 10})
		w.do(err)
		what, err := w.bridge.WhatMay(w.ctx, c, q)
		w.do(err)
		if may != want || (len(where) > 0) != want || (len(what) > 0) != want {
			t.Errorf("%s: may %t, where %v, what %v", when, may, where, what)
		}
	}
	who := func() int {
		t.Helper()
		found, _, err := w.bridge.WhoMay(w.ctx, c, q, authzen.Page{Limit: 10})
		w.do(err)
		return len(found)
	}
	expect("nothing is demanded", "", true)
	if n := who(); n != 1 {
		t.Errorf("%d people may before", n)
	}
	w.catalogued(demanding(plain.Assignment.Grant, 0, "phr"))
	_, strong := w.signInAs(banksia, "oid-sam", "phr")
	expect("no session", "", false)
	expect("a weaker session", string(plain.Session.ID), false)
	expect("a session that meets it", string(strong.Session.ID), true)
	if n := who(); n != 0 {
		t.Errorf("%d people may, by whichever sign-in", n)
	}
}

// TestASearchForScopesIsPaged: every scope once, in order.
func TestASearchForScopesIsPaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := pep("")
	person := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Account Admins", person)
	q := authzen.Question{SubjectType: "user", SubjectID: person, Action: authzen.CanAccess, ResourceType: authzen.TypeScope, ResourceID: "any"}
	all, next, err := w.bridge.WhereMay(w.ctx, c, q, authzen.Page{Limit: 100})
	if err != nil || next != "" || len(all) < 2 {
		t.Fatalf("%v %q (%v)", all, next, err)
	}
	var paged []authzen.Found
	for token := ""; ; {
		page, next, err := w.bridge.WhereMay(w.ctx, c, q, authzen.Page{Token: token, Limit: 1})
		if err != nil || len(page) > 1 {
			t.Fatalf("%v (%v)", page, err)
		}
		paged = append(paged, page...)
		if token = next; token == "" {
			break
		}
	}
	if !slices.Equal(all, paged) {
		t.Errorf("at once %v, in pages %v", all, paged)
	}
}
