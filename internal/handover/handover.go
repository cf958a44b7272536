// Package handover says what was given in words that a customer may read, and what is to be
// tried after it was: the note and the check-list.
package handover
