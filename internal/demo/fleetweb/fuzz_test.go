package fleetweb_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/demo/fleetweb"
)

// No answer that this browser did not ask for signs anybody in or sends it away.
func FuzzCallback(f *testing.F) {
	app, err := fleetweb.New(fleetweb.Config{Issuer: "http://127.0.0.1:1", ClientID: "fleet-web", BaseURL: "http://127.0.0.1:2"})
	if err != nil {
		f.Fatal(err)
	}
	h := app.Handler()
	for _, seed := range []string{"", "code=a&state=b", "error=access_denied&state=", "state=b&iss=http://127.0.0.1:1&code=c", "%zz", "state=a&state=b"} {
		f.Add(seed, "fleet_web=x")
	}
	f.Fuzz(func(t *testing.T, query, cookie string) {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:2/callback", nil)
		r.URL.RawQuery = query
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
			t.Errorf("%q with %q was answered %d", query, cookie, w.Code)
		}
	})
}
