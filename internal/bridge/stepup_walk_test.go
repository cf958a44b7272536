package bridge_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/console"
)

// toProvider is the identity provider that an answer leads a browser to, by itself or by a
// redirect; it fails if it leads elsewhere.
func (v *visitor) toProvider(res *http.Response) url.Values {
	v.w.t.Helper()
	to := res.Header.Get("Location")
	if to == "" {
		_, to, _ = strings.Cut(res.Header.Get("Refresh"), "url=")
	}
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, idpIssuer(southern)) {
		v.w.t.Fatalf("%d leads to %q, not to the identity provider (%v)", res.StatusCode, to, err)
	}
	return u.Query()
}

// back is the provider's answer to a trip, which confirms that acr.
func (v *visitor) back(trip url.Values, acr string) *http.Response {
	return v.do(http.MethodGet, "/connect/"+southern+"/callback?code=x&who="+v.who+"&acr="+acr+"&state="+url.QueryEscape(trip.Get("state")), nil, "")
}

// answered is what the token endpoint answers.
func (v *visitor) answered(form url.Values) (status int, answer map[string]any) {
	res := v.do(http.MethodPost, "/oauth2/token", form, "client")
	body, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	v.w.do(err)
	return res.StatusCode, answer
}

func (v *visitor) redeemed(code string) map[string]any {
	v.w.t.Helper()
	status, answer := v.answered(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://127.0.0.1:9200/callback"}, "code_verifier": {verifier}})
	if status != http.StatusOK {
		v.w.t.Fatalf("code %q: %d %v", code, status, answer)
	}
	return answer
}

// TestAPersonStepsUpOnTheWayIn walks over the doors: a chooser, a refresh after a stricter
// policy, an authorization request with and without pages, and a switch.
func TestAPersonStepsUpOnTheWayIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	_, known := w.signInAs(southern, "oid-kim", "")
	own, other := known.Assignment, guestPlace(visit{browser: known})
	w.catalogued(demanding(own.Grant, 0, "phr"))
	v := &visitor{w: w, at: w.front(), who: "oid-kim", scope: "openid", cookies: map[string]string{}}

	// What the provider confirms unasked is not enough for anything that kim holds: the chooser says so, and leads on.
	first := v.back(v.toProvider(v.do(http.MethodGet, v.asked(""), nil, "")), "pwd")
	request := in(first, "request")
	page, err := io.ReadAll(v.do(http.MethodGet, "/me/choose?request="+request, nil, "").Body)
	if w.do(err); strings.Count(string(page), "Sign in again, and use this") != 2 {
		t.Fatalf("the chooser says:\n%s", page)
	}
	if got := in(v.do(http.MethodGet, v.asked("none"), nil, ""), "error"); got != "interaction_required" {
		t.Errorf("silently, with a choice to make: %q", got)
	}
	trip := v.toProvider(v.do(http.MethodPost, "/me/choose", url.Values{"request": {request}, "assignment": {string(own.ID)}}, ""))
	if trip.Get("acr_values") != "phr" {
		t.Errorf("the provider is asked %v", trip)
	}
	tokens := v.redeemed(in(v.back(trip, "phr"), "code"))
	status, again := v.answered(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}})
	if status != http.StatusOK {
		t.Fatalf("a refresh: %d %v", status, again)
	}

	// A stricter policy: what is out counts no more, and the way back in is the way up.
	w.catalogued(demanding(own.Grant, 0, "phrh"))
	status, refused := v.answered(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {again["refresh_token"].(string)}})
	if status != http.StatusBadRequest || refused["error"] != "invalid_grant" {
		t.Errorf("a refresh after it: %d %v", status, refused)
	}
	if got := in(v.do(http.MethodGet, v.asked("none"), nil, ""), "error"); got != "login_required" {
		t.Errorf("silently, with a demand to meet: %q", got)
	}
	trip = v.toProvider(v.do(http.MethodGet, v.asked(""), nil, ""))
	if trip.Get("acr_values") != "phrh" {
		t.Errorf("the provider is asked %v", trip)
	}
	v.redeemed(in(v.back(trip, "phrh"), "code"))

	// A switch that demands more goes up, and comes back to the switch.
	w.catalogued(demanding(own.Grant, 0, "gold"))
	v.toProvider(v.do(http.MethodPost, "/me/switch", url.Values{"assignment": {string(other)}}, "")) // a trip that is not finished changes nothing
	if b, err := w.bridge.Browser(w.ctx, v.cookies[console.SessionCookie(false)]); err != nil || b.Session.Active != own.ID {
		t.Errorf("it stands on %q (%v)", b.Session.Active, err)
	}
	res := v.back(v.toProvider(v.do(http.MethodPost, "/me/switch", url.Values{"assignment": {string(other)}}, "")), "gold")
	b, err := w.bridge.Browser(w.ctx, v.cookies[console.SessionCookie(false)])
	if w.do(err); res.Header.Get("Location") != "/me/" || b.Session.Active != other {
		t.Errorf("%d %q, and it stands on %q", res.StatusCode, res.Header.Get("Location"), b.Session.Active)
	}
	w.catalogued(demanding(own.Grant, 0, "silver"))
	if res := v.back(v.toProvider(v.do(http.MethodPost, "/me/switch", url.Values{"assignment": {string(own.ID)}}, "")), "gold"); res.StatusCode != http.StatusForbidden {
		t.Errorf("what the provider does not confirm: %d %q", res.StatusCode, res.Header.Get("Location"))
	}
}
