//go:build interop

package interop

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Authorization requests, good and broken, are answered as node oidc-provider answers
// them, but for the differences that are listed with the sentence that decides.
func TestDifferencesToNodeProvider(t *testing.T) {
	t.Parallel()
	ours, theirs := comparedProviders(t)
	used, pairs, known := map[string]int{}, 0, alone{}
	all := requests(ours.redirectURI)
	for _, a := range all {
		we, they := ours.answer(a), theirs.answer(a)
		known.keep(a, we, they)
		if we == they {
			continue
		}
		listed := false
		for _, d := range requestDifferences {
			if d.applies(a, we, they) {
				used[d.name]++
				listed = true
			}
		}
		if !listed && known.explain(a, we, they) {
			listed = true
			pairs++
		}
		if !listed {
			t.Errorf("%s: we answer %q, they %q", a, we, they)
		}
	}
	for _, d := range requestDifferences {
		if used[d.name] == 0 {
			t.Errorf("stale: %s", d.name)
		}
	}
	t.Logf("%d requests; differences by name: %v; %d requests with two changes of which each answers one", len(all), used, pairs)
}

// alone is what both answer to changes by themselves, whoever asks and however.
type alone map[string][2]string // ours, theirs

func (k alone) key(a asked, c change) string {
	return fmt.Sprint(a.post, a.signedIn, a.ahead, c)
}

func (k alone) keep(a asked, we, they string) {
	if len(a.changed) == 1 {
		k[k.key(a, a.changed[0])] = [2]string{we, they}
	}
}

// explain says whether a request with two changes is answered by each provider as one of
// the two would be by itself: an error names one fault (RFC 6749 section 4.1.2.1), and
// no specification says which of several comes first. Where a change is refused by
// itself, the pair must be, too.
func (k alone) explain(a asked, we, they string) bool {
	if len(a.changed) != 2 {
		return false
	}
	first, second := k[k.key(a, a.changed[0])], k[k.key(a, a.changed[1])]
	fits := func(now, one, other string) bool {
		return now == one && (!goesOn(one) || goesOn(other)) || now == other && (!goesOn(other) || goesOn(one))
	}
	return fits(we, first[0], second[0]) && fits(they, first[1], second[1])
}

// goesOn says whether an answer is no refusal.
func goesOn(answer string) bool {
	return answer == "ask" || answer == "kept" || strings.HasPrefix(answer, "code")
}

// comparedProviders have the same client and a session of the same person each.
func comparedProviders(t *testing.T) (ours, theirs authorizer) {
	t.Helper()
	at, idp := freePort(t), freePort(t)
	redirect, other := fmt.Sprintf("http://127.0.0.1:%d/callback", freePort(t)), fmt.Sprintf("http://127.0.0.1:%d/other", freePort(t))
	registered := func(id, at string) map[string]any {
		return map[string]any{"client_id": id, "client_secret": "a-secret-of-" + id, "redirect_uris": []string{at}, "grant_types": []string{"authorization_code"}, "response_types": []string{"code"}}
	}
	node := startNodeProvider(t, map[string]any{"port": idp, "clients": []any{registered("compared", redirect), registered("other", other)}})
	bridge := startBridge(t, at, sample(fmt.Sprintf(`
  - id: compared
    name: Compared
    secret: a-secret-of-compared
    redirect_uris: [ %s ]
    grant_types: [ authorization_code ]
    consent: true
  - id: other
    name: Other
    secret: a-secret-of-other
    redirect_uris: [ %s ]
    grant_types: [ authorization_code ]
    consent: true
`, redirect, other), "", ""))
	person := bridge.connection("banksia-entra").People[0]
	ours = compared(t, bridge.Issuer, redirect, other, person, url.Values{"connection": {"banksia-entra"}, "login_hint": {person}})
	theirs = compared(t, node.issuer, redirect, other, person, nil)
	time.Sleep(2 * time.Second) // both sessions are older than max_age=0 allows, by a clock of seconds
	return ours, theirs
}

// compared signs a person in to both applications of a provider.
func compared(t *testing.T, issuer, redirect, other, person string, extra url.Values) authorizer {
	t.Helper()
	b := newBrowser(t)
	signIn := func(id, at string) (string, *application) {
		a := relyingParty(t, issuer, id, "a-secret-of-"+id, at)
		a.config.Scopes = []string{"openid", "profile", "email"} // consented to once and for all
		s, p := a.signInAs(b, extra, as(person))
		return a.redeem(s, p).idToken, a
	}
	another, _ := signIn("other", other)
	hint, a := signIn("compared", redirect)
	return authorizer{endpoint: a.config.Endpoint.AuthURL, pushTo: a.pushTo, redirectURI: redirect, signedIn: b.still(), stranger: newBrowser(t).still(), hint: hint, another: another}
}
