package scimtest

import (
	"fmt"
	"net/netip"
	"syscall"
)

// onlyLoopback refuses an address that is not this machine's: the name "localhost"
// is looked up like any other.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().Unmap().WithZone("").IsLoopback() {
		return fmt.Errorf("%s is not this machine", address)
	}
	return nil
}
