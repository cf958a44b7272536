// Package rsakey makes RSA keys. That is most of what a first start costs, and many
// tests start a bridge, so a test binary may take keys that were made before: see
// package rsakeytest. No program can.
package rsakey

import (
	"crypto/rsa"

	"github.com/drawbridge-id/drawbridge/internal/rsakey/internal/source"
)

// Generate makes a key whose modulus has that many bits. 3072 take about half a
// second of one core, 2048 a tenth of one.
func Generate(bits int) (*rsa.PrivateKey, error) { return source.Make(bits) }
