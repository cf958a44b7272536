// Package rsakeytest gives a test binary that imports it RSA keys that everybody
// knows, instead of new ones; nobody else may be given them. Three things see to
// that: a program that links this package panics before its main; internal/archtest
// fails where anything but a test imports it; and the variable that it assigns lies
// in an internal package of rsakey.
package rsakeytest

import (
	"crypto/rsa"
	"crypto/x509"
	_ "embed" // for keys.pem
	"encoding/pem"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/rsakey/internal/source"
)

// known holds keys of 3072 and of 2048 bits. Their blocks are called TESTING KEY:
// whoever looks for leaked private keys need not stop at them.
//
//go:embed keys.pem
var known []byte

func init() {
	if !testing.Testing() {
		panic("rsakeytest is linked into a program: its keys are known to everybody")
	}
	source.Make = next
}

// ring is the known keys of one size, and how many were given.
type ring struct {
	keys  []*rsa.PrivateKey
	given atomic.Uint32
}

// next gives the known keys of a size in turn: two that are made one after the
// other differ. A size that is not among them is made anew.
func next(bits int) (*rsa.PrivateKey, error) {
	r := rings()[bits]
	if r == nil {
		return source.Generate(bits)
	}
	return r.keys[int(r.given.Add(1))%len(r.keys)], nil
}

var rings = sync.OnceValue(func() map[int]*ring {
	all := map[int]*ring{}
	for block, rest := pem.Decode(known); block != nil; block, rest = pem.Decode(rest) {
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			panic("rsakeytest: keys.pem: " + err.Error())
		}
		bits := key.N.BitLen()
		if all[bits] == nil {
			all[bits] = &ring{}
		}
		all[bits].keys = append(all[bits].keys, key)
	}
	return all
})
