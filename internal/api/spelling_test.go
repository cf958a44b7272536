package api

import (
	"net/http/httptest"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/credential"
)

// TestTG1_NoSpellingOfAnAddressOpensTheAPI: whoever does not say who they are is refused,
// or sent to the address as it is spelled, before anything is done. The bridge behind it is
// missing on purpose: whatever gets past the door panics.
func TestTG1_NoSpellingOfAnAddressOpensTheAPI(t *testing.T) {
	h := New(Config{Token: credential.DigestOf(credential.NewOpaque(credential.KindAdmin).Reveal())})
	for _, spelled := range []string{"/%61pi/v1/status", "/api/%76%31/status", "/api%2fv1/status", "/api/v1%2Fstatus", "//api/v1/status", "/./api/v1/status", "/x/../api/v1/status",
		"/api//v1/status", "/api/v1/./status", "/api/v1/openapi.json/../status", "/api/v1/openapi.json%2f..%2fstatus", "/API/v1/status", "/api/v1/status/", "/api/v1/status;x", "/api/v1/%73tatus",
		"/api/v1/%2e%2e/v1/status", "/api/v1/status%00", "/api/v1/status%20"} {
		for _, method := range []string{"GET", "POST", "DELETE", "HEAD"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, spelled, nil))
			if w.Code/100 == 2 || w.Code/100 == 5 {
				t.Errorf("%s %s: %d %s", method, spelled, w.Code, w.Body)
			}
		}
	}
}
