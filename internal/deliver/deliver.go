// Package deliver sends what the outbox has written down for others, each receiver's
// in its order and at least once: again with longer and longer pauses while it does
// not arrive, for days, whatever this process dies of meanwhile.
//
// A receiver that hangs or fails costs nobody but itself: one delivery at a time is
// sent to each, to a bounded number of receivers at once, of which those that fail
// take half at most. A row for each receiver remembers how it goes, and is its circuit
// breaker: after a failure nothing is sent until its pause is over, then one delivery.
package deliver

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Sender sends one delivery. It must end soon after ctx does.
//
// nil: it has arrived. *Refused: it never will. *Later: not before some time. *Stopped:
// not before an administrator says so. Any other error: again, after a pause.
type Sender interface {
	Send(ctx context.Context, d store.Delivery) error
}

// Refused says that sending it again is of no use.
type Refused struct {
	Why  string // for the administrator
	Gone bool   // the receiver is no more: nothing that waits for it is of use
}

func (e *Refused) Error() string { return e.Why }

// Later says when the receiver asked to be tried again (RFC 9110 section 10.2.3).
type Later struct {
	Why   string
	After time.Duration
}

func (e *Later) Error() string { return e.Why }

// Stopped says that the receiver wants nothing any more. What is for it waits, and is
// given up in the end, until an administrator lets it be sent again.
type Stopped struct{ Why string }

func (e *Stopped) Error() string { return e.Why }

// The pauses after failures.
const (
	firstPause   = time.Second
	longestPause = 15 * time.Minute
	longestAsked = time.Hour // the longest that a receiver may put us off
)

// What is sent at once.
const (
	atOnce  = 16 // receivers
	failing = atOnce / 2
	batch   = 32              // deliveries to one receiver before its next turn
	turn    = 2 * time.Second // after which a receiver lets others go first, and what arrived is noted
)

// poison is how often a delivery is tried before the one behind it is tried, too: if
// that arrives, it is this delivery that fails and not its receiver.
const poison = 10

// Limits are how much waits for one receiver, before the oldest is given up.
type Limits struct {
	Age   time.Duration
	Count int64
}

// DefaultLimits are three days, and what the end of a very large connection comes to.
func DefaultLimits() Limits { return Limits{Age: 72 * time.Hour, Count: 100_000} }

// Config is what a Worker works with. Store, Now and Senders are required.
type Config struct {
	Store   *store.Store
	Now     func() time.Time
	Senders map[string]Sender // by kind; what nobody sends waits for whoever comes for it
	Limits  Limits            // zero: the default
	Jitter  func() float64    // from 0 to 1; nil: random
	Observe func(error)       // is told what could not be read or noted; nil: nobody listens
	// Node names this run of the node, where others send, too: it claims each receiver for
	// a turn, and for claimed after it dies. "": it is alone, and claims nothing.
	Node string
}

const (
	// claimed is how long a claim lasts, by the database's clock: longer than a turn can take.
	claimed = 30 * time.Second
	// attempt is longer than one delivery can take: none is begun so late in a claim that another
	// node's could overtake it.
	attempt = 10 * time.Second
)

// Worker sends. It is made by New, and Run does the work.
type Worker struct {
	Config
	wake chan struct{}

	mu      sync.Mutex // guards what follows
	sending map[string]bool
	failing int // of those, how many have failed last
	turns   map[string]time.Time
	held    map[string]time.Time // what arrived could not be noted: nothing is sent before
}

// unnoted is how long nothing is sent to a receiver after it could not be noted what
// had arrived there: what is sent again meanwhile would be what it has already.
const unnoted = time.Minute

// New makes a worker.
func New(c Config) *Worker {
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits()
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	if c.Observe == nil {
		c.Observe = func(error) {}
	}
	return &Worker{Config: c, wake: make(chan struct{}, 1), sending: map[string]bool{}, turns: map[string]time.Time{}, held: map[string]time.Time{}}
}

// Wake says that there may be something to send.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default: // it has been told already
	}
}

// poll is how often the queues are looked at even though nobody said that there is something.
const poll = time.Second

// sweepEvery is how often queues are held against their limits.
const sweepEvery = time.Minute

// Run sends until ctx ends, and returns when nothing is under way any more. What is
// interrupted is sent again at the next start.
func (w *Worker) Run(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var swept time.Time
	for {
		if now := w.Now(); now.Sub(swept) >= sweepEvery {
			swept = now
			w.note(ctx, w.Sweep(ctx))
		}
		w.note(ctx, w.begin(ctx, &under))
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-tick.C:
		}
	}
}

func (w *Worker) note(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		w.Observe(err)
	}
}

// looked is how many receivers with something to send are looked at.
const looked = 1000

// begin starts a turn of every receiver that is ready, as far as there is room.
func (w *Worker) begin(ctx context.Context, under *sync.WaitGroup) error {
	var ready []store.Receiver
	err := w.Store.View(ctx, func(v *store.View) (err error) { ready, err = v.ReadyReceivers(w.Now(), looked); return err })
	if err != nil {
		return err
	}
	chosen := w.choose(ready)
	asked := w.Now()
	ours, err := w.claim(ctx, chosen)
	for _, r := range chosen {
		now, mine := ours[r.Name]
		if !mine {
			w.done(r, nil)
			continue
		}
		under.Go(func() {
			progress, err := w.serve(ctx, now, asked)
			w.done(r, err)
			if progress {
				w.Wake() // there may be more
			}
			w.note(ctx, err)
		})
	}
	return err
}

// claim gives those of the chosen that no other node sends to, as they are now.
func (w *Worker) claim(ctx context.Context, chosen []store.Receiver) (ours map[string]store.Receiver, err error) {
	names := make([]string, len(chosen))
	for i, r := range chosen {
		names[i] = r.Name
	}
	if w.Node != "" && len(chosen) > 0 {
		err = w.Store.Update(ctx, func(tx *store.Tx) (err error) {
			chosen, err = tx.ClaimReceivers(w.Node, names, w.Now(), claimed)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	ours = make(map[string]store.Receiver, len(chosen))
	for _, r := range chosen {
		ours[r.Name] = r
	}
	return ours, nil
}

// choose takes whose turn it is: who does not fail first, then who waits longest.
func (w *Worker) choose(ready []store.Receiver) []store.Receiver {
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortStableFunc(ready, func(a, b store.Receiver) int {
		if fails := boolOf(a.Failures > 0) - boolOf(b.Failures > 0); fails != 0 {
			return fails
		}
		return w.turns[a.Name].Compare(w.turns[b.Name])
	})
	var chosen []store.Receiver
	for _, r := range ready {
		if w.sending[r.Name] || w.Senders[r.Kind] == nil || w.Now().Before(w.held[r.Name]) || len(w.sending) >= atOnce || r.Failures > 0 && w.failing >= failing {
			continue
		}
		w.sending[r.Name], w.turns[r.Name] = true, w.Now()
		w.failing += boolOf(r.Failures > 0)
		chosen = append(chosen, r)
	}
	return chosen
}

func (w *Worker) done(r store.Receiver, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.held, r.Name)
	if err != nil {
		w.held[r.Name] = w.Now().Add(unnoted)
	}
	delete(w.sending, r.Name)
	w.failing -= boolOf(r.Failures > 0)
}

func boolOf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// pause is how long nothing is sent after that many failures in a row.
func (w *Worker) pause(failures int64, asked time.Duration) time.Duration {
	full := longestPause
	if failures < 20 {
		full = min(firstPause<<(max(failures, 1)-1), longestPause)
	}
	half := full / 2
	return max(half+time.Duration(w.Jitter()*float64(half)), min(asked, longestAsked))
}

// reasonOf is what the administrator reads of an attempt in vain: short, on one line.
func reasonOf(err error) string {
	text := fault.DetailOf(err)
	if text == "" {
		text = err.Error()
	}
	return Legible(text)
}

// maxReason bounds what is kept of why an attempt came to nothing, in bytes.
const maxReason = 300

// Legible is a text of somebody else's as we keep it: printable, short and on one line.
func Legible(text string) string {
	var b []byte
	for _, r := range text {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			r = ' '
		}
		if b = append(b, string(r)...); len(b) >= maxReason {
			break
		}
	}
	return string(b)
}
