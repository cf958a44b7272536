package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/session"
)

// A customer's own link leads straight to its provider, and comes back to the person's
// own access.
func TestACustomersLinkLeadsToItsOwnSignIn(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	start := b.get("/sign-in/ironbark-entra")
	if start.status != http.StatusSeeOther {
		t.Fatalf("%d %s", start.status, start.body)
	}
	back := b.get("/connect/ironbark-entra/callback?" + url.Values{"state": {start.state(t)}, "code": {"sam"}}.Encode())
	if back.status != http.StatusSeeOther || back.to != pathMe {
		t.Errorf("%d %s", back.status, back.to)
	}
	if again := b.get("/sign-in/ironbark-entra"); !strings.HasPrefix(again.to, pathChoose) || b.get(again.to).to != pathMe {
		t.Errorf("signed in there already: %d %s", again.status, again.to)
	}
	if none := b.get("/sign-in/nobody-here"); none.status != http.StatusForbidden || !strings.Contains(none.body, "no sign-in page") {
		t.Errorf("a link to nobody: %d", none.status)
	}
	if post := b.post("/sign-in/ironbark-entra", nil); post.status != http.StatusMethodNotAllowed {
		t.Errorf("a link is opened, not posted to: %d", post.status)
	}
}

// A link that a stranger sends ends nobody's session by being opened.
func TestALinkToAnotherCompanyAsksFirst(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	b.signIn("sam", "")
	page := b.get("/sign-in/fjord-okta")
	if page.status != http.StatusOK || page.header.Get("Refresh") != "" || !strings.Contains(page.body, "Fjord Transport") || !strings.Contains(page.body, "signed out there") {
		t.Fatalf("%d %q %s", page.status, page.header.Get("Refresh"), page.body)
	}
	if got := b.get(pathMe); got.status != http.StatusOK {
		t.Errorf("the session is over: %d", got.status)
	}
	if to := b.get(linkOn(t, page.body)); to.state(t) == "" {
		t.Error("going on leads nowhere")
	}
}

var primaryLink = regexp.MustCompile(`class="button primary" href="([^"]+)"`)

func linkOn(t *testing.T, page string) string {
	t.Helper()
	found := primaryLink.FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no link on\n%s", page)
	}
	return strings.ReplaceAll(found[1], "&amp;", "&")
}

// The company of the last sign-in is offered, never taken, and is one click away from
// another one. What is remembered is its id and nothing else.
func TestABrowserIsOfferedTheCompanyOfTheLastTime(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	back := b.signIn("sam", "")
	cookie := cookieLine(t, back, "drawbridge_company")
	if !strings.HasPrefix(cookie, "drawbridge_company=ironbark-entra;") || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("the cookie is %q", cookie)
	}
	w.endAll(session.EndExpired)
	ask := b.get("/test/begin?client=fleet-web").to
	page := b.get(ask)
	for _, want := range []string{"Ironbark Haulage", "as the last time", "Another company", "Fleet Web"} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page does not say %q:\n%s", want, page.body)
		}
	}
	if page.status != http.StatusOK || page.header.Get("Refresh") != "" {
		t.Errorf("%d %q", page.status, page.header.Get("Refresh"))
	}
	if to := b.get(linkOn(t, page.body)); to.state(t) == "" {
		t.Error("the offer leads nowhere")
	}
	other := b.get(ask + "&another=1")
	if !strings.Contains(other.body, "Work e-mail") || strings.Contains(other.body, "Ironbark") {
		t.Errorf("another company: %s", other.body)
	}
	if hinted := b.get(b.get("/test/begin?client=fleet-web&hint=liv@nowhere.example").to); !strings.Contains(hinted.body, "Work e-mail") {
		t.Error("what the application says of the person goes before what the browser remembers")
	}
}

func TestAmongTheCompaniesOfADomainTheLastOneIsTaken(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	if got := b.get("/test/begin?client=fleet-web&hint=kim@shared.example"); !strings.HasPrefix(got.to, pathSignIn) {
		t.Errorf("nothing is remembered: %s", got.to)
	}
	b.signIn("kim", "")
	w.endAll(session.EndExpired)
	if got := b.get("/test/begin?client=fleet-web&hint=kim@shared.example"); !strings.Contains(got.to, "connection=ironbark-entra") {
		t.Errorf("%d %s", got.status, got.to)
	}
	if got := b.get("/test/begin?client=fleet-web&hint=liv@fjord.example"); !strings.Contains(got.to, "connection=fjord-okta") {
		t.Errorf("the last company is not one of this domain: %s", got.to)
	}
}

func TestSigningOutForgetsTheCompany(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	b.signIn("sam", "")
	b.get(b.post(pathSignOut, nil).to)
	if page := b.get(b.get(pathSignIn).to); !strings.Contains(page.body, "Work e-mail") || strings.Contains(page.body, "Ironbark") {
		t.Errorf("the next person at this browser is told where the last one signed in:\n%s", page.body)
	}
}

// A cookie that somebody wrote by hand shows nothing but what there is.
func TestARememberedCompanyThatThereIsNotIsNoCompany(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{"gone-okta", "../me", "IRONBARK-ENTRA", strings.Repeat("a", 4000), canary} {
		b := w.browserTab(t)
		at, err := url.Parse(w.URL)
		if err != nil {
			t.Fatal(err)
		}
		b.Jar.SetCookies(at, []*http.Cookie{{Name: "drawbridge_company", Value: value, Path: "/"}})
		if page := b.get(b.get(pathSignIn).to); page.status != http.StatusOK || !strings.Contains(page.body, "Work e-mail") {
			t.Errorf("%.20s: %d", value, page.status)
		}
	}
}

// No enumeration: an address of a served domain is answered alike whoever it belongs to,
// and one of a domain that is not served like any other such.
func TestAnAddressSaysNothingAboutAPerson(t *testing.T) {
	w := newWorld(t)
	answer := func(email string) (int, string, string) {
		b := w.browserTab(t)
		id := requestID(t, b.get("/test/begin?client=fleet-web").to)
		got := b.post(pathSignIn, url.Values{"request": {id}, "email": {email}})
		vary := regexp.MustCompile(`(state|nonce|request|login_hint|challenge)=[^&"]*`)
		body := strings.ReplaceAll(vary.ReplaceAllString(got.body, "$1"), email, "ADDRESS")
		return got.status, strings.ReplaceAll(body, id, "ID"), vary.ReplaceAllString(got.header.Get("Refresh"), "$1")
	}
	for _, pair := range [][2]string{
		{"sam@ironbark.example", "nobody.at.all@ironbark.example"},
		{"kim@shared.example", "nobody.at.all@shared.example"},
		{"sam@nowhere.example", "kim@elsewhere.example"},
	} {
		status, body, refresh := answer(pair[0])
		if status2, body2, refresh2 := answer(pair[1]); status != status2 || body != body2 || refresh != refresh2 {
			t.Errorf("%s and %s differ: %d, %d\n%s\n%s", pair[0], pair[1], status, status2, body, body2)
		}
	}
}

// The page of a shared domain names the companies of that domain and no others.
func TestOnlyTheCompaniesOfTheDomainAreNamed(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	id := requestID(t, b.get("/test/begin?client=fleet-web").to)
	form := url.Values{"request": {id}, "email": {"kim@shared.example"}}
	page := b.post(pathSignIn, form).body
	if !strings.Contains(page, "Choose your company") || !strings.Contains(page, "Ironbark Haulage") || !strings.Contains(page, "Fjord Transport") || strings.Count(page, `class="choice"`) != 2 {
		t.Fatal(page)
	}
	form.Set("email", "sam@ironbark.example")
	form.Set("connection", "fjord-okta")
	if got := b.post(pathSignIn, form); strings.Contains(got.body, "Fjord") {
		t.Error("a company that the domain does not find can be picked from its page")
	}
}

// endAll ends every session, as time does.
func (w *world) endAll(reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for cookie := range w.sessions {
		delete(w.sessions, cookie)
		w.endedBy[cookie] = reason
	}
	w.now = w.now.Add(time.Minute)
}

func cookieLine(t *testing.T, s shown, name string) string {
	t.Helper()
	for _, line := range s.header.Values("Set-Cookie") {
		if strings.HasPrefix(line, name+"=") {
			return line
		}
	}
	t.Fatalf("no cookie %s among %q", name, s.header.Values("Set-Cookie"))
	return ""
}
