//go:build !planted

package planted

// Bug is never true in a program that people run: the compiler folds it away, with all
// that would have followed.
func Bug(Name) bool { return false }
