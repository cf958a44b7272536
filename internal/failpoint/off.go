//go:build !failpoints

package failpoint

import "context"

// Hit is nothing in a program that people run: the compiler folds it away.
func Hit(context.Context, Point) error { return nil }
