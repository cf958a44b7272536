// Package interop runs the built program beside clients and identity providers that were
// not written for it. It is tests only; `make interop` installs what they need.
package interop
