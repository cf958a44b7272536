// Package models says, for porcupine, what one refresh family, one authorization code, one
// group's members and one session's active grant do when everything happens one after the
// other. What several clients saw of several nodes is right if some order of it, which
// contradicts no clock, is such a history. It is made for tests.
package models

import (
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/drawbridge-id/drawbridge/internal/history"
)

// Outcome is what a client got.
type Outcome int

// The zero outcome is that of a request without an answer, or with one that says nothing
// of what was done: it may have taken effect, or may yet.
const (
	Unknown Outcome = iota
	Accepted
	Refused
)

func (o Outcome) String() string { return [...]string{"no answer", "accepted", "refused"}[o] }

// Step is one request: what was asked, and what came of it.
type Step struct {
	Node    string
	At      history.Span // To is Open where the outcome is Unknown
	Asked   Asked
	Outcome Outcome
	Got     string // the next refresh token, the members, the grant
}

// Asked is a verb and what it was about.
type Asked struct{ Verb, What string }

// Check says whether some order explains the steps, within the time that it may take.
// What could not be decided in it is Unknown: it is no proof, and must be told.
func Check(m porcupine.NondeterministicModel, steps []Step, longest time.Duration) porcupine.CheckResult {
	operations := make([]porcupine.Operation, len(steps))
	for i, s := range steps {
		operations[i] = porcupine.Operation{ClientId: i % 64, Input: s.Asked, Output: s, Call: int64(s.At.From), Return: int64(s.At.To)}
	}
	return porcupine.CheckOperationsTimeout(m.ToModel(), operations, longest)
}

func model[S comparable](first S, step func(s S, asked Asked, got Step) []S) porcupine.NondeterministicModel {
	return porcupine.NondeterministicModel{
		Init: func() []any { return []any{first} },
		Step: func(state, in, out any) []any {
			var next []any
			for _, s := range step(state.(S), in.(Asked), out.(Step)) {
				next = append(next, s)
			}
			return next
		},
		Equal: func(a, b any) bool { return a.(S) == b.(S) },
		DescribeOperation: func(in, out any) string {
			asked, got := in.(Asked), out.(Step)
			return fmt.Sprintf("%s %s at %s: %s %s", asked.Verb, asked.What, got.Node, got.Outcome, got.Got)
		},
		DescribeState: func(s any) string { return fmt.Sprint(s) },
	}
}
