package config

import (
	"testing"
	"time"
)

func TestDurationsAreWrittenAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"14d": 14 * 24 * time.Hour, "1d12h": 36 * time.Hour, "5m": 5 * time.Minute, "90s": 90 * time.Second, "1h0m5s": time.Hour + 5*time.Second, "3650d": maxDuration,
		"": 0, "0d": 0, "d": 0, "5": 0, "-5m": 0, "1.5h": 0, "5m1h": 0, "5m5m": 0, "2w": 0, " 5m": 0, "5M": 0, "3651d": 0, "3650d1s": 0, "99999999d": 0, "9999999s": 9999999 * time.Second,
	} {
		got, err := parseDuration(text)
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for d, want := range map[time.Duration]string{48 * time.Hour: "2d", 90 * time.Minute: "90m", 5 * time.Second: "5s", 12 * time.Hour: "12h"} {
		if got := short(d); got != want {
			t.Errorf("%v is written %s", d, got)
		}
	}
}

// FuzzDuration: what is accepted lies between a second and ten years, and is read
// the same when it is written again.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"14d", "1d12h", "0s", "9999999d", "5m1h", "1h1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDuration(text)
		if err != nil {
			return
		}
		if d < time.Second || d > maxDuration {
			t.Fatalf("%q is %v", text, d)
		}
		if again, err := parseDuration(short(d)); d%time.Second != 0 || (err != nil && d < 9999999*time.Second) || (err == nil && again != d) {
			t.Fatalf("%q is written %s: %v, %v", text, short(d), again, err)
		}
	})
}
