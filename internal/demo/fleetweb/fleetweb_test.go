package fleetweb_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/demo/fleetweb"
)

// site is the application on loopback, with one browser.
type site struct {
	t       *testing.T
	url     string
	browser *http.Client
	handler http.Handler
	cfg     fleetweb.Config
}

func open(t *testing.T, o *op, file string) *site {
	t.Helper()
	s := &site{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.url, s.browser = server.URL, &http.Client{Jar: jar, Timeout: 10 * time.Second}
	s.cfg = fleetweb.Config{Issuer: o.server.URL, ClientID: "fleet-web", ClientSecret: "app secret", BaseURL: server.URL,
		GrantsURL: o.server.URL + "/me/grants", SessionFile: file}
	s.restart()
	return s
}

func (s *site) restart() {
	s.t.Helper()
	app, err := fleetweb.New(s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.handler = app.Handler()
}

// get follows redirects, as a browser does.
func (s *site) get(path string) (int, string) {
	s.t.Helper()
	return s.read(s.browser.Get(s.url + path)) //nolint:noctx,bodyclose // bounded by the client; read closes
}

func (s *site) read(res *http.Response, err error) (int, string) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (s *site) shows(path string, status int, parts ...string) {
	s.t.Helper()
	got, page := s.get(path)
	if got != status {
		s.t.Errorf("%s: status %d, want %d", path, got, status)
	}
	for _, part := range parts {
		if !strings.Contains(page, part) {
			s.t.Errorf("%s does not show %q:\n%s", path, part, page)
		}
	}
}

// After sign-in the page shows the grant, its scope, the names above it, its flags
// and what it opens; the per-grant link shows the other one.
func TestShowsWhatTheGrantIs(t *testing.T) {
	s := open(t, newOP(t), "")
	s.shows("/", 200, `href="/signin"`)
	s.shows("/signin", 200, "You work as Technician", "<strong>Banksia Freight</strong>", "Lantern › Southern Telematics", "no events",
		"Open the in-vehicle system dashboard", "/signin?grant=asg_2", "&#34;active_grant&#34;", "prompt=select_account")
	s.shows("/signin?grant=asg_2", 200, "You work as Standard user", "<strong>Cairns</strong>", "reports are not included", "See vehicles live")
}

// A person who has left is refused on the next request, and the page says so.
func TestAccessEndsOnTheNextRequest(t *testing.T) {
	o := newOP(t)
	s := open(t, o, "")
	s.shows("/signin", 200, "You work as")
	o.set(func(o *op) { o.disable = true })
	s.shows("/", 403, "Kim Oakes, your access ended", "ask your administrator")
	s.shows("/", 200, "Sign in")
	s.shows("/signin", 403, "You were not signed in", "Your company ended your access.")
}

// A grant switched in another window is no goodbye: the page follows it.
func TestFollowsASwitchMadeElsewhere(t *testing.T) {
	o := newOP(t)
	s := open(t, o, "")
	s.shows("/signin", 200, "You work as Technician")
	o.set(func(o *op) {
		for _, b := range o.session {
			b.grant, b.version = "asg_2", b.version+1
		}
	})
	s.shows("/", 200, "You work as Standard user")
}

// A token that is about to end is renewed; each refresh token is used once.
func TestRenewsBeforeTheEnd(t *testing.T) {
	o := newOP(t)
	o.set(func(o *op) { o.life = 10 * time.Second })
	s := open(t, o, "")
	for range 4 {
		s.shows("/signin", 200, "You work as")
		s.shows("/", 200, "You work as")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.used) == 0 {
		t.Error("nothing was renewed")
	}
	for _, l := range o.used {
		if *l.family {
			t.Error("a refresh token was used twice")
		}
	}
}

// Many windows that load at once renew once: no refresh token is used twice.
func TestManyWindowsRenewOnce(t *testing.T) {
	o := newOP(t)
	o.set(func(o *op) { o.life = 10 * time.Second })
	s := open(t, o, "")
	s.shows("/signin", 200, "You work as")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			res, err := s.browser.Get(s.url + "/") //nolint:noctx // bounded by the client
			if err != nil || res.StatusCode != 200 {
				t.Errorf("%v, %v", res, err)
				return
			}
			_ = res.Body.Close()
		})
	}
	all.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.used {
		if *l.family {
			t.Error("a refresh token was used twice")
		}
	}
}

// A bridge that gives tokens and accepts none gets a goodbye, not a redirect loop.
func TestTokensThatNeverCountEndTheSession(t *testing.T) {
	o := newOP(t)
	s := open(t, o, "")
	o.set(func(o *op) { o.deny = true })
	s.shows("/signin", 403, "your access ended")
	s.shows("/", 200, `href="/signin"`)
}

// An ID token that answers another sign-in signs nobody in.
func TestAnotherNonceIsRefused(t *testing.T) {
	o := newOP(t)
	s := open(t, o, "")
	o.set(func(o *op) { o.nonce = "another" })
	s.shows("/signin", 502, "could not be finished")
	s.shows("/", 200, `href="/signin"`)
}

// Without an answer from the bridge nothing is shown, and nobody is signed out.
func TestNoAnswerShowsNothing(t *testing.T) {
	o := newOP(t)
	s := open(t, o, "")
	s.shows("/signin", 200, "You work as")
	o.set(func(o *op) { o.down = true })
	if status, page := s.get("/"); status != http.StatusServiceUnavailable || strings.Contains(page, "Banksia") {
		t.Errorf("status %d, page %s", status, page)
	}
	o.set(func(o *op) { o.down = false })
	s.shows("/", 200, "You work as")
}

// A restart with the same file signs nobody out; sign-out ends it here and there.
func TestSessionsOutliveARestartAndNotASignOut(t *testing.T) {
	o := newOP(t)
	file := filepath.Join(t.TempDir(), "sessions.json")
	s := open(t, o, file)
	s.shows("/signin", 200, "You work as")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	s.restart()
	s.shows("/", 200, "You work as")
	if status, page := s.read(s.browser.PostForm(s.url+"/signout", nil)); status != 200 || !strings.Contains(page, "Sign in") { //nolint:noctx,bodyclose // bounded; read closes
		t.Errorf("sign-out: %d %s", status, page)
	}
	for _, b := range o.session {
		if !b.over {
			t.Error("the bridge's session goes on")
		}
	}
	s.restart()
	s.shows("/", 200, `href="/signin"`)
}

// An answer to a sign-in that this browser did not start signs nobody in, nor does
// one from another issuer; the session's id changes at sign-in.
func TestForeignAnswersAreRefused(t *testing.T) {
	o := newOP(t)
	s := open(t, o, "")
	s.shows("/callback?code=x&state=y", 400, "was not started here")
	s.browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := s.browser.Get(s.url + "/signin") //nolint:noctx // bounded by the client
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	to, err := res.Location()
	if err != nil {
		t.Fatal(err)
	}
	before := cookie(t, s)
	state := url.QueryEscape(to.Query().Get("state"))
	s.shows("/callback?code=x&iss=http://evil.example&state="+state, 400, "was not started here")
	s.shows("/callback?code=x&state="+state, 400, "was not started here")
	s.browser.CheckRedirect = nil
	s.shows("/signin", 200, "You work as")
	if cookie(t, s) == before {
		t.Error("the session kept the id it had before the sign-in")
	}
}

func cookie(t *testing.T, s *site) string {
	t.Helper()
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.browser.Jar.Cookies(u) {
		if c.Name == "fleet_web" {
			return c.Value
		}
	}
	t.Fatal("there is no cookie called fleet_web")
	return ""
}

// Every page has a policy without any unsafe source, and no script.
func TestPagesAreStrict(t *testing.T) {
	s := open(t, newOP(t), "")
	for _, path := range []string{"/", "/signin", "/callback", "/fleet-web.css"} {
		res, err := s.browser.Get(s.url + path) //nolint:noctx // bounded by the client
		if err != nil {
			t.Fatal(err)
		}
		policy := res.Header.Get("Content-Security-Policy")
		_, page := s.read(res, nil)
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(page, "<script") {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
}
