package deliver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// nodes are workers of several nodes over one store, which send to the same receivers.
func nodes(b *bench, names ...string) (all []*Worker) {
	for _, name := range names {
		all = append(all, New(Config{Store: b.s, Node: name, Now: time.Now, Senders: map[string]Sender{"test": b}}))
	}
	return all
}

// Several nodes share receivers: each delivery is sent once, and every receiver's in order.
func TestSeveralNodesSendEverythingOnceAndInOrder(t *testing.T) {
	const receivers, each = 20, 30
	b := newBench(t)
	b.now = time.Now()
	for i := range receivers {
		b.put(fmt.Sprint("test:", i), each)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, w := range nodes(b, "a", "b", "c") {
		running.Go(func() { w.Run(ctx) })
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		b.mu.Lock()
		n := len(b.got)
		b.mu.Unlock()
		if n >= receivers*each {
			break
		}
	}
	stop()
	running.Wait()
	next := map[string]int{}
	for _, sent := range b.sent() {
		receiver, jti, _ := strings.Cut(sent, " ")
		if jti != fmt.Sprint("j", next[receiver]) {
			t.Errorf("%s got %s when j%d was due", receiver, jti, next[receiver])
		}
		next[receiver]++
	}
	for i := range receivers {
		if r := b.receiver(fmt.Sprint("test:", i)); r.Pending != 0 || r.Sent != each {
			t.Errorf("%+v", r)
		}
	}
}

// A node that dies with a claim keeps it until it is over; then another sends.
func TestTheClaimOfADeadNodeLapses(t *testing.T) {
	b := newBench(t)
	b.now = time.Now()
	b.put("test:a", 2)
	w := nodes(b, "alive")[0]
	claim := func(life time.Duration) {
		b.update(func(tx *store.Tx) error {
			_, err := tx.ClaimReceivers("dead", []string{"test:a"}, time.Now(), life)
			return err
		})
	}
	turn := func() []string {
		var under sync.WaitGroup
		if err := w.begin(t.Context(), &under); err != nil {
			t.Fatal(err)
		}
		under.Wait()
		return b.sent()
	}
	claim(time.Hour)
	if got := turn(); len(got) != 0 {
		t.Errorf("sent %v while the claim is another's", got)
	}
	b.update(func(tx *store.Tx) error { _, err := tx.ReleaseReceiver("dead", "test:a"); return err })
	claim(-time.Second)
	if got := fmt.Sprint(turn()); got != "[test:a j0 test:a j1]" {
		t.Errorf("sent %s when it was over", got)
	}
}

// Who was too slow notes what arrived, and nothing that another node knows better.
func TestAClaimThatWasLostIsNoFailureOfTheReceiver(t *testing.T) {
	b := newBench(t)
	b.now = time.Now()
	b.put("test:a", 2)
	w := nodes(b, "slow")[0]
	b.say = func(d store.Delivery) error {
		if d.JTI == "j0" {
			return nil
		}
		b.update(func(tx *store.Tx) error { _, err := tx.ReleaseReceiver("slow", "test:a"); return err })
		return fmt.Errorf("a timeout")
	}
	var under sync.WaitGroup
	if err := w.begin(t.Context(), &under); err != nil {
		t.Fatal(err)
	}
	under.Wait()
	if r := b.receiver("test:a"); r.Sent != 1 || r.Pending != 1 || r.Failures != 0 {
		t.Errorf("%+v", r)
	}
}
