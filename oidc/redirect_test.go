package oidc

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// TestNothingIsRedirectedBeforeTheAddressIsGood: the person sees a page.
func TestNothingIsRedirectedBeforeTheAddressIsGood(t *testing.T) {
	for name, change := range map[string][]string{
		"no client":                            {"client_id", ""},
		"unknown client":                       {"client_id", "who"},
		"endless client":                       {"client_id", strings.Repeat("c", 300)},
		"no redirect URI":                      {"redirect_uri", ""},
		"another client's":                     {"redirect_uri", "https://other.example/callback"},
		"oidcc-ensure-registered-redirect-uri": {"redirect_uri", "https://fleet.example/unregistered"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			wantFailed(t, w.authorize(w.person("ada"), change...), http.StatusBadRequest)
		})
	}
	for name, query := range map[string]string{
		"broken escape":   ask().Encode() + "&x=%zz",
		"not UTF-8":       ask().Encode() + "&x=%ff",
		"control":         ask().Encode() + "&x=%0d%0aSet-Cookie:a",
		"too many":        ask().Encode() + strings.Repeat("&a=b", 64),
		"too long":        ask().Encode() + "&x=" + strings.Repeat("a", maxForm),
		"nothing at all":  "",
		"only separators": "&&&&=&=",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			wantFailed(t, w.do(call{path: pathAuthorize, query: query, cookie: w.person("ada")}), http.StatusBadRequest)
		})
	}
	t.Run("the store is down", func(t *testing.T) {
		w := newWorld()
		w.down = fault.New(fault.Unavailable, "world", "")
		wantFailed(t, w.authorize(""), http.StatusServiceUnavailable)
	})
}

// TestALoopbackPortIsPartOfTheAddress: RFC 8252 section 7.3 would let it vary.
func TestALoopbackPortIsPartOfTheAddress(t *testing.T) {
	w := newWorld()
	wantFailed(t, w.authorize("", "client_id", "native", "redirect_uri", "http://127.0.0.1:7778/cb"), http.StatusBadRequest)
	if rec := w.authorize("", "client_id", "native", "redirect_uri", "http://127.0.0.1:7777/cb"); len(w.begun) != 1 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// TestARegisteredAddressThatIsDangerousIsNotUsed: a mistake in the configuration
// does not make the bridge send people to a script.
func TestARegisteredAddressThatIsDangerousIsNotUsed(t *testing.T) {
	for _, uri := range []string{"javascript:alert(1)", "data:text/html,x", "http://fleet.example/cb", "https://user@fleet.example/cb",
		"https://fleet.example/cb#x", "https://fleet.example/\\cb", "https:///cb", "//fleet.example/cb", "https://fleet.example/ cb", "https://fleet.example/*"} {
		w := newWorld()
		c := w.clients["fleet-web"]
		c.RedirectURIs = append(c.RedirectURIs, uri)
		w.clients["fleet-web"] = c
		wantFailed(t, w.authorize(w.person("ada"), "redirect_uri", uri), http.StatusBadRequest)
		if CheckRedirectURI(uri) == nil {
			t.Errorf("CheckRedirectURI takes %q", uri)
		}
	}
	for _, uri := range []string{webURI, "http://127.0.0.1:7777/cb", "http://[::1]/cb", "http://localhost:3000/", "example.fleet:/cb"} {
		if err := CheckRedirectURI(uri); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

// TestRedirectURIsAreComparedByteForByte is the differential of T-E1: whatever a
// mutator makes of a registered address, the bridge redirects exactly if the bytes
// are those of a registered one.
func TestRedirectURIsAreComparedByteForByte(t *testing.T) {
	w := newWorld()
	cookie := w.person("ada")
	registered := w.clients["fleet-web"].RedirectURIs
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable on purpose
	mutants := []string{webURI, strings.ToUpper(webURI), webURI + "/", webURI + "?", webURI + "#", webURI + "%2e", webURI + "/..",
		"https://fleet.example:443/callback", "https://fleet.example./callback", "https://fleet.example@evil.example/callback",
		"https://evil.example/callback", "HTTPS://fleet.example/callback", "https://fleet.example/%63allback", "https://fleet.example//callback",
		"https://fleet.example/callback\u200b", "https://ﬂeet.example/callback", "https%3A//fleet.example/callback", webURI + "&x=1", webURI + "?x=1"}
	for range 3000 {
		mutants = append(mutants, mutate(rng, registered[rng.IntN(len(registered))]))
	}
	same := 0
	for _, uri := range mutants {
		rec := w.authorize(cookie, "redirect_uri", uri)
		redirected := rec.Code == http.StatusSeeOther
		if want := slices.Contains(registered, uri); redirected != want {
			t.Fatalf("redirect_uri %q: redirected %v, want %v", uri, redirected, want)
		}
		if redirected {
			same++
		}
	}
	if same == 0 {
		t.Error("the mutator never left an address as it was: the test proves nothing")
	}
}

func mutate(rng *rand.Rand, uri string) string {
	b := []byte(uri)
	for range rng.IntN(3) {
		at := rng.IntN(len(b))
		junk := []string{"%", "%2F", "%252e", "@", "\\", "#", "?", ":8443", "..", "é", "A", "/", "//", ";", "&", "\t", "."}
		switch rng.IntN(4) {
		case 0:
			b = slices.Insert(b, at, []byte(junk[rng.IntN(len(junk))])...)
		case 1:
			b = slices.Delete(b, at, at+1)
		case 2:
			b[at] ^= 0x20
		case 3:
			b[at] = byte(rng.IntN(256))
		}
		if len(b) == 0 {
			return "x"
		}
	}
	return string(b)
}

func TestARegisteredQueryStaysAsItIs(t *testing.T) {
	w := newWorld()
	rec := w.authorize(w.person("ada"), "redirect_uri", "https://fleet.example/cb?app=1")
	if to := rec.Header().Get("Location"); !strings.HasPrefix(to, "https://fleet.example/cb?app=1&code=") {
		t.Errorf("redirected to %s", to)
	}
}
