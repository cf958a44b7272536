// Package request decides about requests for access, as arithmetic: what is the smallest
// grant that opens what is asked for, what is missing, who may decide, and what a decision
// comes to.
package request
