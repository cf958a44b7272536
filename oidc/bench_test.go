package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func benchmarkPost(b *testing.B, path string, f url.Values) {
	w := newWorld()
	w.tokens["access"] = Accepted{OAuthScopes: []string{"openid", "live_view"}, Audience: "fleet-api"}
	mux, body := w.serve(), f.Encode()
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("fleet-api", "api-secret")
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, r)
		if rec.Code >= http.StatusInternalServerError {
			b.Fatal(rec.Body)
		}
	}
}

// BenchmarkIntrospect is the front's own share: the ports answer from a map.
func BenchmarkIntrospect(b *testing.B) {
	benchmarkPost(b, pathIntrospect, url.Values{"token": {"access"}})
}

// BenchmarkToken is the front's share of a refresh that is refused.
func BenchmarkToken(b *testing.B) {
	benchmarkPost(b, PathToken, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"none"}})
}
