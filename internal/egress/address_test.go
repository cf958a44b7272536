package egress

import (
	"net/netip"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// T-F2: sixty-odd ways to spell a place that is not a public server, each as the
// dialler would show it.
func TestAddressesThatAreNotPublic(t *testing.T) {
	for _, spelling := range []string{
		// loopback
		"127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:7f00:1",
		// unspecified, this network
		"0.0.0.0", "0.0.0.1", "0.1.2.3", "::", "::ffff:0.0.0.0", "::2",
		// private
		"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255", "::ffff:10.0.0.1", "::ffff:192.168.1.1", "::10.0.0.1",
		// link-local, cloud metadata among them
		"169.254.0.1", "169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "febf::1", "fd00:ec2::254", "169.254.170.2",
		// carrier-grade NAT
		"100.64.0.1", "100.100.100.200", "100.127.255.255",
		// unique local, site-local
		"fc00::1", "fd12:3456:789a::1", "fdff::1", "fec0::1",
		// multicast, broadcast, reserved
		"224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "ff02::1", "ff05::2", "ff0e::1",
		// addresses that carry another
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1",
		"2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "::ffff:0:127.0.0.1", "::ffff:8.8.8.8",
		// protocol assignments, documentation, benchmarks, discard
		"192.0.0.1", "192.0.0.170", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "192.88.99.1",
		"2001:db8::1", "2001:10::1", "3fff::1", "5f00::1", "100::1",
	} {
		ip, err := netip.ParseAddr(spelling)
		if err != nil {
			t.Fatal(err)
		}
		if err := allowed(netip.AddrPortFrom(ip, 443).String(), false); !fault.Is(err, fault.Denied) {
			t.Errorf("%s may be dialled: %v", spelling, err)
		}
	}
}

func TestPublicAddressesMayBeDialled(t *testing.T) {
	for _, address := range []string{
		"1.1.1.1:443", "8.8.8.8:443", "100.63.255.255:443", "100.128.0.1:443", "172.15.0.1:443", "172.32.0.1:443",
		"169.253.0.1:443", "192.167.1.1:443", "198.17.0.1:443", "223.255.255.255:443", "11.0.0.1:8443",
		"[2606:4700::1111]:443", "[2a00:1450:4001::200e]:443", "[2001:4860:4860::8888]:443",
	} {
		if err := allowed(address, false); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	for _, address := range []string{"", "localhost:443", "127.1:443", "0x7f.1:443", "2130706433:443", "0177.0.0.1:443", "/run/docker.sock", "1.1.1.1", "[::1]"} {
		for _, loopback := range []bool{false, true} {
			if err := allowed(address, loopback); !fault.Is(err, fault.Denied) {
				t.Errorf("%q: %v", address, err)
			}
		}
	}
}

// The exemption is for loopback and nothing beside it.
func TestLoopbackExemptionIsNarrow(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:80": true, "[::1]:80": true, "[::ffff:127.0.0.1]:80": true,
		"0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "169.254.169.254:80": false, "[fe80::1%lo]:80": false,
		"[64:ff9b::7f00:1]:80": false, "[::127.0.0.1]:80": false, "192.168.1.1:80": false, "8.8.8.8:80": true,
	} {
		if err := allowed(address, true); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func FuzzAllowed(f *testing.F) {
	f.Add("127.0.0.1:443")
	f.Add("[::ffff:10.0.0.1]:443")
	f.Fuzz(func(t *testing.T, address string) {
		if allowed(address, false) != nil {
			return
		}
		ip := netip.MustParseAddrPort(address).Addr()
		if ip.Is4In6() || ip.Unmap().IsPrivate() || ip.Unmap().IsLoopback() || ip.IsMulticast() || ip.IsUnspecified() || ip.Zone() != "" {
			t.Errorf("%s may be dialled", address)
		}
	})
}
