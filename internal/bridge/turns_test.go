package bridge

import (
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// However many large changes one connection has under way, another's goes on at every
// other turn.
func TestI22_LargeChangesTakeTurnsByConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Bridge{heavy: admission.NewTurnstile(1, 1, math.MaxInt)}
		var order []access.ConnectionID
		var all sync.WaitGroup
		chunks := func(conn access.ConnectionID, n int) {
			for range n {
				err := b.inTurn(t.Context(), conn, func() error {
					order = append(order, conn) // one at a time
					synctest.Wait()
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		}
		for range 30 {
			all.Go(func() { chunks("storm", 5) })
		}
		all.Go(func() { chunks("calm", 5) })
		all.Wait()
		last := len(order) - slices.Index(reversed(order), "calm")
		if last > 12 {
			t.Errorf("five chunks beside a storm are through after %d turns: %v", last, order[:last])
		}
	})
}

func reversed[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}
