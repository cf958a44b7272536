package oidc

import (
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func (w *world) mustAgree() {
	c := w.clients["fleet-web"]
	c.Consent = true
	w.clients["fleet-web"] = c
}

// TestConsentIsAskedWhereTheClientNeedsIt: by prompt=consent, or since there is none
// yet; silently it is an error by its name, and for other clients it is nothing.
func TestConsentIsAskedWhereTheClientNeedsIt(t *testing.T) {
	notAgreed := fault.New(fault.Denied, "bridge.Secret", "not agreed").Because(ReasonConsent)
	w := newWorld()
	cookie := w.person("ada")
	wantSent(t, w.authorize(cookie, "prompt", "consent"), "") // not one of those that people must agree to
	w.mustAgree()
	wantSent(t, w.authorize(cookie), "")
	w.authorize(cookie, "prompt", "consent")
	if len(w.begun) != 1 || strings.Join(w.begun[0].Prompt, " ") != PromptConsent {
		t.Errorf("prompt=consent began %+v", w.begun)
	}
	w.change = func(c *Config) { c.Codes = failing{notAgreed} }
	wantSent(t, w.authorize(cookie, "prompt", "none"), "consent_required")
	w.authorize(cookie)
	if len(w.begun) != 2 || strings.Join(w.begun[1].Prompt, " ") != PromptConsent {
		t.Errorf("without agreement it began %+v", w.begun)
	}
	wantSent(t, w.authorize(cookie, "prompt", "none consent"), "invalid_request")
}

// TestWhatIsAgreedToIsAllThatIsAskedFor: claims by name count as their scopes.
func TestWhatIsAgreedToIsAllThatIsAskedFor(t *testing.T) {
	w := newWorld()
	w.authorize("", "scope", "openid live_view email", "claims", `{"userinfo":{"address":null,"email":null},"id_token":{"name":null,"sub":null}}`)
	got, err := ConsentTo(w.begun[0])
	if err != nil || strings.Join(got, " ") != "address email live_view openid profile" {
		t.Errorf("%v, %v", got, err)
	}
}
