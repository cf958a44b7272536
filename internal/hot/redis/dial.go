package redis

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// dialler connects to servers. A server that is not there gives a connection that says so when it
// is used, and no error: the client's pool counts errors of dialling for as long as it lives, and
// after as many as it may have connections it dials once in a second only, be the server back or not.
// How often a server is tried is for circuits to say.
func dialler(config *tls.Config, timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}
	dial := plain.DialContext
	if config != nil {
		dial = (&tls.Dialer{NetDialer: plain, Config: config}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nowhere{err}, nil
		}
		return c, nil
	}
}

// nowhere is a connection to a server that is not there.
type nowhere struct{ why error }

func (n nowhere) Read([]byte) (int, error)       { return 0, n.why }
func (n nowhere) Write([]byte) (int, error)      { return 0, n.why }
func (nowhere) Close() error                     { return nil }
func (nowhere) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (nowhere) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (nowhere) SetDeadline(time.Time) error      { return nil }
func (nowhere) SetReadDeadline(time.Time) error  { return nil }
func (nowhere) SetWriteDeadline(time.Time) error { return nil }
