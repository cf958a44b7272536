package inbound

import (
	"context"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

const (
	receiverTick = time.Second
	turnsAtOnce  = 8
	turnTime     = 30 * time.Second // of one turn, all its requests included
	checkEvery   = time.Hour        // how often a transmitter is asked what has become of a stream
	verifyEvery  = 6 * time.Hour
	// verifiedWithin is how long a verification may be under way before the stream is mended.
	verifiedWithin = 30 * time.Minute
	lastBackOff    = 5 * time.Minute
	abandonEvery   = time.Hour // how often the removal of what the configuration has forgotten is tried
	maxPollRounds  = 20        // of one turn
	mostSETs       = 50        // of one poll
)

// ReceiverConfig is what a Receiver uses. All fields but Prove, Counted and Observe are
// needed.
type ReceiverConfig struct {
	Base    string       // origin, without a trailing slash
	Client  *http.Client // the one egress client
	Ends    Ends
	Streams Streams
	Now     func() time.Time
	// Prove makes the assertions by which the bridge proves itself as an OAuth client of
	// transmitters (RFC 7523); nil: none asks for private_key_jwt.
	Prove func(clientID, audience string, now time.Time) (string, error)
	// Counted is told what came of each signal of a known connection.
	Counted func(c access.ConnectionID, kind, outcome string)
	// Observe hears of every error once.
	Observe func(ctx context.Context, err error)
}

// Receiver receives signals: it keeps a stream at each transmitter, polls those that are
// polled, and serves the endpoint that the others push to. Make it with NewReceiver.
type Receiver struct {
	ReceiverConfig
	listeners atomic.Pointer[map[access.ConnectionID]*listener]
	places    chan struct{}

	mu        sync.Mutex // guards what follows
	abandoned time.Time  // when removing forgotten streams was last tried
}

// listener is one connection's.
type listener struct {
	transmitter
	busy    chan struct{} // one turn at a time; it guards transmitter and these
	settled bool          // this process has confirmed the stream as it is configured now
	most    int           // SETs of the next poll

	mu      sync.Mutex // guards what follows
	due     time.Time
	wait    time.Duration // since the last turn in vain
	failing error         // why the last turn was; nil: it was not
	since   time.Time     // the first of those turns
	keys    *assertion.KeySet
	keysAt  string
}

// NewReceiver makes a Receiver that listens to these.
func NewReceiver(c ReceiverConfig, all []Listening) *Receiver {
	r := &Receiver{ReceiverConfig: c, places: make(chan struct{}, turnsAtOnce)}
	r.listeners.Store(&map[access.ConnectionID]*listener{})
	r.Prepare(all)()
	return r
}

// Prepare gets others ready; put puts them in the place of those that were. What is known
// of a transmitter that stays as it is stays known. One Prepare at a time.
func (r *Receiver) Prepare(all []Listening) (put func()) {
	next := make(map[access.ConnectionID]*listener, len(all))
	was := *r.listeners.Load()
	for _, l := range all {
		if old := was[l.Connection]; old != nil && reflect.DeepEqual(old.Listening, l) {
			next[l.Connection] = old
			continue
		}
		next[l.Connection] = &listener{transmitter: transmitter{Listening: l, client: r.Client, prove: r.Prove}, busy: make(chan struct{}, 1), most: mostSETs}
	}
	return func() {
		r.listeners.Store(&next)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.abandoned = time.Time{} // what is forgotten now is removed at the next round
	}
}

// Routes puts the endpoint that transmitters push to on mux.
func (r *Receiver) Routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /connect/{connection}/events", r.servePush)
}

// Standing says why a connection's stream cannot be kept or read now, and since when; nil
// if it can.
func (r *Receiver) Standing(c access.ConnectionID) (since time.Time, failing error) {
	l := (*r.listeners.Load())[c]
	if l == nil {
		return time.Time{}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since, l.failing
}

// Listens reports whether signals of a connection's identity provider are received.
func (r *Receiver) Listens(c access.ConnectionID) bool {
	return (*r.listeners.Load())[c] != nil
}

// Run keeps streams and polls until ctx ends. Whatever it has not done when the process
// dies is done at the next start: a signal is acknowledged when what it asks for is durable.
func (r *Receiver) Run(ctx context.Context) {
	var turns sync.WaitGroup
	defer turns.Wait()
	tick := time.NewTicker(receiverTick)
	defer tick.Stop()
	for {
		r.begin(ctx, &turns)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Round has one turn of every listener that is due, and waits for them.
func (r *Receiver) Round(ctx context.Context) {
	var turns sync.WaitGroup
	r.begin(ctx, &turns)
	turns.Wait()
}

// begin begins the turns that are due; one that still goes on is not begun again.
func (r *Receiver) begin(ctx context.Context, turns *sync.WaitGroup) {
	now := r.Now()
	for _, l := range *r.listeners.Load() {
		if !l.begin(now) {
			continue
		}
		turns.Go(func() {
			defer func() { <-l.busy }()
			select {
			case r.places <- struct{}{}:
				defer func() { <-r.places }()
				r.turn(ctx, l)
			case <-ctx.Done():
			}
		})
	}
	r.mu.Lock()
	due := !now.Before(r.abandoned.Add(abandonEvery))
	if due {
		r.abandoned = now
	}
	r.mu.Unlock()
	if due {
		turns.Go(func() { r.abandon(ctx) })
	}
}

func (l *listener) begin(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.due) {
		return false
	}
	select {
	case l.busy <- struct{}{}:
		return true
	default:
		return false
	}
}

// turn confirms the stream where that is due, polls where it is polled, and says when the
// next turn is.
func (r *Receiver) turn(ctx context.Context, l *listener) {
	now := r.Now()
	within, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	err := r.attend(within, l, now)
	if ctx.Err() != nil {
		return // the bridge stops: nothing failed
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.wait, l.failing, l.since = 0, nil, time.Time{}
		l.due = now.Add(l.pause())
		return
	}
	if l.failing == nil {
		l.since = now
	}
	l.failing = err
	l.wait = min(max(2*l.wait, l.Every), lastBackOff)
	l.due = now.Add(l.wait)
	r.observe(ctx, err)
}

// pause is how long a listener rests between two turns that went well.
func (l *listener) pause() time.Duration {
	if l.Push {
		return time.Minute
	}
	return l.Every
}

func (r *Receiver) attend(ctx context.Context, l *listener, now time.Time) error {
	s, err := r.settled(ctx, l, now)
	if err != nil || l.Push || s.Status == ssf.Disabled {
		return err
	}
	err = r.pollAll(ctx, l, s, now)
	if fault.Is(err, fault.NotFound) { // the next turn finds out what has become of it
		l.settled = false
	}
	return err
}

func (r *Receiver) observe(ctx context.Context, err error) {
	if r.Observe != nil && err != nil {
		r.Observe(ctx, err)
	}
}

func (r *Receiver) count(c access.ConnectionID, outcome string) {
	if r.Counted != nil {
		r.Counted(c, KindSignal, outcome)
	}
}

// pollAll fetches what waits, and acknowledges what was applied with the next request, or
// with one that fetches nothing. What could not be judged or done now is neither
// acknowledged nor refused: it comes again.
func (r *Receiver) pollAll(ctx context.Context, l *listener, s Stream, now time.Time) error {
	ask := pollAsk{Max: l.most}
	for range maxPollRounds {
		got, err := l.poll(ctx, now, s.Endpoint, ask)
		if fault.Is(err, fault.Limited) { // fewer fit into one answer
			l.most = max(l.most/2, 1)
		}
		if err != nil {
			return err
		}
		l.most = mostSETs
		ask = pollAsk{Max: mostSETs}
		r.apply(ctx, l, got.SETs, &ask)
		if !got.More || len(ask.Ack)+len(ask.Errors) == 0 {
			break
		}
	}
	if len(ask.Ack)+len(ask.Errors) > 0 {
		ask.Max = 0
		if _, err := l.poll(ctx, now, s.Endpoint, ask); err != nil {
			return err
		}
	}
	if now.Sub(s.Polled) < time.Minute {
		return nil
	}
	return r.Streams.ChangeIdPStream(ctx, l.Connection, func(kept *Stream) { kept.Polled = now })
}

// abandon removes the streams that the configuration has forgotten, at their transmitters
// and here. One whose transmitter does not answer is tried again.
func (r *Receiver) abandon(ctx context.Context) {
	all, err := r.Streams.IdPStreams(ctx)
	if err != nil {
		r.observe(ctx, err)
		return
	}
	for _, s := range all {
		if (*r.listeners.Load())[s.Connection] == nil {
			r.observe(ctx, r.forget(ctx, s))
		}
	}
}

// forget removes one stream. A transmitter that does not know it any more, or refuses to
// say, is asked no more.
func (r *Receiver) forget(ctx context.Context, s Stream) error {
	within, cancel := context.WithTimeout(ctx, turnTime)
	defer cancel()
	now := r.Now()
	t := transmitter{Listening: Listening{Connection: s.Connection, Issuer: s.Issuer, Access: s.Access}, client: r.Client, prove: r.Prove}
	var err error
	if s.ID != "" { // it was made
		if err = t.discover(within, now); err == nil {
			err = t.remove(within, now, s.ID)
		}
	}
	if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Limited) || ctx.Err() != nil {
		return err
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		r.observe(ctx, err)
	}
	return r.Streams.DropIdPStream(ctx, s.Connection)
}
