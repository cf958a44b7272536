// Package review decides about reviews of access, as arithmetic: what is to be looked at,
// in which order, who may answer, and what becomes of what nobody answers.
package review
