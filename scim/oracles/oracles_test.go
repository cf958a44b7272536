// Package oracles compares filters and patches with other people's readings of SCIM:
// packages from npm (a lane, see CONTRIBUTING.md) and elimity's library. Where they
// differ, somebody has looked who is right: what is listed here is all that may
// differ, and what is listed must differ.
package oracles

import (
	"encoding/json"
	"math/rand/v2"
)

// draw makes what is compared. The same seed makes the same, so that a failure can
// be looked at.
type draw struct{ *rand.Rand }

func newDraw(seed uint64) draw { return draw{rand.New(rand.NewPCG(seed, 43))} }

func pick[T any](d draw, from ...T) T { return from[d.IntN(len(from))] }

// oneIn is true once in n times.
func (d draw) oneIn(n int) bool { return d.IntN(n) == 0 }

// operation is one of a PATCH, as sent.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

func (o operation) String() string {
	b, _ := json.Marshal(o)
	return string(b)
}
