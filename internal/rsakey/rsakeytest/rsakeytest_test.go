package rsakeytest_test

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/rsakey"
	_ "github.com/drawbridge-id/drawbridge/internal/rsakey/rsakeytest" // what is tested
)

func TestKnownKeysAreGivenInTurn(t *testing.T) {
	for _, bits := range []int{3072, 2048} {
		var given [4]interface{ Size() int }
		for i := range given {
			k, err := rsakey.Generate(bits)
			if err != nil {
				t.Fatal(err)
			}
			given[i] = k
			if k.N.BitLen() != bits || i > 0 && given[i-1] == given[i] {
				t.Errorf("key %d of %d bits has %d, or is the one before", i, bits, k.N.BitLen())
			}
		}
		if given[0] != given[3] {
			t.Errorf("%d bits: a new key was made", bits)
		}
	}
}

func TestOtherSizesAreMadeAnew(t *testing.T) {
	k, err := rsakey.Generate(1024)
	if err != nil || k.N.BitLen() != 1024 {
		t.Errorf("%v", err)
	}
}
