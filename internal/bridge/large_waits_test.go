package bridge_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// deaf are other nodes that say nothing before they are let.
type deaf struct {
	waits
	told atomic.Int64
	let  chan struct{}
}

func (d *deaf) Await(time.Time, ...store.News) {
	d.told.Add(1)
	<-d.let
}

// A large change is carried out while other nodes hear of its chunks, and is answered when they have
// heard of all: it waits for them once, however many chunks there are.
func TestALargeChangeWaitsForOtherNodesOnce(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		stay   int   // of 1,000
		chunks int64 // that end something
	}{"one by one": {500, 5}, "by a successor": {10, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.aroundStore = func(e store.Engine) store.Engine { return among{e} } })
			ids := w.people(banksia, 1000)
			group := w.group(banksia, "GL Geelong Managers", ids...)
			w.drain()
			nodes := &deaf{let: make(chan struct{})}
			w.store.JoinPeers(nodes)
			if _, err := w.store.Follow(w.ctx); err != nil {
				t.Fatal(err)
			}
			answered := make(chan int)
			go func() {
				status, _ := w.send(banksia, "PUT", "/Groups/"+group, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"GL Geelong Managers","members":`+memberList(ids[:change.stay])+`}`)
				answered <- status
			}()
			for end := time.Now().Add(20 * time.Second); nodes.told.Load() < change.chunks && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			select {
			case status := <-answered:
				t.Fatalf("answered %d before the other nodes know", status)
			case <-time.After(300 * time.Millisecond):
			}
			if told := nodes.told.Load(); told != change.chunks {
				t.Errorf("they were told of %d chunks before they had to answer, want %d", told, change.chunks)
			}
			close(nodes.let)
			if status := <-answered; status != 200 {
				t.Errorf("answered %d", status)
			}
			if got := w.members(banksia, group); len(got) != change.stay {
				t.Errorf("%d members are left", len(got))
			}
		})
	}
}
