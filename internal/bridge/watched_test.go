//go:build race

package bridge_test

// The race detector makes a test many times dearer: where the same is done again with
// other random numbers, it is done less often.
func init() { lives, seeds = 2, 1 }
