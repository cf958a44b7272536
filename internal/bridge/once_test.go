package bridge_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// waits counts how often other nodes are waited for.
type waits struct{ n atomic.Int64 }

func (*waits) Fresh() bool                      { return true }
func (w *waits) Await(time.Time, ...store.News) { w.n.Add(1) }
func (w *waits) Outwait(time.Time)              { w.n.Add(1) }
func (*waits) Lapse()                           {}

// A request that ends somebody's access waits for the other nodes once: what it takes when they do not
// answer is one lease, not one for each of its steps.
func TestARequestThatEndsAccessWaitsOnce(t *testing.T) {
	for name, end := range map[string]func(w *world, person, group string){
		"PATCH active false": func(w *world, p, _ string) {
			w.patchUser(banksia, p, `{"op":"Replace","path":"active","value":"False"}`)
		},
		"DELETE user":          func(w *world, p, _ string) { w.must(204, banksia, "DELETE", "/Users/"+p, "") },
		"removed from a group": func(w *world, p, g string) { w.removeMember(banksia, g, p) },
		"group deleted":        func(w *world, _, g string) { w.must(204, banksia, "DELETE", "/Groups/"+g, "") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.aroundStore = func(e store.Engine) store.Engine { return among{e} } })
			sam := w.person(banksia, "sam@banksia.example", "oid-sam")
			group := w.group(banksia, "GL Geelong Managers", sam)
			w.session(banksia, "oid-sam")
			w.session(banksia, "oid-sam")
			count := &waits{}
			w.store.JoinPeers(count)
			if _, err := w.store.Follow(w.ctx); err != nil {
				t.Fatal(err)
			}
			count.n.Store(0)
			end(w, sam, group)
			if n := count.n.Load(); n != 1 {
				t.Errorf("it waited %d times", n)
			}
		})
	}
}
