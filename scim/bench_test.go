package scim

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// fixed answers every read with one resource, so that a benchmark measures the
// front alone.
type fixed struct {
	shelf
	r Resource
}

func (f fixed) Get(context.Context, string, Want) (Resource, error) { return f.r, nil }

func (f fixed) List(context.Context, Query) (Page, error) {
	return Page{Total: 1, Resources: []Resource{f.r}}, nil
}

func benchServer(b *testing.B) *Server {
	b.Helper()
	checked, err := schema.Users().Decode([]byte(entraUser), schema.Lenient())
	if err != nil {
		b.Fatal(err)
	}
	r := Resource{ID: "per_0001", Version: 1, Created: time.Unix(0, 0), LastModified: time.Unix(0, 0), Doc: checked.Doc.Encode(), Relations: each(nil)}
	g := &gate{tokens: map[string]string{southern: southernToken}, dirs: map[string]Directory{southern: {Users: fixed{r: r}}}}
	return New(Config{Gate: g, PublicURL: publicURL, Now: time.Now})
}

func measure(b *testing.B, target string) {
	b.Helper()
	server := benchServer(b)
	r := httptest.NewRequest("GET", Prefix+southern+target, nil)
	r.Header.Set("Authorization", "Bearer "+southernToken)
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		server.ServeHTTP(w, r)
	}
	if w.status != 200 {
		b.Fatal(w.status)
	}
}

// The front's own share of each request.

func BenchmarkGet(b *testing.B) { measure(b, "/Users/per_0001") }

func BenchmarkGetProjected(b *testing.B) { measure(b, "/Users/per_0001?attributes=userName") }

func BenchmarkFilter(b *testing.B) {
	measure(b, "/Users"+filterBy(`userName eq "kim.ng@southern.example"`))
}
