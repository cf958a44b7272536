package egress

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

func TestCheckRefusesWhatWouldNotBeCalled(t *testing.T) {
	for address, want := range map[string]bool{
		"https://203.0.114.1/events":             true,
		"https://[2606:4700::1111]/events":       true,
		"http://203.0.114.1/events":              false,
		"https://127.0.0.1/events":               false,
		"https://10.1.2.3/events":                false,
		"https://169.254.169.254/latest":         false,
		"https://[::1]/events":                   false,
		"https://[::ffff:10.1.2.3]/events":       false,
		"https://[fd00::1]/events":               false,
		"https:///events":                        false,
		"ftp://203.0.114.1/":                     false,
		"https://receiver.invalid/not-yet-there": true,
	} {
		if err := Check(t.Context(), Options{}, address); (err == nil) != want || err != nil && !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v, want allowed %v", address, err, want)
		}
	}
	if err := Check(t.Context(), Options{InsecureAllowLoopback: true}, "http://127.0.0.1:9/x"); err != nil {
		t.Errorf("the exemption: %v", err)
	}
}
