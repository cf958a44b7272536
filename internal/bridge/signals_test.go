package bridge_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// toldOf is what a stream was told, in short: "session-revoked user session", sorted.
func toldOf(all []map[string]any) (lines []string) {
	for _, claims := range all {
		uri, _ := eventIn(claims)
		sub := claims["sub_id"].(map[string]any)
		line := strings.TrimPrefix(uri[strings.LastIndexByte(uri, '/')+1:], "urn:ietf:params:scim:event:")
		for _, part := range []string{"user", "session", "tenant", "email", "uri"} {
			switch v := sub[part].(type) {
			case string:
				line += " " + v
			case map[string]any:
				line += " " + part
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// What each change at the identity provider, by the person and by an administrator is
// told as: to an application that the person signed in to, to one that they did not, and
// to one that hears of everybody.
func TestWhatIsToldOfWhat(t *testing.T) {
	for name, c := range map[string]struct {
		do       func(w *world, sam, group string, v visit)
		own, all []string // all: without the notices of resources
		scim     []string
	}{
		"deactivated": {do: func(w *world, sam, _ string, _ visit) {
			w.patchUser(banksia, sam, `{"op":"Replace","path":"active","value":"False"}`)
		},
			own: []string{"account-disabled user tenant", "session-revoked user tenant"}, scim: []string{"prov:deactivate /Users/SAM", "prov:patch:notice /Users/SAM"}},
		"reactivated": {do: func(w *world, sam, _ string, _ visit) {
			w.patchUser(banksia, sam, `{"op":"Replace","path":"active","value":false}`)
			w.patchUser(banksia, sam, `{"op":"Replace","path":"active","value":true}`)
		}, own: []string{"account-disabled user tenant", "account-enabled user tenant", "session-revoked user tenant"},
			scim: []string{"prov:activate /Users/SAM", "prov:deactivate /Users/SAM", "prov:patch:notice /Users/SAM", "prov:patch:notice /Users/SAM"}},
		"deleted": {do: func(w *world, sam, _ string, _ visit) { w.must(204, banksia, "DELETE", "/Users/"+sam, "") },
			own: []string{"account-purged user tenant", "session-revoked user tenant"}, scim: []string{"prov:delete /Users/SAM"}},
		"address changed": {do: func(w *world, sam, _ string, _ visit) {
			w.patchUser(banksia, sam, `{"op":"Replace","path":"emails[type eq \"work\"].value","value":"samuel@banksia.example"}`)
		}, own: []string{"identifier-changed sam@banksia.example"}, scim: []string{"prov:patch:notice /Users/SAM"}},
		"userName changed": {do: func(w *world, sam, _ string, _ visit) {
			w.patchUser(banksia, sam, `{"op":"Replace","path":"userName","value":"samuel@banksia.example"}`)
		}, own: []string{"identifier-changed sam@banksia.example"}, scim: []string{"prov:patch:notice /Users/SAM"}},
		"userName that is no address any more": {do: func(w *world, sam, _ string, _ visit) {
			w.patchUser(banksia, sam, `{"op":"Replace","path":"userName","value":"samuel"}`)
		}, scim: []string{"prov:patch:notice /Users/SAM"}},
		"both changed, and activated": {do: func(w *world, sam, _ string, _ visit) {
			w.patchUser(banksia, sam, `{"op":"Replace","path":"active","value":false}`)
			w.patchUser(banksia, sam, `{"op":"Replace","path":"userName","value":"samuel@banksia.example"},{"op":"Replace","path":"emails[type eq \"work\"].value","value":"samuel@banksia.example"},{"op":"Replace","path":"active","value":true}`)
		}, own: []string{"account-disabled user tenant", "account-enabled user tenant", "identifier-changed sam@banksia.example", "session-revoked user tenant"},
			scim: []string{"prov:activate /Users/SAM", "prov:deactivate /Users/SAM", "prov:patch:notice /Users/SAM", "prov:patch:notice /Users/SAM"}},
		"group lost": {do: func(w *world, sam, group string, _ visit) { w.removeMember(banksia, group, sam) },
			own: []string{"session-revoked user session tenant"}, scim: []string{"prov:patch:notice /Groups/GROUP"}},
		"signed out": {do: func(w *world, _, _ string, v visit) {
			w.do(w.bridge.SignOut(w.ctx, v.browser.Session.ID, "signed_out"))
		},
			own: []string{"session-revoked user session tenant"}},
		"refresh used twice": {do: func(w *world, _, _ string, v visit) {
			if _, err := w.refresh(v.tokens.RefreshToken); err != nil {
				w.t.Fatal(err)
			}
			w.clock.Add(time.Minute)
			if _, err := w.refresh(v.tokens.RefreshToken); err == nil {
				w.t.Fatal("it worked twice")
			}
		}, own: []string{"session-revoked user session tenant"}},
		"code used twice": {do: func(w *world, _, _ string, v visit) {
			code, err := w.code(v.browser)
			w.do(err)
			_, err = w.redeem(code)
			w.do(err)
			if _, err := w.redeem(code); err == nil {
				w.t.Fatal("it worked twice")
			}
		}},
		"token revoked": {do: func(w *world, _, _ string, v visit) {
			w.do(w.bridge.Revoke(w.ctx, v.tokens.AccessToken, w.web.ID))
		}},
		"somebody else": {do: func(w *world, _, _ string, _ visit) { w.person(banksia, "new@banksia.example", "oid-new") },
			scim: []string{"prov:create:notice /Users/NEW"}},
		"session begun": {do: func(w *world, _, _ string, _ visit) { w.mustSignIn(banksia, "oid-sam") }, all: []string{"session-established user session tenant"}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTransmitter(t, oidc.Client{ID: "stranger"}, oidc.Client{ID: "office", SignalsWide: true})
			sam := tr.person(banksia, "sam@banksia.example", "oid-sam")
			group := tr.group(banksia, "GL Geelong Managers", sam)
			v := tr.session(banksia, "oid-sam")
			tr.caughtUp()
			mine, others := tr.stream("fleet-web", polled), tr.stream("stranger", polled)
			var types []string
			for _, ty := range ssf.Supported(true) {
				types = append(types, fmt.Sprintf("%q", ty))
			}
			office := tr.stream("office", polled+`,"events_requested":[`+strings.Join(types, ",")+`]`)
			c.do(tr.world, sam, group, v)
			now := func(lines []string) []string {
				for i := range lines {
					lines[i] = strings.NewReplacer(sam, "SAM", group, "GROUP").Replace(lines[i])
					if at := strings.Index(lines[i], "/Users/per_"); at >= 0 {
						lines[i] = lines[i][:at] + "/Users/NEW"
					}
				}
				return lines
			}
			if got := now(toldOf(tr.drained("fleet-web", mine))); !slices.Equal(got, c.own) {
				t.Errorf("the application that the person signed in to is told %q, want %q", got, c.own)
			}
			if got := toldOf(tr.drained("stranger", others)); len(got) != 0 {
				t.Errorf("an application that does not know the person is told %q", got)
			}
			want := slices.Sorted(slices.Values(slices.Concat(c.own, c.all, c.scim)))
			if got := now(toldOf(tr.drained("office", office))); !slices.Equal(got, want) {
				t.Errorf("the application that hears of everybody is told %q, want %q", got, want)
			}
		})
	}
}

// An application that people must agree to hears of them as far as they agreed, their
// address if they agreed to that, and of nothing but the end once they take it back.
func TestAnApplicationHearsOfWhatPeopleAgreedTo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scopes            []string
		agreed, withdrawn []string
	}{
		"openid":           {[]string{"openid"}, nil, []string{"session-revoked user session tenant"}},
		"openid and email": {[]string{"email", "openid"}, []string{"identifier-changed one@banksia.example"}, []string{"session-revoked user session tenant"}},
	} {
		tr := transmitting(t, newWorld(t, func(w *world) {
			w.web.Consent, w.web.Sector = true, "partner.example"
			w.clients = []oidc.Client{w.web}
		}))
		sam := tr.person(banksia, "one@banksia.example", "oid-sam")
		tr.group(banksia, "GL Geelong Managers", sam)
		cookie, b := tr.mustSignIn(banksia, "oid-sam")
		tr.do(tr.bridge.Agree(tr.ctx, cookie, hot.AuthRequest{Client: tr.web.ID, OAuthScopes: c.scopes}))
		code, err := tr.issued(b, func(r *hot.AuthRequest) { r.OAuthScopes = c.scopes })
		tr.do(err)
		_, err = tr.redeem(code)
		tr.do(err)
		tr.caughtUp()
		stream := tr.stream(string(tr.web.ID), polled)
		renamed := func(to string) {
			tr.patchUser(banksia, sam, `{"op":"Replace","path":"emails[type eq \"work\"].value","value":"`+to+`"}`)
			tr.patchUser(banksia, sam, `{"op":"Replace","path":"userName","value":"`+to+`"}`)
		}
		renamed("two@banksia.example")
		if got := slices.Compact(toldOf(tr.drained(string(tr.web.ID), stream))); !slices.Equal(got, c.agreed) {
			t.Errorf("%s: told %q, want %q", name, got, c.agreed)
		}
		tr.do(tr.bridge.Withdraw(tr.ctx, cookie, tr.web.ID))
		renamed("three@banksia.example")
		tr.patchUser(banksia, sam, `{"op":"Replace","path":"active","value":false}`)
		tr.must(204, banksia, "DELETE", "/Users/"+sam, "")
		if got := toldOf(tr.drained(string(tr.web.ID), stream)); !slices.Equal(got, c.withdrawn) {
			t.Errorf("%s: after it was taken back told %q, want %q", name, got, c.withdrawn)
		}
	}
}

// Of the end of people who agreed an application hears, also when they are gone.
func TestAnApplicationHearsThatSomebodyWhoAgreedIsGone(t *testing.T) {
	t.Parallel()
	tr := transmitting(t, newWorld(t, func(w *world) {
		w.web.Consent = true
		w.clients = []oidc.Client{w.web}
	}))
	sam := tr.person(banksia, "sam@banksia.example", "oid-sam")
	tr.group(banksia, "GL Geelong Managers", sam)
	cookie, _ := tr.mustSignIn(banksia, "oid-sam")
	tr.do(tr.bridge.Agree(tr.ctx, cookie, hot.AuthRequest{Client: tr.web.ID, OAuthScopes: []string{"openid"}}))
	tr.session(banksia, "oid-sam")
	tr.caughtUp()
	stream := tr.stream(string(tr.web.ID), polled)
	tr.must(204, banksia, "DELETE", "/Users/"+sam, "")
	if got := toldOf(tr.drained(string(tr.web.ID), stream)); !slices.Equal(got, []string{"account-purged user tenant", "session-revoked user tenant"}) {
		t.Errorf("told %q", got)
	}
}

// What became of an asynchronous SCIM request is for the client that sent it.
func TestTheEndOfAnAsynchronousRequestIsInNoStream(t *testing.T) {
	t.Parallel()
	tr := newTransmitter(t, oidc.Client{ID: "office", SignalsWide: true})
	office := tr.stream("office", polled+`,"events_requested":["`+string(ssf.SCIMAsync)+`","`+string(ssf.SCIMCreate)+`"]`)
	rec := tr.asked(tr.tokens[banksia], "POST", banksia+"/Users", `{"userName":"sam@banksia.example","externalId":"oid-sam","active":true}`, "Prefer", "respond-async")
	if rec.Code != 202 {
		t.Fatalf("answered %d %s", rec.Code, rec.Body)
	}
	if got := toldOf(tr.drained("office", office)); len(got) != 1 || !strings.HasPrefix(got[0], "prov:create:notice") {
		t.Errorf("told %q", got)
	}
}

// A signal says why, who stood behind it and which request it came of; all of one
// request have one txn.
func TestASignalSaysWhy(t *testing.T) {
	tr := newTransmitter(t)
	sam := tr.person(banksia, "sam@banksia.example", "oid-sam")
	tr.group(banksia, "GL Geelong Managers", sam)
	tr.session(banksia, "oid-sam")
	tr.caughtUp()
	id := tr.stream("fleet-web", polled)
	tr.patchUser(banksia, sam, `{"op":"Replace","path":"active","value":"False"}`)
	all := tr.drained("fleet-web", id)
	txns := map[any]bool{}
	for _, claims := range all {
		txns[claims["txn"]] = true
		uri, what := eventIn(claims)
		if user := claims["sub_id"].(map[string]any)["user"].(map[string]any); user["format"] != "iss_sub" || user["sub"] != sam {
			t.Errorf("it is about %v", user)
		}
		if why, _ := what["reason_admin"].(map[string]any); what["initiating_entity"] != "admin" || why["en"] == "" || why["en"] == nil || what["event_timestamp"] != claims["toe"] || claims["toe"] == nil {
			t.Errorf("%s: %v", uri, claims)
		}
		if strings.HasSuffix(uri, "session-revoked") && what["end_reason"] != "deactivated" {
			t.Errorf("%v", what)
		}
	}
	if len(all) != 2 || len(txns) > 2 {
		t.Errorf("%v", all)
	}
	for _, c := range [][2]string{
		{"account-enabled", `{"op":"Replace","path":"active","value":true}`},
		{"identifier-changed", `{"op":"Replace","path":"userName","value":"samuel@banksia.example"}`},
	} {
		tr.patchUser(banksia, sam, c[1])
		all := tr.drained("fleet-web", id)
		if len(all) != 1 {
			t.Fatalf("%s: %v", c[0], all)
		}
		uri, what := eventIn(all[0])
		if why, _ := what["reason_admin"].(map[string]any); !strings.HasSuffix(uri, c[0]) || what["initiating_entity"] != "admin" || why["en"] == nil || what["event_timestamp"] == nil || all[0]["toe"] == nil {
			t.Errorf("%s: %v", uri, all[0])
		}
	}
}

// The tokens of a poll's answer stand in the order in which things happened.
func TestTheTokensOfAPollStandInTheirOrder(t *testing.T) {
	t.Parallel()
	tr := newTransmitter(t)
	sam := tr.person(banksia, "sam@banksia.example", "oid-sam")
	tr.group(banksia, "GL Geelong Managers", sam)
	tr.session(banksia, "oid-sam")
	tr.caughtUp()
	id := tr.stream("fleet-web", polled)
	var want []string
	for i := range 8 {
		tr.patchUser(banksia, sam, fmt.Sprintf(`{"op":"Replace","path":"userName","value":"sam%d@banksia.example"}`, i))
		want = append(want, fmt.Sprintf("sam%d@banksia.example", i))
	}
	tr.caughtUp()
	status, _, body := tr.call("fleet-web"+canRead, "POST", "/ssf/poll/"+id, `{"returnImmediately":true}`)
	var got []string
	for _, set := range regexp.MustCompile(`"set_[a-z0-9]+":"([^"]+)"`).FindAllSubmatch(body, -1) {
		_, what := eventIn(tr.verified(string(set[1]), "fleet-web"))
		got = append(got, fmt.Sprint(what["new-value"]))
	}
	if status != 200 || !slices.Equal(got, want) {
		t.Errorf("%d: %v", status, got)
	}
}

// A switch is told with the grant that the session stands on now.
func TestASwitchIsToldWithTheGrantThatIsActive(t *testing.T) {
	tr := newTransmitter(t)
	tr.policy(lossPolicy(func(*mapping.PolicySource) {}))
	tr.drain()
	sam := tr.must(201, southern, "POST", "/Users", `{"userName":"sam@southern.example","externalId":"oid-sam","active":true,"`+enterpriseURN+`":{"department":"Support"},"`+fleetURN+`":{"technicianCertification":"Trainer"}}`)["id"].(string)
	tr.group(southern, "Staff", sam)
	tr.group(southern, "Desk", sam)
	v := tr.session(southern, "oid-sam")
	tr.caughtUp()
	id := tr.stream("fleet-web", polled)
	to := guestPlace(v)
	if _, _, err := tr.bridge.Switch(tr.ctx, v.cookie, to); err != nil {
		t.Fatal(err)
	}
	all := tr.drained("fleet-web", id)
	if len(all) != 1 {
		t.Fatalf("%v", all)
	}
	uri, what := eventIn(all[0])
	grant, _ := what["claims"].(map[string]any)["active_grant"].(map[string]any)
	if !strings.HasSuffix(uri, "token-claims-change") || grant["id"] != string(to) || what["initiating_entity"] != "user" {
		t.Errorf("%s %v", uri, what)
	}
}

// Whom a receiver removed is not told of, whichever name it used; added again, they are.
func TestARemovedSubjectIsNotToldOf(t *testing.T) {
	tr := newTransmitter(t)
	sam := tr.person(banksia, "sam@banksia.example", "oid-sam")
	group := tr.group(banksia, "GL Geelong Managers", sam)
	id := tr.stream("fleet-web", polled)
	for _, subject := range []string{
		`{"format":"iss_sub","iss":"http://127.0.0.1:8443","sub":"` + sam + `"}`,
		`{"format":"email","email":"sam@banksia.example"}`,
		`{"format":"complex","tenant":{"format":"opaque","id":"banksia-entra"}}`,
	} {
		body := `{"stream_id":"` + id + `","subject":` + subject + `}`
		for removed, want := range []int{1, 0} {
			v := tr.session(banksia, "oid-sam")
			if removed == 1 {
				tr.want(204, "fleet-web"+canManage, "POST", "/ssf/subjects:remove", body)
			}
			tr.do(tr.bridge.SignOut(tr.ctx, v.browser.Session.ID, "signed_out"))
			if got := tr.drained("fleet-web", id); len(got) != want {
				t.Errorf("removed %v, %s: told %v", removed == 1, subject, toldOf(got))
			}
		}
		tr.want(200, "fleet-web"+canManage, "POST", "/ssf/subjects:add", body)
	}
	_ = group
}

// Translated twice, an event is told once.
func TestAnEventThatIsRelayedTwiceIsToldOnce(t *testing.T) {
	tr := newTransmitter(t)
	sam := tr.person(banksia, "sam@banksia.example", "oid-sam")
	tr.group(banksia, "GL Geelong Managers", sam)
	tr.session(banksia, "oid-sam")
	id := tr.stream("fleet-web", polled)
	tr.patchUser(banksia, sam, `{"op":"Replace","path":"active","value":false}`)
	for range 2 {
		tr.do(tr.store.Update(tr.ctx, func(tx *store.Tx) error {
			rows, err := tx.Outbox(0, 10_000)
			if err != nil {
				return err
			}
			d, err := tr.bridge.Signals().Translate(&tx.View, rows)
			if err != nil {
				return err
			}
			return tx.PutDeliveries(d)
		}))
	}
	if got := toldOf(tr.drained("fleet-web", id)); len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("told %q", got)
	}
}

// A stream that is polled says after what time it is paused, and is, unless its receiver
// does something with it; one that is pushed is not.
func TestAStreamThatNobodyPollsIsPaused(t *testing.T) {
	tr := newTransmitter(t, oidc.Client{ID: "app"}, oidc.Client{ID: "quiet"})
	id := tr.stream("app", polled)
	pushed := tr.stream("quiet", newPushTo(t).delivery(""))
	if c := tr.want(200, "app"+canRead, "GET", "/ssf/streams?stream_id="+id, ""); c["inactivity_timeout"] != 604800.0 {
		t.Errorf("%v", c)
	}
	if c := tr.want(200, "quiet"+canRead, "GET", "/ssf/streams?stream_id="+pushed, ""); c["inactivity_timeout"] != nil {
		t.Errorf("%v", c)
	}
	for said, status := range map[string]int{"604800": 200, "60": 400, "null": 400} {
		tr.want(status, "app"+canManage, "PATCH", "/ssf/streams", `{"stream_id":"`+id+`","inactivity_timeout":`+said+`}`)
	}
	statusOf := func(client string) (status string) {
		t.Helper()
		tr.do(tr.bridge.PauseFailing(tr.ctx))
		tr.do(tr.store.View(tr.ctx, func(v *store.View) error {
			s, err := v.StreamOf(access.ClientID(client))
			status = s.Status
			return err
		}))
		return status
	}
	for name, act := range map[string]func(){
		"poll":         func() { tr.polling("app", id, `{"returnImmediately":true}`) },
		"status":       func() { tr.want(200, "app"+canRead, "GET", "/ssf/status?stream_id="+id, "") },
		"verification": func() { tr.verify("app", id, "s") },
		"subject": func() {
			tr.want(200, "app"+canManage, "POST", "/ssf/subjects:add", `{"stream_id":"`+id+`","subject":{"format":"email","email":"a@b.example"}}`)
		},
		"enable": func() {
			tr.want(200, "app"+canManage, "POST", "/ssf/status", `{"stream_id":"`+id+`","status":"enabled"}`)
		},
	} {
		act()
		tr.clock.Add(ssf.InactivityTimeout - time.Second)
		if got := statusOf("app"); got != "enabled" {
			t.Errorf("%s: %s too early", name, got)
		}
	}
	tr.clock.Add(2 * time.Second)
	if got := statusOf("app"); got != "paused" || statusOf("quiet") != "enabled" {
		t.Errorf("%s, and the one that is pushed %s", got, statusOf("quiet"))
	}
	if s := tr.want(200, "app"+canRead, "GET", "/ssf/status?stream_id="+id, ""); s["reason"] == "" {
		t.Errorf("nobody says why: %v", s)
	}
	tr.want(200, "app"+canManage, "POST", "/ssf/status", `{"stream_id":"`+id+`","status":"enabled"}`)
	told := 0
	for _, set := range tr.drained("app", id) {
		if uri, what := eventIn(set); strings.HasSuffix(uri, "stream-updated") && what["status"] == "paused" && what["reason"] != "" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("it was told %d times that it was paused", told)
	}
}

// A receiver that takes nothing for a day is paused, and learns it when it comes back.
func TestAReceiverThatTakesNothingForLongIsPaused(t *testing.T) {
	tr := newTransmitter(t, oidc.Client{ID: "app"})
	to := newPushTo(t)
	to.answer = func(w http.ResponseWriter) { w.WriteHeader(503) }
	id := tr.stream("app", to.delivery(""))
	tr.verify("app", id, "s")
	tr.pushed()
	tr.clock.Add(23 * time.Hour)
	tr.do(tr.bridge.PauseFailing(tr.ctx))
	if s := tr.want(200, "app"+canRead, "GET", "/ssf/status?stream_id="+id, ""); s["status"] != "enabled" {
		t.Errorf("paused too early: %v", s)
	}
	tr.clock.Add(2 * time.Hour)
	tr.pushed()
	tr.do(tr.bridge.PauseFailing(tr.ctx))
	if s := tr.want(200, "app"+canRead, "GET", "/ssf/status?stream_id="+id, ""); s["status"] != "paused" || s["reason"] == "" {
		t.Errorf("not paused: %v", s)
	}
	to.answer, to.got = nil, nil
	tr.want(200, "app"+canManage, "POST", "/ssf/status", `{"stream_id":"`+id+`","status":"enabled"}`)
	tr.pushed()
	if len(to.got) != 2 {
		t.Fatalf("%d pushes", len(to.got))
	}
	if uri, what := eventIn(tr.verified(to.got[1], "app")); !strings.HasSuffix(uri, "stream-updated") || what["status"] != "paused" {
		t.Errorf("%s %v", uri, what)
	}
}
