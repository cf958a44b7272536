package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// live are the ids of the sessions that live, by person.
func (w *world) live(person string) (ids []session.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.sessions {
		if string(b.Session.Person) == "per_"+person {
			ids = append(ids, b.Session.ID)
		}
	}
	return ids
}

func TestThePageShowsWhereOneIsSignedInAndMarksThisOne(t *testing.T) {
	w := newWorld(t)
	here, there := w.browserTab(t), w.browserTab(t)
	there.signIn("sam", "")
	here.signIn("sam", "")
	w.browserTab(t).signIn("kim", "")
	w.reached = map[session.ID][]oidc.Client{"ses_1": {{ID: "fleet-web", Name: "Fleet Web"}}}
	const kept = "Both end what applications keep"
	if strings.Contains(here.get(pathMe).body, kept) {
		t.Error("the page speaks of what no application keeps")
	}
	w.mu.Lock()
	for _, b := range w.sessions {
		if b.Session.ID == "ses_1" {
			b.Session.Offline = "fleet-web"
		}
	}
	w.mu.Unlock()
	body := here.get(pathMe).body
	for _, want := range []string{"Where you are signed in", "this one", "Fleet Web", "End all others", "21 November 2096", "Sign out here", "Kept by an application", "A browser", kept} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(body, `action="/me/end"`); n != 2 {
		t.Errorf("%d sign-ins are shown, want two: nobody else's", n)
	}
}

func TestEndingOnesOwnSignIns(t *testing.T) {
	for name, row := range map[string]struct {
		path string
		form url.Values
		left int // of sam's three
		to   string
	}{
		"another one":     {pathEnd, url.Values{"session": {"ses_1"}}, 2, pathMe},
		"this one":        {pathEnd, url.Values{"session": {"ses_3"}}, 2, pathSignedOut},
		"all others":      {pathEndOthers, nil, 1, pathMe},
		"all":             {pathEndAll, nil, 0, pathSignedOut},
		"somebody else's": {pathEnd, url.Values{"session": {"ses_4"}}, 3, ""},
		"nobody's":        {pathEnd, url.Values{"session": {"ses_99"}}, 3, ""},
		"none named":      {pathEnd, nil, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.browserTab(t).signIn("sam", "")
			w.browserTab(t).signIn("sam", "")
			b := w.browserTab(t)
			b.signIn("sam", "")
			w.browserTab(t).signIn("kim", "")
			got := b.post(row.path, row.form)
			if got.to != row.to || row.to == "" && got.status != http.StatusNotFound {
				t.Errorf("%d %q", got.status, got.to)
			}
			if n := len(w.live("sam")); n != row.left || len(w.live("kim")) != 1 {
				t.Errorf("%d of sam's are left, want %d; %d of kim's", n, row.left, len(w.live("kim")))
			}
			if gone := strings.Contains(setCookie(got, "drawbridge_session"), "Max-Age=0"); gone != (row.to == pathSignedOut) {
				t.Errorf("the cookie goes: %v", gone)
			}
		})
	}
}

func TestEndingSignInsNeedsASessionAndOurOwnPage(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{pathEnd, pathEndOthers, pathEndAll} {
		if got := w.browserTab(t).post(path, url.Values{"session": {"ses_1"}}); got.to != pathSignIn {
			t.Errorf("%s without a session: %d %s", path, got.status, got.to)
		}
		b := w.browserTab(t)
		b.signIn("sam", "")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+path, strings.NewReader("session=ses_1"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		res, err := b.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close() //nolint:errcheck // nothing is read
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site: %d", path, res.StatusCode)
		}
	}
	if n := len(w.live("sam")); n != 3 {
		t.Errorf("%d sign-ins are left", n)
	}
}

var frameSrc = regexp.MustCompile(`<iframe src="([^"]+)"`)

// TestSigningOutTellsApplicationsInTheBrowser: OpenID Connect Front-Channel Logout 1.0
// section 2, for those that ask for it, and under a policy that allows them alone.
func TestSigningOutTellsApplicationsInTheBrowser(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	b.signIn("sam", "")
	w.reached = map[session.ID][]oidc.Client{"ses_1": {
		{ID: "fleet-web", Name: "Fleet Web", FrontchannelLogoutURI: "https://fleet.example/bye?a=b"},
		{ID: "quiet", Name: "Quiet"},
		{ID: "depot", Name: "Depot", FrontchannelLogoutURI: "https://depot.example:8443/out"},
	}}
	got := b.post(pathSignOut, nil)
	if got.status != http.StatusOK || len(w.live("sam")) != 0 || !strings.Contains(setCookie(got, "drawbridge_session"), "Max-Age=0") {
		t.Fatalf("%d, %d sessions", got.status, len(w.live("sam")))
	}
	frames := frameSrc.FindAllStringSubmatch(got.body, -1)
	iss := url.QueryEscape(w.URL)
	if len(frames) != 2 || frames[0][1] != "https://fleet.example/bye?a=b&amp;iss="+iss+"&amp;sid=ses_1" || frames[1][1] != "https://depot.example:8443/out?iss="+iss+"&amp;sid=ses_1" {
		t.Errorf("frames %v", frames)
	}
	if csp := got.header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "; frame-src https://fleet.example https://depot.example:8443") || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %s", csp)
	}
	if csp := b.get(pathSignedOut).header.Get("Content-Security-Policy"); strings.Contains(csp, "frame-src") {
		t.Errorf("another page may hold frames: %s", csp)
	}
}

// TestTheSignedOutPageLeadsOn: to the application after the frames, and to the
// identity provider's own sign-out, which is never done unasked.
func TestTheSignedOutPageLeadsOn(t *testing.T) {
	w := newWorld(t)
	w.there = "https://idp.example/logout?client_id=x"
	b := w.browserTab(t)
	b.signIn("sam", "")
	got := b.post(pathSignOut, nil)
	if got.status != http.StatusOK || !strings.Contains(got.body, `href="https://idp.example/logout?client_id=x"`) || got.header.Get("Refresh") != "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	rec := httptest.NewRecorder()
	w.console.SignedOut(rec, httptest.NewRequest(http.MethodGet, "/", nil), oidc.Leaving{Frames: []string{"https://fleet.example/bye?sid=1"}, Next: "https://app.example/done?state=s"})
	if rec.Header().Get("Refresh") != "3; url=https://app.example/done?state=s" || !strings.Contains(rec.Body.String(), `href="https://app.example/done?state=s"`) {
		t.Errorf("%v %s", rec.Header(), rec.Body)
	}
}

func TestADeviceIsNamedInOurOwnWords(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0":  "Edge on Windows",
		"Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0":                                                         "Firefox on Linux",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile Safari/604": "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36":                       "Chrome on Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":             "Safari on macOS",
		canary: "",
		"":     "",
	} {
		if got := deviceOf(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}

// TestABrowserThatMissedItsNewCookieIsGivenItAgain: by the switch that it repeats, and by
// whatever page it opens instead.
func TestABrowserThatMissedItsNewCookieIsGivenItAgain(t *testing.T) {
	for _, open := range []func(b *tab) shown{
		func(b *tab) shown { return b.post("/me/switch", url.Values{"assignment": {"asg_cairns"}}) },
		func(b *tab) shown { return b.get(pathMe) },
		func(b *tab) shown { return b.get("/test/begin?client=fleet-web") },
	} {
		w := newWorld(t)
		b := w.browserTab(t)
		b.signIn("kim", "")
		at, err := url.Parse(w.URL)
		if err != nil {
			t.Fatal(err)
		}
		old := ""
		for _, c := range b.Jar.Cookies(at) {
			if c.Name == "drawbridge_session" {
				old = c.Value
			}
		}
		lost, _, err := w.Switch(t.Context(), old, "asg_cairns")
		if err != nil {
			t.Fatal(err)
		}
		w.missed = map[string]secret.String{old: lost}
		if got := open(b); !strings.HasPrefix(setCookie(got, "drawbridge_session"), "drawbridge_session="+lost.Reveal()+";") {
			t.Errorf("%d %s: the cookie set is %q", got.status, got.to, setCookie(got, "drawbridge_session"))
		}
		w.missed = nil
		if page := b.get(pathMe); page.status != http.StatusOK {
			t.Errorf("it is signed out: %d %s", page.status, page.to)
		}
	}
}
