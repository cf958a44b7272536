package egress

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// lookTime bounds how long a name is looked up by Check.
const lookTime = 2 * time.Second

// Check refuses an address that a client of these options would not call, before
// anything is sent: fault.Denied. A name that cannot be looked up now is not refused;
// whatever it leads to later is judged when it is called.
func Check(ctx context.Context, o Options, address string) error {
	const op = "egress.Check"
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return fault.New(fault.Denied, op, "%q is no address", address)
	}
	if !(&guard{loopback: o.InsecureAllowLoopback}).schemeAllowed(&http.Request{URL: u}) {
		return fault.New(fault.Denied, op, "only https addresses are called, not %q", u.Scheme)
	}
	for _, ip := range lookUp(ctx, o.Resolver, u.Hostname()) {
		if err := allowed(netip.AddrPortFrom(ip.Unmap(), 443).String(), o.InsecureAllowLoopback); err != nil {
			return err
		}
	}
	return nil
}

// lookUp is what a host is known by now: itself, if it is an address; nothing, if
// nobody says.
func lookUp(ctx context.Context, r *net.Resolver, host string) []netip.Addr {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}
	}
	if r == nil {
		r = net.DefaultResolver
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	found, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	return found
}
