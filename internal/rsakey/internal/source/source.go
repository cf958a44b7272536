// Package source is where keys come from. It lies where only package rsakey, which
// calls it, and package rsakeytest, which no program may import, can see it.
package source

import (
	"crypto/rand"
	"crypto/rsa"
)

// Make makes a key of that many bits. Package rsakeytest is the only one that
// assigns it, before anything runs.
var Make = Generate

// Generate makes a new key from the system's random source.
func Generate(bits int) (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, bits) }
