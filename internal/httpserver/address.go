package httpserver

import (
	"net/http"
	"net/netip"
	"strings"
)

// maxHops is how many entries of X-Forwarded-For are looked at.
const maxHops = 32

// Proxies are the networks whose word about a client's address is taken
// (server.trusted_proxies). It is the one place that decides an address.
type Proxies []netip.Prefix

// Client is the address that a request came from: the TCP peer's, unless that is a
// trusted proxy; then the right-most entry of X-Forwarded-For that is not one. It is
// plain: an IPv4 address is never in its IPv6 form, and a zone is left out. The zero
// Addr says that nobody knows, because the entry that counts is no address: it lies
// in no network. Entries further left were written by whoever sent the request.
func (p Proxies) Client(r *http.Request) netip.Addr {
	peer, ok := hop(r.RemoteAddr)
	if !ok || !p.trusts(peer) {
		return peer
	}
	said := strings.Join(r.Header["X-Forwarded-For"], ",")
	for range maxHops {
		if strings.Trim(said, " \t,") == "" {
			return peer // trusted all the way: the client is one of ours
		}
		at := strings.LastIndexByte(said, ',')
		entry := strings.Trim(said[at+1:], " \t")
		said = said[:max(at, 0)]
		if entry == "" {
			continue // an empty list element (RFC 9110 section 5.6.1.2)
		}
		if peer, ok = hop(entry); !ok || !p.trusts(peer) {
			return peer
		}
	}
	return netip.Addr{}
}

func (p Proxies) trusts(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// hop reads an address as proxies write it: bare, with a port, or in brackets with or
// without one.
func hop(s string) (netip.Addr, bool) {
	if inner, found := strings.CutPrefix(s, "["); found {
		if bare, closed := strings.CutSuffix(inner, "]"); closed {
			s = bare
			if !strings.Contains(s, ":") {
				return netip.Addr{}, false
			}
		}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		with, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = with.Addr()
	}
	return a.Unmap().WithZone(""), true
}
