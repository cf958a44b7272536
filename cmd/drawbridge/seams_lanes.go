//go:build lanes

package main

import "slices"

// seams let the lanes' nodes speak with identity providers on this machine, as the demo does.
func seams(env []string) setting {
	return setting{insecureLoopbackEgress: slices.Contains(env, "LANES_LOOPBACK=1")}
}
