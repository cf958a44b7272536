//go:build !lanes

package main

// seams are what a program that is built for the lanes lets them loosen. In this one it is
// nothing.
func seams([]string) setting { return setting{} }
