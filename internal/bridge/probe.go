package bridge

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// Voucher is an identity provider that can be asked whether a sign-in still stands:
// *upstream.Upstreams.
type Voucher interface {
	// Staleness is how often it is asked, and how long a session lives on unanswered.
	Staleness(c access.ConnectionID) (every, grace time.Duration)
	// Renew asks: see upstream.Upstreams.Renew.
	Renew(ctx context.Context, c access.ConnectionID, refresh secret.String, subject string) (upstream.Renewal, error)
}

// Probes is what asking identity providers about sessions needs. The zero Probes ask nobody.
type Probes struct {
	Voucher Voucher
	Key     credential.UpstreamKey
	// Asked is told what came of each question: "stands", "refused" or "unanswered"; nil:
	// nobody listens.
	Asked func(c access.ConnectionID, outcome string)
}

const (
	probeChunk    = 256 // questions of one round
	probesAtOnce  = 8
	probeTick     = 5 * time.Second
	probeTime     = 15 * time.Second // of one question, discovery included
	leastReAsking = time.Minute
	probeClaimed  = 10 * time.Minute // for how long a node that may die keeps others from asking: longer than a round
)

// What comes of a question.
const (
	probeStands     = "stands"
	probeRefused    = "refused"
	probeUnanswered = "unanswered"
)

// RunProbes asks identity providers about sessions until ctx ends. Whatever it has not
// done when the process dies is due ten minutes after it was claimed.
func (b *Bridge) RunProbes(ctx context.Context) {
	if b.probes.Voucher == nil {
		return
	}
	tick := time.NewTicker(probeTick)
	defer tick.Stop()
	for {
		for more := true; more && ctx.Err() == nil; {
			asked, err := b.Probe(ctx)
			b.note("bridge.Probe", err)
			more = err == nil && asked == probeChunk
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Probe is one round: it asks about the sessions that are due, at most 256 and eight at
// a time, and says about how many. A provider that did not answer for one session is not
// asked about the others in the same round.
func (b *Bridge) Probe(ctx context.Context) (int, error) {
	now := b.now()
	var due []store.UpstreamToken
	err := b.store.Update(ctx, func(tx *store.Tx) (err error) {
		if _, err = tx.DropUpstreamTokens(now, probeChunk); err == nil {
			due, err = tx.ClaimUpstreamTokens(now, now.Add(probeClaimed), probeChunk)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	round := &probeRound{b: b, silent: map[access.ConnectionID]error{}}
	places := make(chan struct{}, probesAtOnce)
	var all sync.WaitGroup
	for _, t := range due {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			b.note("bridge.Probe", round.ask(ctx, t))
		})
	}
	all.Wait()
	return len(due), nil
}

// probeRound remembers which providers were silent.
type probeRound struct {
	b  *Bridge
	mu sync.Mutex // guards silent

	silent map[access.ConnectionID]error
}

func (r *probeRound) silence(c access.ConnectionID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.silent[c]
}

// hush remembers that a connection's provider gave no answer, and says whether that was
// news in this round. What one session alone is to blame for silences nobody else.
func (r *probeRound) hush(c access.ConnectionID, err error) (news bool) {
	if !fault.Is(err, fault.Unavailable) && fault.ReasonOf(err) != upstream.ReasonSetUp {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	news = r.silent[c] == nil
	r.silent[c] = err
	return news
}

// ask asks about one session and does what the answer means.
func (r *probeRound) ask(ctx context.Context, t store.UpstreamToken) error {
	b := r.b
	every, grace := b.probes.Voucher.Staleness(t.Connection)
	if every <= 0 { // it is not asked any more; what it handed out stays until the session ends
		return b.askedAgain(ctx, t.Session, t.Proved, b.now().Add(time.Hour))
	}
	answer, err := r.renew(ctx, t)
	switch {
	case ctx.Err() != nil:
		return nil // it is due when its claim is over
	case err == nil:
		b.probed(t.Connection, probeStands)
		return b.vouched(ctx, t, every, answer.Until)
	case fault.ReasonOf(err) == upstream.ReasonRefused:
		b.probed(t.Connection, probeRefused)
		return b.EndSession(ctx, t.Session, session.EndIdPRefused, event.ByIdP)
	case fault.ReasonOf(err) == upstream.ReasonOver:
		b.probed(t.Connection, probeRefused)
		return b.EndSession(ctx, t.Session, session.EndIdPExpired, event.ByIdP)
	}
	b.probed(t.Connection, probeUnanswered)
	if r.hush(t.Connection, err) {
		b.note("bridge.Probe", err)
	}
	now := b.now()
	if grace > 0 && now.Sub(t.Proved) >= grace {
		return b.EndSession(ctx, t.Session, session.EndIdPSilent, event.ByBridge)
	}
	return b.askedAgain(ctx, t.Session, t.Proved, now.Add(jittered(max(every/4, leastReAsking))))
}

// renew shows the provider its token. One that comes in its place is kept before
// anything else is done: a provider that rotates ends the sign-in if the old one is
// shown again.
func (r *probeRound) renew(ctx context.Context, t store.UpstreamToken) (upstream.Renewal, error) {
	b := r.b
	if err := r.silence(t.Connection); err != nil {
		return upstream.Renewal{}, err
	}
	token, err := b.probes.Key.Open(t.Sealed, t.Session)
	if err != nil {
		return upstream.Renewal{}, err
	}
	var row store.SessionRow
	if err := b.store.View(ctx, func(v *store.View) (err error) { row, err = v.Session(t.Session); return err }); err != nil {
		return upstream.Renewal{}, err
	}
	asking, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	answer, err := b.probes.Voucher.Renew(asking, t.Connection, token, row.Upstream.Subject)
	if answer.Refresh.Empty() {
		return answer, err
	}
	sealed, errSeal := b.probes.Key.Seal(answer.Refresh, t.Session)
	if errSeal != nil {
		return answer, errSeal
	}
	t.Sealed = sealed
	errKeep := b.store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.PutUpstreamToken(t) })
	if errKeep != nil {
		return answer, errKeep
	}
	return answer, err
}

// vouched notes that the provider vouches for a session, until when it says.
func (b *Bridge) vouched(ctx context.Context, t store.UpstreamToken, every time.Duration, until time.Time) error {
	now := b.now()
	return b.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.UpstreamAsked(t.Session, now, now.Add(jittered(every))); err != nil {
			return err
		}
		row, err := tx.Session(t.Session)
		if err != nil || row.State == session.Ended || until.IsZero() || !until.Before(row.Expires) {
			return err
		}
		row.Expires = until
		return tx.UpdateSession(row.Session, nil)
	})
}

func (b *Bridge) askedAgain(ctx context.Context, id session.ID, proved, due time.Time) error {
	return b.store.Update(ctx, func(tx *store.Tx) error { return tx.UpstreamAsked(id, proved, due) })
}

func (b *Bridge) probed(c access.ConnectionID, outcome string) {
	if b.probes.Asked != nil {
		b.probes.Asked(c, outcome)
	}
}

// keepUpstreamToken keeps the refresh token that came with a sign-in, if the provider
// is to be asked by it.
func (c *change) keepUpstreamToken(p Probes, id session.ID, token secret.String) error {
	if p.Voucher == nil || token.Empty() {
		return nil
	}
	every, _ := p.Voucher.Staleness(c.conn)
	if every <= 0 {
		return nil
	}
	sealed, err := p.Key.Seal(token, id)
	if err != nil {
		return err
	}
	return c.tx.PutUpstreamToken(store.UpstreamToken{Session: id, Sealed: sealed, Proved: c.now, Due: c.now.Add(jittered(every))})
}

// jittered is a duration up to a tenth shorter, so that people who came together are
// not asked about together.
func jittered(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/10+1)) //nolint:gosec // no secret
}

// Unproved lists the connections whose identity provider is asked about sessions, and
// since when it has not answered about one of them.
func (b *Bridge) Unproved(ctx context.Context) (all []store.Unproved, err error) {
	err = b.store.View(ctx, func(v *store.View) (err error) { all, err = v.Unproved(); return err })
	return all, err
}
