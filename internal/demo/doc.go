// Package demo is what stands around the bridge in `drawbridge demo`: the sample
// organisation, one identity provider for each connection, the sample application
// and a small control endpoint, all on loopback. It knows the bridge by its
// addresses and tokens alone; the command line wires them together.
package demo
