package httpserver

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func proxies(networks ...string) Proxies {
	var p Proxies
	for _, n := range networks {
		p = append(p, netip.MustParsePrefix(n))
	}
	return p
}

func from(peer string, forwarded ...string) *http.Request {
	r := &http.Request{RemoteAddr: peer, Header: http.Header{}}
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	return r
}

func TestTheClientIsThePeerUnlessATrustedProxySaysOtherwise(t *testing.T) {
	behind := proxies("10.0.0.0/8", "2001:db8:ffff::/48")
	none := "invalid IP"
	for name, c := range map[string]struct {
		trusted Proxies
		r       *http.Request
		want    string
	}{
		"nobody is trusted":                    {nil, from("203.0.113.7:40000", "198.51.100.1"), "203.0.113.7"},
		"the peer is not trusted":              {behind, from("203.0.113.7:40000", "198.51.100.1"), "203.0.113.7"},
		"the peer is trusted":                  {behind, from("10.1.2.3:40000", "198.51.100.1"), "198.51.100.1"},
		"a proxy that says nothing":            {behind, from("10.1.2.3:40000"), "10.1.2.3"},
		"the left is the client's own word":    {behind, from("10.1.2.3:1", "192.0.2.1, 203.0.113.7"), "203.0.113.7"},
		"two proxies of ours":                  {behind, from("10.1.2.3:1", "192.0.2.1, 203.0.113.7, 10.9.9.9"), "203.0.113.7"},
		"several headers are one list":         {behind, from("10.1.2.3:1", "192.0.2.1", "203.0.113.7", "10.9.9.9"), "203.0.113.7"},
		"all are ours":                         {behind, from("10.1.2.3:1", "10.0.0.1, 10.0.0.2"), "10.0.0.1"},
		"garbage where it counts":              {behind, from("10.1.2.3:1", "192.0.2.1, evil"), none},
		"garbage behind a proxy of ours":       {behind, from("10.1.2.3:1", "192.0.2.1, unknown, 10.0.0.1"), none},
		"garbage that nobody looks at":         {behind, from("10.1.2.3:1", "evil, 203.0.113.7"), "203.0.113.7"},
		"empty elements":                       {behind, from("10.1.2.3:1", "203.0.113.7, ,", ""), "203.0.113.7"},
		"nothing but commas":                   {behind, from("10.1.2.3:1", ", ,,"), "10.1.2.3"},
		"a port":                               {behind, from("10.1.2.3:1", "203.0.113.7:4711"), "203.0.113.7"},
		"IPv6":                                 {behind, from("[2001:db8:ffff::1]:1", "2001:db8::7"), "2001:db8::7"},
		"IPv6 in brackets":                     {behind, from("10.1.2.3:1", "[2001:db8::7]"), "2001:db8::7"},
		"IPv6 with a port":                     {behind, from("10.1.2.3:1", "[2001:db8::7]:443"), "2001:db8::7"},
		"IPv4 in brackets":                     {behind, from("10.1.2.3:1", "[203.0.113.7]"), none},
		"IPv4 in IPv6 is IPv4":                 {behind, from("10.1.2.3:1", "::ffff:203.0.113.7"), "203.0.113.7"},
		"a peer that is IPv4 in IPv6":          {behind, from("[::ffff:10.1.2.3]:1", "203.0.113.7"), "203.0.113.7"},
		"a proxy that is IPv4 in IPv6":         {behind, from("10.1.2.3:1", "203.0.113.7, ::ffff:10.0.0.2"), "203.0.113.7"},
		"a zone is not part of an address":     {behind, from("10.1.2.3:1", "fe80::1%eth0"), "fe80::1"},
		"a peer with a zone":                   {behind, from("[fe80::1%eth0]:40000"), "fe80::1"},
		"an address with zeros in front":       {behind, from("10.1.2.3:1", "203.0.113.007"), none},
		"quotes and words":                     {behind, from("10.1.2.3:1", `for="203.0.113.7"`), none},
		"a list too long to be a chain":        {proxies("0.0.0.0/0"), from("10.1.2.3:1", strings.Repeat("10.0.0.1,", maxHops+1)), none},
		"a peer that is no address":            {behind, from("@", "203.0.113.7"), none},
		"a header in another spelling of ours": {behind, &http.Request{RemoteAddr: "10.1.2.3:1", Header: http.Header{"X_Forwarded_For": {"192.0.2.1"}, "Forwarded": {"for=192.0.2.1"}}}, "10.1.2.3"},
	} {
		if got := c.trusted.Client(c.r).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Whatever a client writes, it cannot become an address that the nearest proxy did
// not see: what comes out stands right of all that the client can write.
func FuzzClient(f *testing.F) {
	f.Add("192.0.2.1, evil")
	f.Add("[2001:db8::7]:443,")
	f.Fuzz(func(t *testing.T, said string) {
		p := proxies("10.0.0.0/8")
		if got := p.Client(from("203.0.113.7:1", said)); got.String() != "203.0.113.7" {
			t.Errorf("an untrusted peer became %s", got)
		}
		if got := p.Client(from("10.1.2.3:1", said, "203.0.113.7")); got.String() != "203.0.113.7" {
			t.Errorf("the client wrote itself to %s", got)
		}
		if got := p.Client(from("10.1.2.3:1", said)); got.Is4In6() || got.Zone() != "" {
			t.Errorf("%q is not plain", got)
		}
	})
}
