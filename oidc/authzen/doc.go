// Package authzen answers what somebody may do, as the OpenID AuthZEN Authorization API
// 1.0 asks it. It reads and writes the protocol, and leaves every decision to a Decider.
package authzen
