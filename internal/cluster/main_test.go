package cluster_test

import (
	"flag"
	"testing"
)

// TestMain lets many tests wait beside each other: they wait for leases to end, and do little.
// Whoever names a number of their own gets that.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	m.Run()
}
