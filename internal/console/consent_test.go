package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const toAtlas = "/test/begin?client=atlas&connection=ironbark-entra"

// atAtlas signs sam in on the way to an application that people must agree to.
func (b *tab) atAtlas(query string) shown {
	b.t.Helper()
	start := b.get(toAtlas + query)
	return b.get("/connect/ironbark-entra/callback?" + url.Values{"state": {start.state(b.t)}, "code": {"sam"}}.Encode())
}

// TestWhoMustAgreeIsAskedOnce in plain words, and then not again.
func TestWhoMustAgreeIsAskedOnce(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	ask := b.atAtlas("")
	if !strings.HasPrefix(ask.to, pathConsent+"?") {
		t.Fatalf("not asked: %d %s", ask.status, ask.to)
	}
	page := b.get(ask.to)
	if page.status != http.StatusOK || !strings.Contains(page.body, "Atlas Maps") || !strings.Contains(page.body, "Perth") || strings.Contains(page.body, "<script") {
		t.Fatalf("%d %s", page.status, page.body)
	}
	if csp := page.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://fleet.example") {
		t.Errorf("the answer cannot lead back: %s", csp)
	}
	got := b.post(pathConsent, url.Values{"request": {requestID(t, ask.to)}, "answer": {"allow"}})
	if !strings.HasPrefix(got.to, "https://fleet.example/callback?code=") {
		t.Fatalf("%d %s", got.status, got.to)
	}
	if again := b.post(pathConsent, url.Values{"request": {requestID(t, ask.to)}, "answer": {"allow"}}); again.status != http.StatusBadRequest {
		t.Errorf("the request is still open: %d %s", again.status, again.to)
	}
	if again := b.atAtlas("&prompt=login"); !strings.HasPrefix(again.to, "https://fleet.example/callback?code=") {
		t.Errorf("asked again: %s", again.to)
	}
	if again := b.atAtlas("&prompt=login+consent"); !strings.HasPrefix(again.to, pathConsent+"?") {
		t.Errorf("prompt=consent does not ask: %s", again.to)
	}
	if live := b.get(toAtlas + "&prompt=consent"); !strings.HasPrefix(live.to, pathConsent+"?") {
		t.Errorf("prompt=consent of somebody who is signed in: %s", live.to)
	}
}

func TestWhoDoesNotAgreeGoesBackWithoutACode(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	id := requestID(t, b.atAtlas("").to)
	for _, answer := range []string{"refuse"} {
		got := b.post(pathConsent, url.Values{"request": {id}, "answer": {answer}})
		if !strings.HasPrefix(got.to, "https://fleet.example/callback?error=access_denied&") || w.agreed["atlas"] {
			t.Errorf("%s: %d %s", answer, got.status, got.to)
		}
	}
	id = requestID(t, b.get(toAtlas+"&prompt=consent").to)
	if got := b.post(pathConsent, url.Values{"request": {id}}); !strings.Contains(got.to, "access_denied") || w.agreed["atlas"] {
		t.Errorf("no answer is taken for yes: %s", got.to)
	}
}

// TestNobodyAgreesForSomebodyElse: the page is for the browser that began, and its form
// for this site.
func TestNobodyAgreesForSomebodyElse(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	id := requestID(t, b.atAtlas("").to)
	if got := w.browserTab(t).post(pathConsent, url.Values{"request": {id}, "answer": {"allow"}}); got.status != http.StatusBadRequest || w.agreed["atlas"] {
		t.Errorf("another browser: %d", got.status)
	}
	req := b.request(http.MethodPost, pathConsent, strings.NewReader(url.Values{"request": {id}, "answer": {"allow"}}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if got := b.send(req); got.status != http.StatusForbidden || w.agreed["atlas"] {
		t.Errorf("another site: %d", got.status)
	}
}

func TestWhatWasAllowedIsShownAndTakenBack(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	if got := b.get(pathApps); got.to != pathSignIn {
		t.Errorf("without a session: %d %s", got.status, got.to)
	}
	b.signIn("sam", "")
	if got := b.get(pathApps); !strings.Contains(got.body, "You have not allowed any") {
		t.Errorf("%d %s", got.status, got.body)
	}
	w.agreed["atlas"] = true
	if got := b.get(pathApps); !strings.Contains(got.body, "Atlas Maps") || !strings.Contains(got.body, "Your e-mail address") || !strings.Contains(got.body, "Live view") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := b.post(pathApps, url.Values{"application": {"atlas"}}); got.to != pathApps || w.agreed["atlas"] {
		t.Errorf("%d %s", got.status, got.to)
	}
}

// TestAGrantThatWasAskedForIsStillPicked where the request says so: nothing moves before.
func TestAGrantThatWasAskedForIsStillPicked(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	start := b.get(toAtlas + "&grant=asg_cairns&prompt=select_account")
	got := b.get("/connect/ironbark-entra/callback?" + url.Values{"state": {start.state(t)}, "code": {"kim"}}.Encode())
	if !strings.HasPrefix(got.to, pathChoose+"?") {
		t.Fatalf("not asked: %d %s", got.status, got.to)
	}
	for _, s := range w.sessions {
		if s.Session.Active != perth.ID {
			t.Errorf("the session stands on %s", s.Session.Active)
		}
	}
	got = b.post(pathChoose, url.Values{"request": {requestID(t, got.to)}, "assignment": {"asg_cairns"}})
	if !strings.HasPrefix(got.to, pathConsent+"?") {
		t.Errorf("after the choice: %d %s", got.status, got.to)
	}
}
