package main

import (
	"bytes"
	"net/http/httptest"
	"testing"

	"github.com/drawbridge-id/drawbridge/config"
)

func TestTheSchemaIsPublicAndMayBeKept(t *testing.T) {
	w := httptest.NewRecorder()
	serveSchema().ServeHTTP(w, httptest.NewRequest("GET", config.SchemaPath, nil))
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/schema+json" || w.Header().Get("Cache-Control") != "public, max-age=3600" || !bytes.Equal(w.Body.Bytes(), config.Schema()) {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if got := routeOf(httptest.NewRequest("GET", config.SchemaPath, nil)); got != "/schema" {
		t.Errorf("in metrics it is %q", got)
	}
}
