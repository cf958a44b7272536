package rsakey_test

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/rsakey"
)

func TestEveryKeyIsNewAndAsLongAsAsked(t *testing.T) {
	for _, bits := range []int{1024, 2048} {
		a, err := rsakey.Generate(bits)
		if err != nil {
			t.Fatal(err)
		}
		b, err := rsakey.Generate(bits)
		if err != nil {
			t.Fatal(err)
		}
		if a.N.BitLen() != bits || b.N.BitLen() != bits || a.Equal(b) {
			t.Errorf("%d bits: %d and %d, the same: %t", bits, a.N.BitLen(), b.N.BitLen(), a.Equal(b))
		}
		if err := a.Validate(); err != nil {
			t.Error(err)
		}
	}
}
