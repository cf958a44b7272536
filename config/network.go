package config

import (
	"net/netip"
)

// maxNetworks bounds a list of networks: each request of a connection is held
// against all of them.
const maxNetworks = 256

// networks reads a list of networks; an address alone is a network of one.
func (b block) networks(name string) []netip.Prefix {
	f, ok := b.get(name)
	if !ok {
		return nil
	}
	items := f.items()
	if len(items) == 0 && f.plain() {
		f.say("there is no network here; leave the key out or name one")
	}
	if len(items) > maxNetworks {
		f.say("there are more than %d networks", maxNetworks)
		return nil
	}
	var all []netip.Prefix
	for _, item := range items {
		if n, ok := item.network(); ok {
			all = append(all, n)
		}
	}
	return all
}

func (f field) network() (netip.Prefix, bool) {
	s, ok := f.text()
	if !ok {
		return netip.Prefix{}, false
	}
	n, err := netip.ParsePrefix(s)
	if a, bare := netip.ParseAddr(s); bare == nil && a.Zone() == "" {
		n, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil:
		f.say("%q is not a network such as 203.0.113.0/24 or 2001:db8::/32", s)
		return netip.Prefix{}, false
	case n.Addr().Is4In6():
		f.say("%q is an IPv4 network in its IPv6 form; write it as IPv4", s)
		return netip.Prefix{}, false
	case n.Bits() == 0:
		f.say("%q is every address: whoever connects would lie in it", s)
		return netip.Prefix{}, false
	case n != n.Masked():
		f.hint(n.Masked().String(), "%q has bits set behind its length", s)
		return netip.Prefix{}, false
	}
	return n, true
}
