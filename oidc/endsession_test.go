package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

const byeURI = "https://fleet.example/bye"

func (w *world) live(cookie string) bool { return w.browsers[cookie].Session.State != session.Ended }

func outcome(rec *httptest.ResponseRecorder) string {
	switch body := rec.Body.String(); {
	case rec.Code == http.StatusSeeOther:
		return "to " + rec.Header().Get("Location")
	case strings.HasPrefix(body, "FAIL"):
		return "fail"
	default:
		return strings.ToLower(body)
	}
}

// TestSigningOut is the table of T-E10 and the logout certification plan: an ID
// token of this very session ends it, everything else is asked first.
func TestSigningOut(t *testing.T) {
	for _, row := range []struct {
		name    string
		hint    string // "own", "other" (another session's) or a text
		form    []string
		gone    bool // the browser has no session any more
		want    string
		signOut bool
	}{
		{name: "oidcc-rp-initiated-logout", hint: "own", form: []string{"post_logout_redirect_uri", byeURI, "state", "s 1"}, want: "to " + byeURI + "?state=s+1", signOut: true},
		{name: "oidcc-rp-initiated-logout-no-state", hint: "own", form: []string{"post_logout_redirect_uri", byeURI}, want: "to " + byeURI, signOut: true},
		{name: "with its client_id", hint: "own", form: []string{"post_logout_redirect_uri", byeURI, "client_id", "fleet-web"}, want: "to " + byeURI, signOut: true},
		{name: "with another client_id", hint: "own", form: []string{"post_logout_redirect_uri", byeURI, "client_id", "other-web"}, want: "fail"},
		{name: "oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", hint: "own", form: []string{"post_logout_redirect_uri", "https://fleet.example/other"}, want: "fail"},
		{name: "oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", hint: "own", form: []string{"post_logout_redirect_uri", byeURI + "?foo=bar"}, want: "fail"},
		{name: "oidcc-rp-initiated-logout-modified-id-token-hint", hint: "eyJhbGciOiJub25lIn0.e30.", form: []string{"post_logout_redirect_uri", byeURI}, want: "confirm"},
		{name: "oidcc-rp-initiated-logout-bad-id-token-hint", hint: "e30.e30.x", form: []string{"post_logout_redirect_uri", byeURI, "state", "s"}, want: "confirm"},
		{name: "oidcc-rp-initiated-logout-no-id-token-hint", form: []string{"post_logout_redirect_uri", byeURI}, want: "confirm"},
		{name: "oidcc-rp-initiated-logout-no-params", want: "confirm"},
		{name: "oidcc-rp-initiated-logout-no-post-logout-redirect-uri", hint: "own", want: "signed out", signOut: true},
		{name: "oidcc-rp-initiated-logout-only-state", form: []string{"state", "s"}, want: "confirm"},
		{name: "hint of another session", hint: "other", form: []string{"post_logout_redirect_uri", byeURI}, want: "confirm"},
		{name: "already signed out", hint: "own", form: []string{"post_logout_redirect_uri", byeURI}, gone: true, want: "to " + byeURI},
		{name: "already signed out, no hint", form: []string{"post_logout_redirect_uri", byeURI}, gone: true, want: "signed out"},
		{name: "invented confirmation", form: []string{"confirm", "yes"}, want: "confirm"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(row.name+" by "+method, func(t *testing.T) {
				w := newWorld()
				set, cookie := w.signIn(t, "openid")
				w.hints["other"] = Hint{Session: "ses_else", Person: "per_ada", Client: "fleet-web"}
				f := ask()
				clear(f)
				if row.hint == "own" {
					f.Set("id_token_hint", set["id_token"].(string))
				} else if row.hint != "" {
					f.Set("id_token_hint", row.hint)
				}
				for i := 0; i+1 < len(row.form); i += 2 {
					f.Set(row.form[i], row.form[i+1])
				}
				c := call{method: method, path: pathEndSession, query: f.Encode(), cookie: cookie}
				if method == http.MethodPost {
					c.query, c.body, c.contentType = "", f.Encode(), "application/x-www-form-urlencoded"
				}
				if row.gone {
					w.browsers = map[string]Browser{"else": {Session: session.Session{State: session.Active}}}
				}
				rec := w.do(c)
				if got := outcome(rec); got != row.want {
					t.Errorf("%d %q, want %q", rec.Code, got, row.want)
				}
				if !row.gone && w.live(cookie) == row.signOut {
					t.Errorf("signed out %v, want %v", !w.live(cookie), row.signOut)
				}
				if row.signOut {
					wantSent(t, w.authorize(cookie, "prompt", "none"), "login_required")
					if cleared := rec.Result().Cookies(); len(cleared) != 1 || cleared[0].MaxAge >= 0 || cleared[0].Name != cookieName {
						t.Errorf("cookies %v", cleared)
					}
				}
			})
		}
	}
}

// TestTheConfirmationWorksInThisBrowserAlone: the form that our page shows.
func TestTheConfirmationWorksInThisBrowserAlone(t *testing.T) {
	w := newWorld()
	ada, bob := w.person("ada"), w.person("bob")
	w.hints["other"] = Hint{Session: "ses_else", Person: "per_ada", Client: "fleet-web"}
	w.do(call{path: pathEndSession, cookie: ada, query: "state=s&id_token_hint=other&post_logout_redirect_uri=" + byeURI})
	form := make(url.Values)
	for _, f := range w.asked[0].Fields {
		form.Set(f.Name, f.Value)
	}
	if w.asked[0].Action != pathEndSession || strings.Contains(form.Encode(), ada) {
		t.Errorf("the form tells the cookie, or goes elsewhere: %+v", w.asked[0])
	}
	w.do(call{method: http.MethodPost, path: pathEndSession, form: form, cookie: bob})
	w.do(call{path: pathEndSession, query: form.Encode(), cookie: ada}) // a link is no button
	if !w.live(ada) || !w.live(bob) {
		t.Fatal("somebody was signed out without pressing the button")
	}
	rec := w.do(call{method: http.MethodPost, path: pathEndSession, form: form, cookie: ada})
	if w.live(ada) || outcome(rec) != "to "+byeURI+"?state=s" {
		t.Errorf("pressed, and yet: live %v, %s", w.live(ada), outcome(rec))
	}
}

// TestTheQuestionCarriesNoAddressThatNobodyRegistered, so that a page can allow the
// form to lead to the one that it carries.
func TestTheQuestionCarriesNoAddressThatNobodyRegistered(t *testing.T) {
	w := newWorld()
	w.do(call{path: pathEndSession, cookie: w.person("ada"), query: "state=s&client_id=fleet-web&post_logout_redirect_uri=https://evil.example/"})
	if f := w.asked[0].Fields; len(f) != 1 || f[0].Name != confirmField {
		t.Errorf("%+v", f)
	}
}

func TestSigningOutNeverPretends(t *testing.T) {
	w := newWorld()
	set, cookie := w.signIn(t, "openid")
	w.down = fault.New(fault.Unavailable, "db", "")
	rec := w.do(call{path: pathEndSession, query: "id_token_hint=" + set["id_token"].(string), cookie: cookie})
	if rec.Code != http.StatusServiceUnavailable || outcome(rec) != "fail" || len(rec.Result().Cookies()) != 0 {
		t.Errorf("%d %s %v", rec.Code, rec.Body, rec.Result().Cookies())
	}
	for _, query := range []string{"id_token_hint=" + set["id_token"].(string), ""} { // with the clients still known
		w.change = func(c *Config) { c.Clients = newWorld() }
		if rec := w.do(call{path: pathEndSession, query: query, cookie: cookie}); rec.Code != http.StatusServiceUnavailable {
			t.Errorf("%q: %d %s", query, rec.Code, rec.Body)
		}
	}
	up := newWorld()
	up.person("ada")
	w.change = func(c *Config) { c.Clients, c.Browsers = up, up } // the hint alone cannot be verified
	if rec := w.do(call{path: pathEndSession, query: "id_token_hint=" + set["id_token"].(string), cookie: cookie}); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	for _, query := range []string{"state=a&state=b", "id_token_hint=a&id_token_hint=b", "x=%zz", "state=" + strings.Repeat("s", maxState+1)} {
		if rec := newWorld().do(call{path: pathEndSession, query: query}); outcome(rec) != "fail" {
			t.Errorf("%.40s: %d %s", query, rec.Code, rec.Body)
		}
	}
}

// TestApplicationsAreToldInTheBrowser (OpenID Connect Front-Channel Logout 1.0): those
// that ask for it are opened on the page, which leads on to the application.
func TestApplicationsAreToldInTheBrowser(t *testing.T) {
	w := newWorld()
	w.reached = []Reached{{Client{ID: "fleet-web", FrontchannelLogoutURI: "https://fleet.example/out"}, "its own sid"}, {Client{ID: "other-web"}, "another sid"}}
	set, cookie := w.signIn(t, "openid")
	rec := w.do(call{path: pathEndSession, cookie: cookie, query: url.Values{"id_token_hint": {set["id_token"].(string)}, "post_logout_redirect_uri": {byeURI}, "state": {"s"}}.Encode()})
	if outcome(rec) != "signed out" || w.live(cookie) || len(rec.Result().Cookies()) != 1 {
		t.Fatalf("%d %s", rec.Code, outcome(rec))
	}
	l, want := w.left[0], "https://fleet.example/out?"+url.Values{"iss": {w.issuer}, "sid": {"its own sid"}}.Encode()
	if len(l.Frames) != 1 || l.Frames[0] != want || l.Next != byeURI+"?state=s" {
		t.Errorf("%+v", l)
	}
}

func TestFrontchannelLogoutsAreBoundedAndGoToTheWebAlone(t *testing.T) {
	all := []Reached{{Client: Client{FrontchannelLogoutURI: "javascript:alert(1)"}}, {Client: Client{FrontchannelLogoutURI: ":"}}}
	for range 2 * maxFrames {
		all = append(all, Reached{Client: Client{FrontchannelLogoutURI: "https://fleet.example/out"}})
	}
	if frames := FrontchannelLogouts("https://id.example", all); len(frames) != maxFrames {
		t.Errorf("%d frames", len(frames))
	}
}
