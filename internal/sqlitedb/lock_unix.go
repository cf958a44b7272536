//go:build unix

package sqlitedb

import (
	"os"

	"golang.org/x/sys/unix"
)

// flock takes an exclusive lock that ends with the process, or says who cannot.
func flock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
