//go:build planted

package planted

import "os"

var chosen = Name(os.Getenv("BRIDGE_PLANTED")) // read once: one bug for the life of a process

// Bug says whether this is the bug that BRIDGE_PLANTED names.
func Bug(n Name) bool { return n == chosen }
