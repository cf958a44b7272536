package sqlitedb

import (
	"os"

	"golang.org/x/sys/windows"
)

// flock takes an exclusive lock that ends with the process, or says who cannot.
func flock(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
}
