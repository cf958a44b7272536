package deliver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
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

// A node that stands still for longer than its claim lasts sends nothing more when it goes on, since
// another has sent that; and what it was told last of a receiver counts no more.
func TestAClaimThatLapsedSendsNothing(t *testing.T) {
	for name, answer := range map[string]error{"it arrived": nil, "the receiver is no more": &Refused{Why: "gone", Gone: true}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.put("test:a", 3)
			slow := New(Config{Store: b.s, Node: "slow", Now: b.clock, Senders: map[string]Sender{"test": b}})
			other := New(Config{Store: b.s, Node: "other", Now: b.clock, Senders: map[string]Sender{"test": b}})
			turn := func(w *Worker) {
				var under sync.WaitGroup
				if err := w.begin(t.Context(), &under); err != nil {
					t.Error(err)
				}
				under.Wait()
			}
			var frozen atomic.Bool
			b.say = func(store.Delivery) error {
				if !frozen.CompareAndSwap(false, true) {
					return nil
				}
				b.pass(claimed + time.Second)
				b.update(func(tx *store.Tx) error { _, err := tx.ReleaseReceiver("slow", "test:a"); return err }) // as it were
				turn(other)
				b.put("test:a", 5) // as new ones
				return answer
			}
			turn(slow)
			if got := fmt.Sprint(b.sent()); got != "[test:a j0 test:a j0 test:a j1 test:a j2]" {
				t.Errorf("sent %s", got)
			}
			turn(other)
			if got := fmt.Sprint(b.sent()); !strings.HasSuffix(got, "test:a j3 test:a j4]") {
				t.Errorf("then %s", got)
			}
		})
	}
}
