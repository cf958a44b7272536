//go:build !lanes

package main

import "time"

// seams are what a program that is built for the lanes lets them loosen. In this one it is
// nothing.
func seams([]string) setting { return setting{} }

// now is this machine's clock.
func now() time.Time { return time.Now() }
