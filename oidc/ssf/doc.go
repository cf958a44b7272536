// Package ssf is the signals transmitter: OpenID Shared Signals Framework 1.0, with the
// events of CAEP 1.0, RISC 1.0 and RFC 9967, delivered by push (RFC 8935) and poll
// (RFC 8936). It holds the wire types, the rules of a stream's configuration and the
// HTTP endpoints; what they ask for is in ports.go.
package ssf
