// Package crash lets the built program die, panic, fail or stand still at each of the
// points of internal/failpoint, under a small load over HTTP, and judges what is left:
// `make crash` and `make crash-whole`. Every point is in the program that it starts; in
// what people run there is none.
package crash
