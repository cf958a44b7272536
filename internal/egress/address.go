package egress

import (
	"net/netip"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// forbidden are the prefixes that are nobody's public server (IANA special-purpose
// registries, RFC 6890), beyond what netip names. Forms that carry an IPv4 address
// inside an IPv6 one are refused as a whole: no public server needs them, and each
// is a way around a check of the other family.
var forbidden = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT (RFC 6598)
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("::/96"),           // IPv4-compatible, and ::
	netip.MustParsePrefix("::ffff:0:0/96"),   // IPv4-mapped
	netip.MustParsePrefix("::ffff:0:0:0/96"), // IPv4-translated (RFC 2765)
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64 (RFC 6052)
	netip.MustParsePrefix("64:ff9b:1::/48"),  // local NAT64 (RFC 8215)
	netip.MustParsePrefix("100::/64"),        // discard only
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("3fff::/20"),       // documentation (RFC 9637)
	netip.MustParsePrefix("5f00::/16"),       // segment routing (RFC 9602)
	netip.MustParsePrefix("fc00::/7"),        // unique local
	netip.MustParsePrefix("fec0::/10"),       // site-local, deprecated
}

// allowed judges the address that is about to be dialled, "ip:port". It is called
// for each address a name resolves to, so a name cannot answer differently between
// check and use.
func allowed(address string, loopback bool) error {
	const op = "egress.Client"
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fault.New(fault.Denied, op, "%q is not an IP address and port", address)
	}
	ip := ap.Addr()
	if loopback && ip.Unmap().WithZone("").IsLoopback() {
		return nil
	}
	if !public(ip) {
		return fault.New(fault.Denied, op, "the address %s is not a public one", ip)
	}
	return nil
}

func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.Zone() != "" {
		return false
	}
	// Go itself dials a mapped address as IPv4 and shows Control the plain form; one
	// that arrives mapped all the same is judged as what it is: a detour.
	for _, p := range forbidden {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}
