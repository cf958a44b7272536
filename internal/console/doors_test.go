package console

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// closed lets nobody through.
type closed struct{}

func (closed) Network(*http.Request) string { return "203.0.113.7" }

func (closed) SignIn(*http.Request) time.Duration { return 1500 * time.Millisecond }

func TestAFloodOfSignInsIsToldWhenToTryAgain(t *testing.T) {
	w := newWorld(t)
	w.console.Doors = closed{}
	b := w.browserTab(t)
	for _, path := range []string{pathSignIn, pathSignIn + "/tundra-okta", "/connect/tundra-okta/callback?state=x&code=y"} {
		got := b.get(path)
		if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "2" || !strings.Contains(got.body, "Wait 2 seconds") || !strings.Contains(got.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
	if got := b.get(pathStyle); got.status != http.StatusOK {
		t.Errorf("the page has no style: %d", got.status)
	}
	if got := b.get(pathMe); got.status == http.StatusTooManyRequests {
		t.Error("who is signed in is kept from their access")
	}
}
