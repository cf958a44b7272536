package console

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

func TestAKnownConnectionOrAUniqueHintSkipsTheAddressPage(t *testing.T) {
	w := newWorld(t)
	for _, query := range []string{"&connection=ironbark-entra", "&hint=sam@ironbark.example"} {
		got := w.browserTab(t).get("/test/begin?client=fleet-web" + query)
		if got.status != http.StatusSeeOther || got.state(t) == "" {
			t.Errorf("%s: %d %s", query, got.status, got.to)
		}
	}
	for _, query := range []string{"", "&hint=sam@shared.example", "&hint=sam@nowhere.example", "&hint=nonsense"} {
		got := w.browserTab(t).get("/test/begin?client=fleet-web" + query)
		if got.status != http.StatusSeeOther || !strings.HasPrefix(got.to, pathSignIn+"?") {
			t.Errorf("%s: %d %s, want the address page", query, got.status, got.to)
		}
	}
}

func TestTheApplicationsConnectionIsTheOnlyOne(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	if got := b.get("/test/begin?client=fleet-web&connection=unknown"); got.status != http.StatusForbidden || !strings.Contains(got.body, "no sign-in page") {
		t.Errorf("an unknown connection: %d", got.status)
	}
	b.get("/test/begin?client=fleet-web&connection=ironbark-entra")
	id := w.lastRequest()
	if got := b.get(ofRequest(pathSignIn, id) + "&ask=1"); !strings.Contains(got.to, "connection=ironbark-entra") {
		t.Errorf("the address page is shown: %d %s", got.status, got.to)
	}
	got := b.post(pathSignIn, url.Values{"request": {id}, "email": {"liv@fjord.example"}})
	if got.header.Get("Refresh") != "" || !strings.HasPrefix(got.to, pathSignIn) {
		t.Errorf("another connection can be reached: %d %s", got.status, got.header.Get("Refresh"))
	}
}

func TestTheAddressFindsTheConnectionAndThePageLeadsOn(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	ask := b.get("/test/begin?client=fleet-web").to
	page := b.get(ask)
	if page.status != http.StatusOK || !strings.Contains(page.body, "Work e-mail") || !strings.Contains(page.body, "Fleet Web") {
		t.Fatalf("%d %s", page.status, page.body)
	}
	got := b.post(pathSignIn, url.Values{"request": {requestID(t, ask)}, "email": {" Sam@IRONBARK.example "}})
	link := html.UnescapeString(regexp.MustCompile(`class="button primary" href="([^"]+)"`).FindStringSubmatch(got.body)[1])
	if got.status != http.StatusOK || got.header.Get("Refresh") != "0; url="+link || !strings.HasPrefix(link, "https://idp.example/") {
		t.Fatalf("%d %q %q", got.status, got.header.Get("Refresh"), link)
	}
	if !strings.Contains(got.body, "Ironbark Haulage") || strings.Contains(got.header.Get("Content-Security-Policy"), "idp.example") {
		t.Error("the page does not name the customer, or its policy names the provider")
	}
	u, err := url.Parse(link)
	if err != nil || u.Query().Get("login_hint") == "" {
		t.Errorf("the provider gets no login_hint: %v", link)
	}
	if u.Query().Get("redirect_uri") != w.URL+"/connect/ironbark-entra/callback" {
		t.Errorf("the callback is %s", u.Query().Get("redirect_uri"))
	}
}

func TestSeveralCustomersOfADomainAreOfferedByName(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	id := requestID(t, b.get("/test/begin?client=fleet-web").to)
	form := url.Values{"request": {id}, "email": {"kim@shared.example"}}
	got := b.post(pathSignIn, form)
	if !strings.Contains(got.body, "Ironbark Haulage") || !strings.Contains(got.body, "Fjord Transport") {
		t.Fatal(got.body)
	}
	form.Set("connection", "fjord-okta")
	if got = b.post(pathSignIn, form); !strings.Contains(got.header.Get("Refresh"), "connection=fjord-okta") {
		t.Errorf("the choice leads to %q", got.header.Get("Refresh"))
	}
	form.Set("email", "kim@ironbark.example")
	if got = b.post(pathSignIn, form); strings.Contains(got.header.Get("Refresh"), "fjord-okta") {
		t.Error("a connection can be chosen that the domain does not find")
	}
}

// TestACompanyThatNobodySignsInThroughIsNotOffered: where it is the only one, the page says
// that there is no way in.
func TestACompanyThatNobodySignsInThroughIsNotOffered(t *testing.T) {
	w := newWorld(t)
	w.noWayIn = map[access.ConnectionID]bool{"fjord-okta": true}
	b := w.browserTab(t)
	id := requestID(t, b.get("/test/begin?client=fleet-web").to)
	got := b.post(pathSignIn, url.Values{"request": {id}, "email": {"kim@shared.example"}})
	if strings.Contains(got.body, "Fjord Transport") || !strings.Contains(got.header.Get("Refresh"), "connection=ironbark-entra") {
		t.Errorf("%d %q\n%s", got.status, got.header.Get("Refresh"), got.body)
	}
	if got := w.browserTab(t).get("/test/begin?client=fleet-web&hint=kim@shared.example"); !strings.Contains(got.to, "connection=ironbark-entra") {
		t.Errorf("by a hint: %d %s", got.status, got.to)
	}
}

func TestUnknownAddressesAllGetTheSamePage(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	id := requestID(t, b.get("/test/begin?client=fleet-web").to)
	page := func(email string) string {
		got := b.post(pathSignIn, url.Values{"request": {id}, "email": {email}})
		if got.status != http.StatusOK || got.header.Get("Refresh") != "" {
			t.Fatalf("%s: %d", email, got.status)
		}
		return strings.ReplaceAll(got.body, email, "ADDRESS")
	}
	if page("a@nowhere.example") != page("b@elsewhere.example") {
		t.Error("two unknown addresses are answered differently")
	}
	if got := b.post(pathSignIn, url.Values{"request": {id}, "email": {"kim"}}); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "name@company.example") {
		t.Errorf("a broken address: %d", got.status)
	}
}

func TestASignInEndsInTheApplicationWithACodeAndANewCookie(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	got := b.signIn("sam", "")
	if got.status != http.StatusSeeOther || !strings.HasPrefix(got.to, "https://fleet.example/callback?code=code-for-asg_perth&state=app-state") {
		t.Fatalf("%d %s\n%s", got.status, got.to, got.body)
	}
	cookie := setCookie(got, "drawbridge_session")
	if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") || !strings.Contains(cookie, "Path=/") {
		t.Errorf("the session cookie is %q", cookie)
	}
	if !strings.Contains(setCookie(got, "drawbridge_req_"), "Max-Age=0") {
		t.Error("the request's cookie stays")
	}
}

func setCookie(s shown, prefix string) string {
	for _, k := range s.header.Values("Set-Cookie") {
		if strings.HasPrefix(k, prefix) {
			return k
		}
	}
	return ""
}

// Threats: T-F4.
func TestAStateWorksOnceAndOnlyInItsOwnBrowser(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	state := b.get("/test/begin?client=fleet-web&connection=ironbark-entra").state(t)
	callback := "/connect/ironbark-entra/callback?" + url.Values{"state": {state}, "code": {"sam"}}.Encode()
	if got := w.browserTab(t).get("/connect/ironbark-entra/callback?state=guess&code=sam"); got.status != http.StatusBadRequest {
		t.Errorf("a guessed state: %d", got.status)
	}
	if got := b.get(strings.Replace(callback, "ironbark-entra", "fjord-okta", 1)); got.status != http.StatusBadRequest {
		t.Errorf("the state at another connection's callback: %d", got.status)
	}
	if got := b.get(callback); got.status != http.StatusSeeOther {
		t.Fatalf("the first use: %d %s", got.status, got.body)
	}
	if got := b.get(callback); got.status != http.StatusBadRequest {
		t.Errorf("the second use: %d", got.status)
	}
	state = b.get("/test/begin?client=fleet-web&connection=ironbark-entra&prompt=login").state(t)
	other := w.browserTab(t).get("/connect/ironbark-entra/callback?" + url.Values{"state": {state}, "code": {"sam"}}.Encode())
	if other.status != http.StatusBadRequest || setCookie(other, "drawbridge_session") != "" {
		t.Errorf("another browser finished the sign-in: %d", other.status)
	}
}

func TestPagesOfARequestOpenOnlyInItsBrowserAndTime(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	ask := b.get("/test/begin?client=fleet-web").to
	id := requestID(t, ask)
	stranger := w.browserTab(t)
	for name, got := range map[string]shown{
		"address page": stranger.get(ask), "chooser": stranger.get(ofRequest(pathChoose, id)),
		"address":  stranger.post(pathSignIn, url.Values{"request": {id}, "email": {"sam@ironbark.example"}}),
		"choice":   stranger.post(pathChoose, url.Values{"request": {id}, "assignment": {"asg_perth"}}),
		"no id":    b.get("/sign-in?request="),
		"long id":  b.get("/sign-in?request=" + strings.Repeat("x", 500)),
		"wrong id": b.get("/sign-in?request=req_unknown"),
	} {
		if got.status != http.StatusBadRequest || !strings.Contains(got.body, "no longer open") {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	w.mu.Lock()
	w.now = w.now.Add(11 * time.Minute)
	w.mu.Unlock()
	if got := b.get(ask); got.status != http.StatusBadRequest {
		t.Errorf("after its end: %d", got.status)
	}
}

func TestTwoTabsSignInSideBySideAndShareTheSession(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	one := b.get("/test/begin?client=fleet-web&connection=ironbark-entra").state(t)
	two := b.get("/test/begin?client=fleet-web&connection=ironbark-entra").state(t)
	for _, state := range []string{two, one} {
		got := b.get("/connect/ironbark-entra/callback?" + url.Values{"state": {state}, "code": {"sam"}}.Encode())
		if !strings.HasPrefix(got.to, "https://fleet.example/callback?code=") {
			t.Fatalf("%d %s", got.status, got.to)
		}
	}
	if len(w.sessions) != 1 || len(w.endedBy) != 0 {
		t.Errorf("%d sessions live, %v ended: the second tab ended the first", len(w.sessions), w.endedBy)
	}
}

func TestAnotherPersonOrAFreshSignInReplacesTheSession(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	b.signIn("sam", "")
	b.signIn("sam", "&prompt=login")
	b.signIn("kim", "&prompt=login")
	if len(w.sessions) != 1 || len(w.endedBy) != 2 {
		t.Errorf("%d live, %v ended", len(w.sessions), w.endedBy)
	}
	for _, why := range w.endedBy {
		if why != session.EndReplaced {
			t.Errorf("it ended because %s", why)
		}
	}
}

func TestAGuestChoosesAndTheApplicationGetsThatGrant(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	got := b.signIn("visitor", "")
	if !strings.HasPrefix(got.to, pathChoose) {
		t.Fatalf("a session that must choose goes to %s", got.to)
	}
	page := b.get(got.to)
	if !strings.Contains(page.body, "Reports are not included") || !strings.Contains(page.body, "Reefline Coaches") || !strings.Contains(page.body, "Ends in 5 days") {
		t.Error(page.body)
	}
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://fleet.example;") {
		t.Errorf("the chooser's form may not lead to the application: %s", csp)
	}
	id := requestID(t, got.to)
	if got = b.post(pathChoose, url.Values{"request": {id}, "assignment": {"asg_perth"}}); got.status != http.StatusConflict {
		t.Errorf("somebody else's assignment: %d", got.status)
	}
	got = b.post(pathChoose, url.Values{"request": {id}, "assignment": {"asg_cairns"}})
	if got.status != http.StatusSeeOther || !strings.Contains(got.to, "code-for-asg_cairns") {
		t.Fatalf("%d %s", got.status, got.to)
	}
	if got = b.post(pathChoose, url.Values{"request": {id}, "assignment": {"asg_cairns"}}); got.status != http.StatusBadRequest {
		t.Errorf("the finished request still answers: %d", got.status)
	}
}

func TestTheChooserShowsOnlyWhatTheApplicationAccepts(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	b.signIn("kim", "")
	got := b.get("/test/begin?client=installer&prompt=select_account")
	page := b.get(got.to)
	if strings.Contains(page.body, "asg_perth") || !strings.Contains(page.body, "asg_cairns") {
		t.Error("the chooser shows what the application does not accept, or hides what it does")
	}
	got = b.post(pathChoose, url.Values{"request": {requestID(t, got.to)}, "assignment": {"asg_perth"}})
	if got.status != http.StatusConflict {
		t.Errorf("a grant that the application does not accept: %d", got.status)
	}
	got = b.get("/test/begin?client=admin-app&prompt=select_account")
	page = b.get(got.to)
	if page.status != http.StatusForbidden || !strings.Contains(page.body, "does not include Admin App") || !strings.Contains(page.body, "it@ironbark.example") {
		t.Errorf("%d %s", page.status, page.body)
	}
}

func TestTheGrantThatWasAskedForIsTheOneThatIsUsed(t *testing.T) {
	w := newWorld(t)
	if got := w.browserTab(t).signIn("kim", "&grant=asg_cairns"); !strings.Contains(got.to, "code-for-asg_cairns") {
		t.Errorf("%d %s", got.status, got.to)
	}
	b := w.browserTab(t)
	got := b.signIn("sam", "&grant=asg_cairns")
	if page := b.get(got.to); !strings.Contains(page.body, "not yours to use now") {
		t.Errorf("a grant that is not held: %s", page.body)
	}
}

func TestTheChooserIsNoWayAroundAFreshSignIn(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	b.signIn("kim", "")
	w.mu.Lock()
	w.now = w.now.Add(time.Hour)
	w.mu.Unlock()
	for _, query := range []string{"&prompt=login", "&max_age=60", "&connection=fjord-okta"} {
		start := b.get("/test/begin?client=fleet-web" + query)
		id := w.lastRequest()
		if strings.HasPrefix(start.to, pathChoose) {
			t.Errorf("%s: the old session will do", query)
		}
		if got := b.get(ofRequest(pathChoose, id)); !strings.HasPrefix(got.to, pathSignIn) {
			t.Errorf("%s: the chooser answers %d %s", query, got.status, got.to)
		}
		got := b.post(pathChoose, url.Values{"request": {id}, "assignment": {"asg_perth"}})
		if strings.Contains(got.to, "code=") {
			t.Errorf("%s: the chooser gave a code", query)
		}
	}
}

func TestMyAccessShowsTheActiveGrantAndSwitches(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	b.signIn("kim", "")
	page := b.get(pathMe)
	for _, want := range []string{"Standard user", "Perth", "Pacific Telematics", "Standard events", "In-cabin video", "Live view", "Technician", "Ends in 5 days", "26 November 2096"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	got := b.post(pathSwitch, url.Values{"assignment": {"asg_cairns"}})
	if got.status != http.StatusSeeOther || got.to != pathMe || setCookie(got, "drawbridge_session") == "" {
		t.Fatalf("%d %s", got.status, got.to)
	}
	for _, s := range w.sessions {
		if s.Session.Active != "asg_cairns" {
			t.Errorf("the session stands on %s", s.Session.Active)
		}
	}
	if got = b.post(pathSwitch, url.Values{"assignment": {"asg_other"}}); got.status != http.StatusForbidden || strings.Contains(got.body, "INTERNAL") {
		t.Errorf("an assignment that is not held: %d %s", got.status, got.body)
	}
	before := len(w.observed)
	if got = b.post(pathSwitch, url.Values{"assignment": {"asg_cairns"}}); got.to != pathMe || setCookie(got, "drawbridge_session") != "" || len(w.observed) != before {
		t.Error("switching to what is active changes something")
	}
}

func TestMyAccessWithoutASessionLeadsToSignInAndBack(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	got := b.get(b.get(pathMe).to)
	id := requestID(t, got.to)
	if page := b.get(got.to); page.status != http.StatusOK {
		t.Fatal(page.status)
	}
	page := b.post(pathSignIn, url.Values{"request": {id}, "email": {"sam@ironbark.example"}})
	state := shown{to: strings.TrimPrefix(page.header.Get("Refresh"), "0; url=")}.state(t)
	if got = b.get("/connect/ironbark-entra/callback?" + url.Values{"state": {state}, "code": {"sam"}}.Encode()); got.to != pathMe {
		t.Errorf("%d %s", got.status, got.to)
	}
}

func TestSigningOutEndsTheSessionAndItsCookie(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	b.signIn("sam", "")
	got := b.post(pathSignOut, nil)
	if got.to != pathSignedOut || len(w.sessions) != 0 || !strings.Contains(setCookie(got, "drawbridge_session"), "Max-Age=0") {
		t.Errorf("%d %s, %d sessions", got.status, got.to, len(w.sessions))
	}
	if got = b.post(pathSignOut, nil); got.to != pathSignedOut {
		t.Errorf("signing out twice: %d", got.status)
	}
}

func TestASessionThatEndedSaysWhy(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	b.signIn("sam", "")
	for cookie, s := range w.sessions {
		if err := w.SignOut(t.Context(), s.Session.ID, session.EndDeactivated); err != nil {
			t.Fatal(err)
		}
		w.endedBy[cookie] = session.EndDeactivated
	}
	if got := b.get(pathMe); got.to != pathEnded {
		t.Fatalf("%d %s", got.status, got.to)
	}
	page := b.get(pathEnded)
	if !strings.Contains(page.body, "switched your account off") || !strings.Contains(setCookie(page, "drawbridge_session"), "Max-Age=0") {
		t.Error(page.body)
	}
}

func TestRefusalsSayWhyWhomToAskAndWhatElse(t *testing.T) {
	w := newWorld(t)
	w.refusals["fip"] = fault.New(fault.Denied, "bridge.SignIn", "INTERNAL associate @ pacific").Because("contact_only")
	w.refusals["twin"] = fault.New(fault.Denied, "bridge.SignIn", "INTERNAL").Because("ambiguous")
	w.refusals["odd"] = fault.New(fault.Denied, "bridge.SignIn", "INTERNAL").Because("a_new_reason")
	for who, want := range map[string]string{"fip": "Contacts do not sign in", "twin": "none was opened", "odd": "with the reference below", "nobody": "not given you an account"} {
		b := w.browserTab(t)
		got := b.signIn(who, "")
		if got.status != http.StatusForbidden || setCookie(got, "drawbridge_session") != "" {
			t.Errorf("%s: %d", who, got.status)
		}
		for _, part := range []string{want, "it@ironbark.example", "support@sentinel.example", "ref-4711", "Use another account", "Back to Fleet Web", "error=access_denied"} {
			if !strings.Contains(got.body, part) {
				t.Errorf("%s: the page does not say %q:\n%s", who, part, got.body)
			}
		}
		if strings.Contains(got.body, "INTERNAL") {
			t.Errorf("%s: internal text is shown", who)
		}
		again := regexp.MustCompile(`href="(/sign-in[^"]+another=1)"`).FindStringSubmatch(got.body)
		next := b.get(html.UnescapeString(again[1]))
		if u, err := url.Parse(next.to); err != nil || u.Query().Get("prompt") != "select_account" {
			t.Errorf("%s: another account leads to %s", who, next.to)
		}
	}
}

func TestWhatTheProviderRefusesIsRecorded(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	state := b.get("/test/begin?client=fleet-web&connection=ironbark-entra").state(t)
	got := b.get("/connect/ironbark-entra/callback?" + url.Values{"state": {state}, "error": {"access_denied"}}.Encode())
	if got.status != http.StatusForbidden || len(w.refused) != 1 || w.refused[0] != "ironbark-entra "+upstream.ReasonIdP {
		t.Errorf("%d %v", got.status, w.refused)
	}
}

// A request that was tried as often as it may leads to the application, not to one
// try more.
func TestASignInCanBeTriedTenTimes(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	got := b.get("/test/begin?client=fleet-web&connection=ironbark-entra")
	again := ofRequest(pathSignIn, w.lastRequest()) + "&another=1"
	for range hot.MaxLegs {
		b.get("/connect/ironbark-entra/callback?" + url.Values{"state": {got.state(t)}, "error": {"access_denied"}}.Encode())
		got = b.get(again)
	}
	if got.status != http.StatusTooManyRequests || len(w.refused) != hot.MaxLegs {
		t.Fatalf("%d after %d tries", got.status, len(w.refused))
	}
	for _, want := range []string{"tried too often", "Back to Fleet Web"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(got.body, "another=1") {
		t.Error("the page leads to one try more")
	}
}

func TestAProviderThatIsDownGetsATemporaryPage(t *testing.T) {
	w := newWorld(t)
	outage := &upstream.Outage{Host: "login.idp.example", Since: w.now.Add(-time.Hour)}
	down := fault.New(fault.Unavailable, "upstream.Start", "down").Because(upstream.ReasonDown)
	down.Err = outage
	w.startErr = down
	b := w.browserTab(t)
	got := b.get("/test/begin?client=fleet-web&connection=ironbark-entra")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Fatalf("%d", got.status)
	}
	for _, want := range []string{"login.idp.example", "21 November 2096, 11:00 UTC", "Try again", "Ironbark Haulage"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	w.mu.Lock()
	w.startErr = nil
	w.mu.Unlock()
	retry := regexp.MustCompile(`href="(/sign-in[^"]+)">Try again`).FindStringSubmatch(got.body)
	if got = b.get(html.UnescapeString(retry[1])); got.state(t) == "" {
		t.Error("trying again leads nowhere")
	}
}

func TestEveryKindOfErrorHasAPage(t *testing.T) {
	w := newWorld(t)
	for _, k := range fault.Kinds() {
		status, s := w.console.wording(fault.New(k, "op", "INTERNAL"), place{})
		if status < 400 || s.Title == "" || s.Sentence == "" || strings.Contains(string(s.Sentence), "INTERNAL") {
			t.Errorf("%s: %d %q %q", k, status, s.Title, s.Sentence)
		}
	}
}

func TestGrantsListsWhatTheTokenMayChoose(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	ask := func(authorization ...string) shown {
		req := b.request(http.MethodGet, pathGrants, nil)
		req.Header["Authorization"] = authorization
		return b.send(req)
	}
	got := ask("Bearer good")
	want := `{"grants":[{"id":"asg_perth","grant":"standard","standing":"primary","scope":{"id":"scp_1","level":"fleet","path":"pacific/ironbark/perth","ancestor_ids":null,"names":["Pacific Telematics","Ironbark Haulage","Perth"]},"flags":{"events":"standard","video":true},"active":false},{"id":"asg_cairns","grant":"technician","standing":"guest","scope":{"id":"scp_2","level":"account","path":"coral/reefline","ancestor_ids":null,"names":["Coral Telematics","Reefline Coaches"]},"flags":{"events":"none","video":false},"until":4004773260,"active":true}]}` + "\n"
	if got.status != http.StatusOK || got.body != want || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", got.status, got.body)
	}
	for _, c := range []struct {
		authorization []string
		status        int
		challenge     string
	}{
		{nil, http.StatusUnauthorized, `Bearer realm="oauth2"`},
		{[]string{"Basic good"}, http.StatusUnauthorized, `Bearer realm="oauth2", error="invalid_token"`},
		{[]string{"Bearer good", "Bearer good"}, http.StatusBadRequest, `Bearer realm="oauth2", error="invalid_request"`},
		{[]string{"Bearer bad"}, http.StatusUnauthorized, `Bearer realm="oauth2", error="invalid_token"`},
		{[]string{"Bearer down"}, http.StatusServiceUnavailable, ""},
	} {
		got := ask(c.authorization...)
		if got.status != c.status || got.header.Get("WWW-Authenticate") != c.challenge || !strings.Contains(got.body, `"error_description":"`) {
			t.Errorf("%v: %d %q", c.authorization, got.status, got.header.Get("WWW-Authenticate"))
		}
	}
}

func TestDomainsAreReadOneWay(t *testing.T) {
	for address, want := range map[string]string{
		"kim@pacific.example": "pacific.example", " Kim@Pacific.EXAMPLE ": "pacific.example", "k.i+m'o@a-b.example": "a-b.example",
		"kim@bücher.example": "xn--bcher-kva.example", "kim@xn--bcher-kva.example": "xn--bcher-kva.example", "kim@日本語.example": "xn--wgv71a119e.example",
		"kim@他们为什么不说中文.example": "xn--ihqwcrb4cv8a8dqg056pqjye.example", "kim@почемужеонинеговорятпорусски.example": "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l.example",
		"": "", "kim": "", "@pacific.example": "", "kim@": "", "kim@localhost": "", "a@b@pacific.example": "", "kim@-a.example": "", "kim@a-.example": "",
		"kim@a..example": "", "kim@.example": "", "kim@a_b.example": "", "kim@a b.example": "", "k im@a.example": "", "kim@a.example\x00": "", "kim@a.example.": "",
		"kim@ｐａｃｉｆｉｃ.example": "", "kim@pac\u200bific.example": "", "kim@" + strings.Repeat("a", 64) + ".example": "", strings.Repeat("k", 250) + "@a.example": "",
		"kim@[127.0.0.1]": "", "\xff@a.example": "",
	} {
		if got, err := domainOf(address); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v, want %q", address, got, err, want)
		}
	}
}

func FuzzDomain(f *testing.F) {
	for _, seed := range []string{"kim@pacific.example", "kim@bücher.example", "a@b@c", "@", "kim@xn--.example", "x@\u00ad.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		domain, err := domainOf(address)
		if err != nil {
			return
		}
		again, err := domainOf("x@" + domain)
		if err != nil && len(domain) <= addressMax-2 || err == nil && again != domain {
			t.Errorf("%q gives %q, which gives %q, %v", address, domain, again, err)
		}
		if strings.ContainsFunc(domain, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' }) {
			t.Errorf("%q gives %q", address, domain)
		}
	})
}

// Two tabs that sign the same person in share a session, unless the provider lets it
// last less long by now than the one that there is.
func TestASharedSessionLastsNoLongerThanTheProviderSaysNow(t *testing.T) {
	for name, c := range map[string]struct {
		until  time.Duration // 0: not said
		shared bool
	}{"not said": {0, true}, "later": {24 * time.Hour, true}, "sooner": {time.Hour, false}} {
		w := newWorld(t)
		b := w.browserTab(t)
		second := b.get("/test/begin?client=fleet-web&connection=ironbark-entra").state(t)
		b.signIn("sam", "")
		if c.until > 0 {
			w.until = w.clock().Add(c.until)
		}
		b.get("/connect/ironbark-entra/callback?" + url.Values{"state": {second}, "code": {"sam"}}.Encode())
		if got := w.n == 1; got != c.shared {
			t.Errorf("%s: one session for both: %t, want %t", name, got, c.shared)
		}
	}
}

// Whose provider has ended all that they had is sent back to it once, to sign in anew.
func TestAnOldSignInLeadsToANewOneOnce(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	w.stale = true
	again := b.signIn("sam", "&hint=sam@ironbark.example")
	if again.status != http.StatusSeeOther || !strings.Contains(again.to, "prompt=login") || !strings.Contains(again.to, "login_hint=sam%40ironbark.example") {
		t.Fatalf("%d %s", again.status, again.to)
	}
	answer := func(s shown) shown {
		return b.get("/connect/ironbark-entra/callback?" + url.Values{"state": {s.state(t)}, "code": {"sam"}}.Encode())
	}
	if got := answer(again); !strings.HasPrefix(got.to, "https://fleet.example/callback?code=") {
		t.Errorf("%d %s", got.status, got.to)
	}
	b = w.browserTab(t)
	w.refusals["sam"] = fault.New(fault.Denied, "test", "INTERNAL").Because(upstream.ReasonStale)
	if got := answer(b.signIn("sam", "")); got.status != http.StatusForbidden || got.to != "" {
		t.Errorf("whose new sign-in is too old is sent round again: %d %s", got.status, got.to)
	}
}
