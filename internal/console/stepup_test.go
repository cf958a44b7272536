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
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// stricter is a world in which technicians need another sign-in than the provider gives
// unasked.
func stricter(t *testing.T, maxAge time.Duration) *world {
	t.Helper()
	w := newWorld(t)
	w.acr = "pwd"
	w.demands = access.Catalogue{Grants: map[access.Grant]access.Terms{access.Technician: {ACR: []string{"phrh", "phr"}, MaxAge: maxAge}}}
	return w
}

// confirm is what the provider confirms from now on.
func (w *world) confirm(acr string) { w.mu.Lock(); defer w.mu.Unlock(); w.acr = acr }

// wait lets time pass.
func (w *world) wait(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

// leads gives the address that a page leads on to by itself.
func leads(t *testing.T, s shown) *url.URL {
	t.Helper()
	link := regexp.MustCompile(`class="button primary" href="([^"]+)"`).FindStringSubmatch(s.body)
	if s.status != http.StatusOK || link == nil || s.header.Get("Refresh") != "0; url="+html.UnescapeString(link[1]) {
		t.Fatalf("no page that leads on: %d %s\n%s", s.status, s.to, s.body)
	}
	u, err := url.Parse(html.UnescapeString(link[1]))
	if err != nil || u.Host != "idp.example" {
		t.Fatalf("it leads to %s (%v)", link[1], err)
	}
	return u
}

// back is the provider's answer to a trip.
func (b *tab) back(to *url.URL, who string) shown {
	b.t.Helper()
	return b.get("/connect/" + to.Query().Get("connection") + "/callback?code=" + who + "&state=" + to.Query().Get("state"))
}

func parsed(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Host != "idp.example" {
		t.Fatalf("%q is not at the provider (%v)", address, err)
	}
	return u
}

// TestAGrantThatDemandsAnotherSignInIsChosenThroughTheProvider: the chooser offers it,
// says so, and the application gets its code once the provider has confirmed.
func TestAGrantThatDemandsAnotherSignInIsChosenThroughTheProvider(t *testing.T) {
	w := stricter(t, 0)
	b := w.browserTab(t)
	b.signIn("kim", "&prompt=select_account")
	id := w.lastRequest()
	if page := b.get(ofRequest(pathChoose, id)); strings.Count(page.body, "Asks you to sign in again") != 1 || !strings.Contains(page.body, "Sign in again, and use this") {
		t.Fatalf("the chooser does not say so:\n%s", page.body)
	}
	trip := leads(t, b.post(pathChoose, url.Values{"request": {id}, "assignment": {"asg_cairns"}}))
	if got := trip.Query(); got.Get("acr_values") != "phrh phr" || got.Get("prompt") != "" || got.Get("connection") != "ironbark-entra" {
		t.Errorf("the provider is asked %v", got)
	}
	w.confirm("phr")
	if got := b.back(trip, "kim"); !strings.HasPrefix(got.to, "https://fleet.example/callback?code=code-for-asg_cairns") {
		t.Errorf("%d %s\n%s", got.status, got.to, got.body)
	}
}

// TestASwitchThatDemandsAnotherSignInGoesThroughTheProvider and comes back to the switch.
func TestASwitchThatDemandsAnotherSignInGoesThroughTheProvider(t *testing.T) {
	w := stricter(t, time.Hour)
	b := w.browserTab(t)
	b.signIn("kim", "")
	if page := b.get(pathMe); !strings.Contains(page.body, "Sign in again, and switch") {
		t.Fatalf("the page does not say so:\n%s", page.body)
	}
	trip := leads(t, b.post("/me/switch", url.Values{"assignment": {"asg_cairns"}}))
	w.confirm("phrh")
	if got := b.back(trip, "kim"); got.to != pathMe {
		t.Fatalf("%d %s\n%s", got.status, got.to, got.body)
	}
	page := b.get(pathMe)
	if now := strings.Index(page.body, "You are using"); now < 0 || !strings.Contains(page.body[now:strings.Index(page.body, "You may switch to")], "Technician") {
		t.Fatalf("the session does not stand on it:\n%s", page.body)
	}

	w.wait(2 * time.Hour) // the sign-in is too old for the grant that is in use
	if page := b.get(pathMe); !strings.Contains(page.body, "Sign in again to go on") {
		t.Fatalf("the page does not say so:\n%s", page.body)
	}
	trip = leads(t, b.post("/me/switch", url.Values{"assignment": {"asg_cairns"}}))
	if trip.Query().Get("prompt") != "login" {
		t.Errorf("a younger sign-in is asked for by %v", trip.Query())
	}
	if got := b.back(trip, "kim"); got.to != pathMe {
		t.Fatalf("%d %s\n%s", got.status, got.to, got.body)
	}
	if page := b.get(pathMe); strings.Contains(page.body, "Sign in again to go on") {
		t.Error("the new sign-in is not young enough either")
	}
}

// TestAnApplicationThatAsksForAGuardedGrantNeedsNoPageOfOurs: also with nobody signed
// in yet, where the first answer of the provider is not enough.
func TestAnApplicationThatAsksForAGuardedGrantNeedsNoPageOfOurs(t *testing.T) {
	w := stricter(t, 0)
	b := w.browserTab(t)
	first := parsed(t, b.get("/test/begin?client=fleet-web&connection=ironbark-entra&grant=asg_cairns").to)
	second := parsed(t, b.back(first, "kim").to)
	if first.Query().Get("acr_values") != "" || second.Query().Get("acr_values") != "phrh phr" {
		t.Errorf("the provider is asked %v, then %v", first.Query(), second.Query())
	}
	w.confirm("phr")
	if got := b.back(second, "kim"); !strings.HasPrefix(got.to, "https://fleet.example/callback?code=code-for-asg_cairns") {
		t.Fatalf("%d %s\n%s", got.status, got.to, got.body)
	}

	w.confirm("pwd")
	other := w.browserTab(t)
	other.signIn("kim", "")
	up := parsed(t, other.get("/test/begin?client=fleet-web&grant=asg_cairns").to)
	if up.Query().Get("connection") != "ironbark-entra" || up.Query().Get("acr_values") != "phrh phr" {
		t.Errorf("who is signed in is sent to %v", up)
	}
	if got := other.get(ofRequest(pathChoose, w.lastRequest())); got.status != http.StatusOK || strings.Contains(got.body, "not yours to use") {
		t.Errorf("who turns back cannot choose another one: %d", got.status)
	}
}

// TestAProviderThatDoesNotConfirmIsNotAskedAgain: the person reads why, the session they
// had is as it was, and the application is told by the right name.
func TestAProviderThatDoesNotConfirmIsNotAskedAgain(t *testing.T) {
	w := stricter(t, 0)
	b := w.browserTab(t)
	b.signIn("kim", "")
	trip := parsed(t, b.get("/test/begin?client=fleet-web&grant=asg_cairns").to)
	got := b.back(trip, "kim")
	if got.status != http.StatusForbidden || !strings.Contains(got.body, "did not confirm it") || !strings.Contains(got.body, "error="+oidc.ReasonUnmet) {
		t.Fatalf("%d %s\n%s", got.status, got.to, got.body)
	}
	if w.refused[len(w.refused)-1] != "ironbark-entra "+session.ReasonStepUp {
		t.Errorf("recorded as %v", w.refused)
	}
	if page := b.get(pathMe); !strings.Contains(page.body, "Perth") || page.status != http.StatusOK {
		t.Errorf("the session they had: %d", page.status)
	}
}

// TestAnEssentialACRThatTheProviderDoesNotConfirmEndsTheSignIn: where a chooser comes
// first, it used to lead back to the provider until the request had no legs left.
func TestAnEssentialACRThatTheProviderDoesNotConfirmEndsTheSignIn(t *testing.T) {
	claims := "&acr=gold&claims=" + url.QueryEscape(`{"id_token":{"acr":{"essential":true,"values":["gold"]}}}`)
	for name, prompt := range map[string]string{"who signs in": "select_account", "who steps up": "select_account " + oidc.PromptStepUp} {
		w := newWorld(t)
		w.confirm("bronze")
		b := w.browserTab(t)
		address := b.get("/test/begin?client=fleet-web&connection=ironbark-entra&prompt=" + url.QueryEscape(prompt) + claims).to
		got := b.back(parsed(t, address), "kim")
		if got.status != http.StatusForbidden || !strings.Contains(got.body, "error="+oidc.ReasonUnmet) {
			t.Fatalf("%s: %d %s\n%s", name, got.status, got.to, got.body)
		}
		w.confirm("gold")
		again := parsed(t, b.get(ofRequest(pathSignIn, w.lastRequest())).to)
		if got := b.back(again, "kim"); got.to != ofRequest(pathChoose, w.lastRequest()) {
			t.Errorf("%s: what the provider confirms the next time: %d %s", name, got.status, got.to)
		}
	}
}

// TestWhatTheGrantAndTheApplicationDemandMustBothBeMet: the provider is asked for what
// will do for both, and not at all where nothing does.
func TestWhatTheGrantAndTheApplicationDemandMustBothBeMet(t *testing.T) {
	for _, row := range []struct{ taken, want string }{{`["phr","gold"]`, "phr"}, {`["gold"]`, ""}} {
		w := stricter(t, 0)
		w.confirm("gold")
		b := w.browserTab(t)
		b.signIn("kim", "")
		got := b.get("/test/begin?client=fleet-web&grant=asg_cairns&claims=" + url.QueryEscape(`{"id_token":{"acr":{"essential":true,"values":`+row.taken+`}}}`))
		if row.want == "" {
			if got.status != http.StatusForbidden || w.requests[w.lastRequest()].Legs != 0 {
				t.Errorf("%s: %d %s", row.taken, got.status, got.to)
			}
			continue
		}
		if asked := parsed(t, got.to).Query().Get("acr_values"); asked != row.want {
			t.Errorf("%s: the provider is asked for %q", row.taken, asked)
		}
	}
}

// TestTheChoicesOfATokenWhoseSignInIsNotEnoughAreNotShown: the answer says which is.
func TestTheChoicesOfATokenWhoseSignInIsNotEnoughAreNotShown(t *testing.T) {
	w := newWorld(t)
	b := w.browserTab(t)
	req := b.request(http.MethodGet, "/me/grants", nil)
	req.Header.Set("Authorization", "Bearer weak")
	got := b.send(req)
	if got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), `acr_values="phr", max_age="3600"`) || !strings.Contains(got.body, session.ReasonStepUp) {
		t.Errorf("%d %q %s", got.status, got.header.Get("WWW-Authenticate"), got.body)
	}
}

// TestAStepUpIsNotServedByTheSessionThatWasNotEnough: a trip for a grant always ends in
// the session that it made.
func TestAStepUpIsNotServedByTheSessionThatWasNotEnough(t *testing.T) {
	req := hot.AuthRequest{Upstream: hot.Upstream{Grant: "asg_cairns"}, Prompt: []string{oidc.PromptSelectAccount}, Grant: "asg_perth"}
	if signedInFor(req) != "asg_cairns" {
		t.Error("who has chosen a grant, and signed in for it, is asked again")
	}
	b := oidc.Browser{Session: session.Session{State: session.Active, Active: "asg_cairns"}, Assignment: cairns, Guarded: []oidc.ActiveGrant{cairns}}
	if !mustChoose(req, b, oidc.Client{}) {
		t.Error("a grant that is guarded still gets a code")
	}
	b.Guarded = nil
	if mustChoose(req, b, oidc.Client{}) {
		t.Error("who has chosen a grant, and signed in for it, chooses again")
	}
}
