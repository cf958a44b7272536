package deliver

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

var day = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// bench is a worker over a store, with a clock that is moved by hand.
type bench struct {
	t    testing.TB
	path string
	s    *store.Store
	w    *Worker

	mu  sync.Mutex // guards what follows
	now time.Time
	got []string // "receiver jti", as they were sent
	say func(d store.Delivery) error
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "data.db"), now: day}
	b.start()
	return b
}

func (b *bench) start() {
	b.t.Helper()
	s, err := sqlite.Open(b.t.Context(), b.path)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = s.Close() })
	b.s = s
	b.w = New(Config{Store: s, Now: b.clock, Jitter: func() float64 { return 1 }, Senders: map[string]Sender{"test": b}})
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// Send implements Sender.
func (b *bench) Send(_ context.Context, d store.Delivery) error {
	b.mu.Lock()
	b.got = append(b.got, d.Receiver+" "+d.JTI)
	say := b.say
	b.mu.Unlock()
	if say == nil {
		return nil
	}
	return say(d)
}

func (b *bench) sent() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	b.got = nil
	return got
}

func (b *bench) put(receiver string, n int) {
	b.t.Helper()
	var all []store.Delivery
	for i := range n {
		all = append(all, store.Delivery{Receiver: receiver, Kind: "test", JTI: fmt.Sprintf("j%d", i), Event: 1, Body: []byte("{}"), At: b.clock()})
	}
	b.update(func(tx *store.Tx) error { return tx.PutDeliveries(all) })
}

func (b *bench) update(fn func(*store.Tx) error) {
	b.t.Helper()
	if err := b.s.Update(b.t.Context(), fn); err != nil {
		b.t.Fatal(err)
	}
}

// work gives every receiver that is ready a turn, until none is.
func (b *bench) work() {
	b.t.Helper()
	for {
		var under sync.WaitGroup
		if err := b.w.begin(b.t.Context(), &under); err != nil {
			b.t.Fatal(err)
		}
		under.Wait()
		select {
		case <-b.w.wake:
		default:
			return
		}
	}
}

func (b *bench) receiver(name string) (r store.Receiver) {
	b.t.Helper()
	if err := b.s.View(b.t.Context(), func(v *store.View) (err error) { r, err = v.Receiver(name); return err }); err != nil {
		b.t.Fatal(err)
	}
	return r
}

// events lists what has been recorded of abandoned deliveries.
func (b *bench) events() (all []string) {
	b.t.Helper()
	err := b.s.View(b.t.Context(), func(v *store.View) error {
		rows, err := v.Outbox(0, 1000)
		for _, r := range rows {
			if strings.Contains(string(r.Body), string(event.DeliveryAbandoned)) {
				_, data, _ := strings.Cut(string(r.Body), `"data":`)
				all = append(all, strings.TrimSuffix(data, "}"))
			}
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func TestDeliveriesArriveInOrder(t *testing.T) {
	b := newBench(t)
	b.put("test:a", 2*batch+3)
	b.work()
	got := b.sent()
	if len(got) != 2*batch+3 || got[0] != "test:a j0" || got[2*batch+2] != fmt.Sprintf("test:a j%d", 2*batch+2) || !slices.IsSortedFunc(got, func(a, b string) int {
		return len(a) - len(b)
	}) {
		t.Errorf("sent %v", got)
	}
	if r := b.receiver("test:a"); r.Pending != 0 || r.Sent != 2*batch+3 || !r.LastOK.Equal(day) {
		t.Errorf("%+v", r)
	}
}

// A receiver that is down is tried with longer and longer pauses, first of all with
// what it has missed first; another one does not notice.
func TestAFailingReceiverIsTriedAgainAndDelaysNoOther(t *testing.T) {
	b := newBench(t)
	b.say = func(d store.Delivery) error {
		if d.Receiver == "test:down" {
			return errors.New("connection refused")
		}
		return nil
	}
	b.put("test:down", 3)
	b.put("test:up", 3)
	b.work()
	if got := b.sent(); len(got) != 4 {
		t.Errorf("sent %v", got)
	}
	var pauses []time.Duration
	for range 12 {
		r := b.receiver("test:down")
		pauses = append(pauses, r.Next.Sub(b.clock()))
		b.pass(r.Next.Sub(b.clock()) - time.Second)
		b.work()
		if got := b.sent(); len(got) != 0 && r.Next.Sub(b.clock()) > 0 {
			t.Fatalf("sent %v before the pause was over", got)
		}
		b.pass(time.Second)
		b.work()
		if got := b.sent(); len(got) == 0 || got[0] != "test:down j0" {
			t.Fatalf("after the pause: sent %v", got)
		}
	}
	if want := "[1s 2s 4s 8s 16s 32s 1m4s 2m8s 4m16s 8m32s 15m0s 15m0s]"; fmt.Sprint(pauses) != want {
		t.Errorf("pauses %v", pauses)
	}
	b.mu.Lock()
	b.say = nil
	b.mu.Unlock()
	b.pass(longestPause)
	b.work()
	if got := b.sent(); fmt.Sprint(got) != "[test:down j0 test:down j1 test:down j2]" {
		t.Errorf("when it is up again: %v", got)
	}
	if r := b.receiver("test:down"); r.Failures != 0 || r.Failed != 13 || r.Sent != 3 || r.Error != "connection refused" {
		t.Errorf("%+v", r)
	}
}

// What was sent and could not be noted before the process died is sent again, under
// the same jti.
func TestACrashBetweenSendingAndNotingSendsAgain(t *testing.T) {
	b := newBench(t)
	b.put("test:a", 1)
	b.say = func(store.Delivery) error { return b.s.Close() } // the process dies here
	var under sync.WaitGroup
	if err := b.w.begin(t.Context(), &under); err != nil {
		t.Fatal(err)
	}
	under.Wait()
	b.say = nil
	b.start()
	b.work()
	if got := fmt.Sprint(b.sent()); got != "[test:a j0 test:a j0]" {
		t.Errorf("sent %s", got)
	}
}

func TestARefusedDeliveryIsTheLastOfIt(t *testing.T) {
	b := newBench(t)
	b.put("test:a", 3)
	b.say = func(d store.Delivery) error {
		if d.JTI == "j1" {
			return &Refused{Why: "400: unknown\nsubject"}
		}
		return nil
	}
	b.work()
	if r := b.receiver("test:a"); r.Sent != 2 || r.Refused != 1 || r.Pending != 0 || r.Error != "400: unknown subject" {
		t.Errorf("%+v", r)
	}
	if got := fmt.Sprint(b.events()); got != `[{"count":"1","reason":"refused","receiver":"test:a"}]` {
		t.Errorf("recorded %s", got)
	}
}

func TestAReceiverThatIsNoMoreIsForgotten(t *testing.T) {
	b := newBench(t)
	b.put("test:a", 40)
	b.say = func(store.Delivery) error { return &Refused{Why: "no such application", Gone: true} }
	b.work()
	if got := fmt.Sprint(b.events()); got != `[{"count":"40","oldest":"2026-11-27T09:00:00Z","reason":"receiver_gone","receiver":"test:a"}]` {
		t.Errorf("recorded %s", got)
	}
	if n := len(b.sent()); n != 1 {
		t.Errorf("%d were sent", n)
	}
}

func TestAReceiverMayAskForTimeWithinBounds(t *testing.T) {
	for _, c := range []struct{ asked, want time.Duration }{{0, time.Second}, {90 * time.Second, 90 * time.Second}, {48 * time.Hour, longestAsked}} {
		b := newBench(t)
		b.put("test:a", 1)
		b.say = func(store.Delivery) error { return &Later{Why: "503", After: c.asked} }
		b.work()
		if got := b.receiver("test:a").Next.Sub(day); got != c.want {
			t.Errorf("asked for %s: %s", c.asked, got)
		}
	}
}

// One delivery that a receiver cannot digest does not keep all that is behind it.
func TestADeliveryThatFailsAloneIsGivenUp(t *testing.T) {
	b := newBench(t)
	b.put("test:a", 3)
	b.say = func(d store.Delivery) error {
		if d.JTI == "j0" {
			return &Later{Why: "500"}
		}
		return nil
	}
	for range poison {
		b.work()
		b.pass(longestPause)
	}
	if r := b.receiver("test:a"); r.Sent != 2 || r.Pending != 0 || r.Refused != 1 {
		t.Errorf("%+v", r)
	}
	if got := fmt.Sprint(b.events()); got != `[{"count":"1","reason":"keeps_failing","receiver":"test:a"}]` {
		t.Errorf("recorded %s", got)
	}
}

// A receiver that is away for longer than its deliveries are kept loses the oldest, and
// the trail says so.
func TestWhatIsTooOldOrTooMuchIsGivenUpAloud(t *testing.T) {
	b := newBench(t)
	b.w.Limits = Limits{Age: 72 * time.Hour, Count: 4}
	b.say = func(store.Delivery) error { return errors.New("down") }
	b.put("test:a", 6)
	b.work()
	b.pass(time.Hour)
	if err := b.w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.pass(72 * time.Hour)
	if err := b.w.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := b.receiver("test:a"); r.Pending != 0 || r.Abandoned != 6 {
		t.Errorf("%+v", r)
	}
	want := `[{"count":"2","oldest":"2026-11-27T09:00:00Z","reason":"too_many","receiver":"test:a"} {"count":"4","oldest":"2026-11-27T09:00:00Z","reason":"too_old","receiver":"test:a"}]`
	if got := fmt.Sprint(b.events()); got != want {
		t.Errorf("recorded %s", got)
	}
}

// However many receivers hang, another one is served meanwhile.
func TestReceiversThatHangLeaveRoom(t *testing.T) {
	b := newBench(t)
	release := make(chan struct{})
	arrived := make(chan string, 10)
	b.say = func(d store.Delivery) error {
		if strings.HasPrefix(d.Receiver, "test:hangs") {
			<-release
			return errors.New("timeout")
		}
		arrived <- d.Receiver
		return nil
	}
	for i := range 2 * atOnce {
		r := fmt.Sprintf("test:hangs%d", i)
		b.put(r, 1)
		b.update(func(tx *store.Tx) error { return tx.DeliveryFailed(r, "j0", "timeout", day, day) })
	}
	var under sync.WaitGroup
	if err := b.w.begin(t.Context(), &under); err != nil {
		t.Fatal(err)
	}
	b.put("test:fine", 1)
	if err := b.w.begin(t.Context(), &under); err != nil {
		t.Fatal(err)
	}
	<-arrived
	close(release)
	under.Wait()
	if n := len(b.sent()); n != failing+1 {
		t.Errorf("%d were sent, of which %d may have failed", n, failing)
	}
}

// Run sends what was put as soon as it is told, and stops with nothing under way: what
// is interrupted counts as nobody's failure.
func TestRunStopsWithNothingUnderWay(t *testing.T) {
	b := newBench(t)
	ctx, stop := context.WithCancel(t.Context())
	begun := make(chan struct{})
	b.w.Senders["test"] = sender(func(ctx context.Context, _ store.Delivery) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	})
	done := make(chan struct{})
	go func() { b.w.Run(ctx); close(done) }()
	b.put("test:a", 1)
	b.w.Wake()
	<-begun
	stop()
	<-done
	if r := b.receiver("test:a"); r.Failures != 0 || r.Pending != 1 {
		t.Errorf("%+v", r)
	}
}

type sender func(context.Context, store.Delivery) error

func (s sender) Send(ctx context.Context, d store.Delivery) error { return s(ctx, d) }
