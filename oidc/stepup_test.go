package oidc

import (
	"net/http"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/session"
)

// TestAProxyMayDemandASignIn by its kind and age, and is told what to challenge for.
func TestAProxyMayDemandASignIn(t *testing.T) {
	w := newWorld()
	set, _ := w.signIn(t, "openid")
	token := set["access_token"].(string)
	a := w.tokens[token]
	a.ACR, a.AuthTime = "phr", w.now.Add(-time.Minute)
	w.tokens[token] = a
	const challenge = `Bearer realm="oauth2", error="insufficient_user_authentication", error_description="another sign-in is demanded", `
	for _, row := range []struct {
		query, challenge string
		want             int
	}{
		{"acr=phrh&acr=phr&max_age=61", "", http.StatusOK},
		{"acr=phrh", challenge + `acr_values="phrh"`, http.StatusUnauthorized},
		{"max_age=60", challenge + `max_age="60"`, http.StatusUnauthorized},
		{"max_age=0", "", http.StatusBadRequest},
		{"max_age=1&max_age=2", "", http.StatusBadRequest},
		{"acr=two%20words", "", http.StatusBadRequest},
	} {
		rec := w.do(call{path: pathCheck, query: "audience=fleet-api&" + row.query, header: http.Header{"Authorization": {"Bearer " + token}}})
		if rec.Code != row.want || rec.Header().Get("WWW-Authenticate") != row.challenge {
			t.Errorf("%s: %d %q", row.query, rec.Code, rec.Header().Get("WWW-Authenticate"))
		}
		if rec.Code == http.StatusUnauthorized && object(t, rec)["error"] != session.ReasonStepUp {
			t.Errorf("%s: %s", row.query, rec.Body)
		}
	}
}
