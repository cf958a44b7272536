package scim

import (
	"testing"
	"time"
)

func TestPrefersAreRead(t *testing.T) {
	for header, want := range map[string]preferences{
		"":                             {},
		"respond-async":                {async: true},
		"Respond-Async , wait=10":      {async: true, wait: 10 * time.Second},
		`wait="5";x=y, respond-async;`: {async: true, wait: 5 * time.Second},
		"wait=5, wait=9":               {wait: 5 * time.Second},
		"wait=-1, return=minimal":      {},
		"wait=99999999999":             {},
		"wait=2000000000":              {wait: maxWait},
		"respond-asynchronously":       {},
	} {
		if got := parsePrefer([]string{header}); got != want {
			t.Errorf("%q is read as %+v, want %+v", header, got, want)
		}
	}
	if got := parsePrefer([]string{"respond-async", "wait=1"}); got != (preferences{true, time.Second}) {
		t.Errorf("two headers are read as %+v", got)
	}
}

func FuzzPrefer(f *testing.F) {
	f.Add("respond-async, wait=10")
	f.Add(`wait="`)
	f.Fuzz(func(t *testing.T, header string) {
		if got := parsePrefer([]string{header}); got.wait < 0 || got.wait > maxWait {
			t.Errorf("%q is %+v", header, got)
		}
	})
}
