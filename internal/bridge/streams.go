package bridge

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// KindSignal is the kind of deliveries that are signals.
const KindSignal = "signal"

// Streams is what streams of signals need beside the store.
type Streams struct {
	// AtRest seals what receivers want to be authenticated with.
	AtRest credential.AtRestKey
	// EndpointAllowed refuses addresses that signals may not be pushed to; nil: none is
	// refused before it is called.
	EndpointAllowed func(ctx context.Context, url string) error
	// Deliver is called when deliveries were written; nil: nobody waits.
	Deliver func()
}

// receiverOf is what a stream is called as a receiver of deliveries.
func receiverOf(stream string) string { return "stream:" + stream }

// headerPlace is where a stream's authorization header is sealed for.
func headerPlace(stream string) string { return "streams|" + stream + "|header" }

// shown is a stored stream as the protocol has it.
func (b *Bridge) shown(s store.Stream) ssf.Stream {
	return ssf.Stream{ID: s.ID, Client: s.Client, Method: s.Method, Endpoint: s.Endpoint, Requested: s.Requested, Description: s.Description,
		Status: ssf.Status(s.Status), Reason: s.Reason, Created: s.Created, Wide: b.clients[s.Client].SignalsWide}
}

// streamOf finds a client's stream. The id "" means whichever it has; another client's
// is fault.NotFound.
func streamOf(v *store.View, client oidc.Client, id string) (store.Stream, error) {
	s, err := v.StreamOf(client.ID)
	if err == nil && id != "" && s.ID != id {
		err = fault.New(fault.NotFound, "bridge.streamOf", "the stream is not this receiver's")
	}
	return s, err
}

// Stream finds a receiver's stream.
func (b *Bridge) Stream(ctx context.Context, client oidc.Client, id string) (ssf.Stream, error) {
	var s store.Stream
	err := b.store.View(ctx, func(v *store.View) (err error) {
		s, err = streamOf(v, client, id)
		return err
	})
	if now := b.now(); err == nil && now.Sub(s.Active) >= activeTo {
		err = b.store.Update(ctx, func(tx *store.Tx) error { return tx.StreamActive(s.ID, now) })
	}
	return b.shown(s), err
}

// activeTo is how exactly it is kept when a receiver last looked at its stream.
const activeTo = time.Hour

// CreateStream makes a receiver's stream.
func (b *Bridge) CreateStream(ctx context.Context, client oidc.Client, w ssf.Wish) (ssf.Stream, error) {
	if err := b.mayPush(ctx, w); err != nil {
		return ssf.Stream{}, err
	}
	now := b.now()
	fresh := store.Stream{ID: credential.NewID("str"), Client: client.ID, Status: string(ssf.Enabled), Created: now}
	s, err := b.wished(fresh, w, now)
	if err != nil {
		return ssf.Stream{}, err
	}
	err = b.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.InsertStream(s); err != nil {
			return err
		}
		return b.keepStream(ctx, tx, s, event.StreamCreated, now)
	})
	if fault.Is(err, fault.Conflict) {
		err = fault.New(fault.Conflict, "bridge.CreateStream", "This receiver has a stream already: change that one.")
	}
	return b.shown(s), err
}

// ChangeStream carries a wish out, unless agrees refuses the stream as it stands.
func (b *Bridge) ChangeStream(ctx context.Context, client oidc.Client, id string, w ssf.Wish, agrees func(ssf.Stream) error) (ssf.Stream, error) {
	if err := b.mayPush(ctx, w); err != nil {
		return ssf.Stream{}, err
	}
	now := b.now()
	var s store.Stream
	err := b.store.Update(ctx, func(tx *store.Tx) error {
		was, err := streamOf(&tx.View, client, id)
		if err == nil {
			err = agrees(b.shown(was))
		}
		if err != nil {
			return err
		}
		if s, err = b.wished(was, w, now); err != nil {
			return err
		}
		if err := tx.UpdateStream(s); err != nil {
			return err
		}
		return b.keepStream(ctx, tx, s, event.StreamChanged, now)
	})
	return b.shown(s), err
}

// DeleteStream removes a receiver's stream with all that waits in it.
func (b *Bridge) DeleteStream(ctx context.Context, client oidc.Client, id string) error {
	return b.store.Update(ctx, func(tx *store.Tx) error {
		s, err := streamOf(&tx.View, client, id)
		if err != nil {
			return err
		}
		if _, err := tx.DropReceiver(receiverOf(s.ID)); err != nil {
			return err
		}
		if err := tx.DeleteStream(s.ID); err != nil {
			return err
		}
		return tx.Append(streamEvent(ctx, event.StreamDeleted, s, b.now()))
	})
}

// SetStreamStatus is what the receiver wants the stream's status to be. Held events are
// sent when it is enabled again; those of a stream that is disabled are dropped.
func (b *Bridge) SetStreamStatus(ctx context.Context, client oidc.Client, w ssf.StatusWish) (ssf.Stream, error) {
	now := b.now()
	var s store.Stream
	err := b.store.Update(ctx, func(tx *store.Tx) (err error) {
		if s, err = streamOf(&tx.View, client, w.Stream); err != nil {
			return err
		}
		s.Status, s.Reason, s.Changed, s.Active = string(w.Status), w.Reason, now, now
		if err := tx.UpdateStream(s); err != nil {
			return err
		}
		if w.Status == ssf.Disabled {
			if _, err := tx.DropReceiver(receiverOf(s.ID)); err != nil {
				return err
			}
		}
		return b.keepStream(ctx, tx, s, event.StreamChanged, now)
	})
	b.DeliveriesWritten() // polls that wait look again
	return b.shown(s), err
}

// wished is a stored stream after a wish.
func (b *Bridge) wished(s store.Stream, w ssf.Wish, now time.Time) (store.Stream, error) {
	next := w.On(b.shown(s))
	s.Method, s.Endpoint, s.Requested, s.Description, s.Changed, s.Active = next.Method, next.Endpoint, next.Requested, next.Description, now, now
	if w.Method == nil {
		return s, nil
	}
	var err error
	s.Header, err = b.streams.AtRest.Seal(w.Authorization, headerPlace(s.ID))
	return s, err
}

// mayPush refuses an endpoint that a push would not reach.
func (b *Bridge) mayPush(ctx context.Context, w ssf.Wish) error {
	if w.Endpoint == "" || b.streams.EndpointAllowed == nil {
		return nil
	}
	if err := b.streams.EndpointAllowed(ctx, w.Endpoint); err != nil {
		b.observe("bridge.mayPush", err)
		return fault.New(fault.Invalid, "bridge.mayPush", "Events cannot be pushed to delivery.endpoint_url: it is not https, or does not lead to a public address.")
	}
	return nil
}

// keepStream lets the worker push what the stream is to be pushed, and nothing else; and
// records that it has changed.
func (b *Bridge) keepStream(ctx context.Context, tx *store.Tx, s store.Stream, t event.Type, now time.Time) error {
	pushed := s.Method == ssf.Push && s.Status == string(ssf.Enabled)
	if err := tx.PauseReceiver(receiverOf(s.ID), KindSignal, !pushed); err != nil {
		return err
	}
	return tx.Append(streamEvent(ctx, t, s, now))
}

func streamEvent(ctx context.Context, t event.Type, s store.Stream, now time.Time) event.Event {
	return event.Event{Type: t, Actor: event.ByClient, At: now, Request: RequestID(ctx),
		Data: map[string]string{"stream": s.ID, "client": string(s.Client), "method": s.Method, "status": s.Status}}
}

// RemoveSubject makes a stream silent about a subject.
func (b *Bridge) RemoveSubject(ctx context.Context, client oidc.Client, stream string, about ssf.Subject) error {
	return b.store.Update(ctx, func(tx *store.Tx) error {
		s, err := streamOf(&tx.View, client, stream)
		if err != nil {
			return err
		}
		now := b.now()
		if err := tx.StreamActive(s.ID, now); err != nil {
			return err
		}
		return tx.Mute(s.ID, about.Key(), now)
	})
}

// AddSubject makes a stream tell of a subject again.
func (b *Bridge) AddSubject(ctx context.Context, client oidc.Client, stream string, about ssf.Subject) error {
	return b.store.Update(ctx, func(tx *store.Tx) error {
		s, err := streamOf(&tx.View, client, stream)
		if err != nil {
			return err
		}
		if err := tx.StreamActive(s.ID, b.now()); err != nil {
			return err
		}
		return tx.Unmute(s.ID, about.Key())
	})
}

// VerifyStream puts a verification into a stream.
func (b *Bridge) VerifyStream(ctx context.Context, client oidc.Client, stream, state string) error {
	const op = "bridge.VerifyStream"
	now := b.now()
	err := b.store.Update(ctx, func(tx *store.Tx) error {
		s, err := streamOf(&tx.View, client, stream)
		if err != nil {
			return err
		}
		if ssf.Status(s.Status) == ssf.Disabled {
			return fault.New(fault.Invalid, op, "The stream is disabled: enable it first.")
		}
		if now.Sub(s.Verified) < ssf.MinVerificationInterval {
			return fault.New(fault.Limited, op, "The stream was asked to be verified less than min_verification_interval ago.")
		}
		s.Verified, s.Active = now, now
		if err := tx.UpdateStream(s); err != nil {
			return err
		}
		d, err := b.aboutStream(s, ssf.Verification, ssf.VerificationState{State: state}, RequestID(ctx), now)
		if err != nil {
			return err
		}
		return tx.PutDeliveries([]store.Delivery{d})
	})
	if err == nil {
		b.DeliveriesWritten()
	}
	return err
}

// aboutStream is a signal about the stream itself.
func (b *Bridge) aboutStream(s store.Stream, t ssf.Type, what any, txn string, now time.Time) (store.Delivery, error) {
	set := ssf.SET{Issuer: b.url, Audience: string(s.Client), JTI: credential.NewID("set"), IssuedAt: now, Txn: txn, Subject: ssf.Opaque(s.ID), Type: t, Event: what}
	return deliveryOf(s, set, 0)
}

func deliveryOf(s store.Stream, set ssf.SET, row int64) (store.Delivery, error) {
	body, err := set.Claims()
	return store.Delivery{Receiver: receiverOf(s.ID), Kind: KindSignal, JTI: set.JTI, Event: row, Body: body, At: set.IssuedAt},
		fault.Wrap(fault.Internal, "bridge.deliveryOf", err)
}

// polls are the polls that are answered at this moment.
type polls struct {
	mu      sync.Mutex
	waiting map[string]int // by stream; guarded by mu
	written chan struct{}  // closed when deliveries were written; guarded by mu
}

// pollsAtOnce is how many polls of one stream are answered at once.
const pollsAtOnce = 2

// pollWait is how long a poll waits for a token: less than a request may take to be read.
const pollWait = 25 * time.Second

// pollLook is how often a poll looks for what another node has written.
const pollLook = 500 * time.Millisecond

func (p *polls) enter(stream string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[stream] >= pollsAtOnce {
		return false
	}
	if p.waiting == nil {
		p.waiting = map[string]int{}
	}
	p.waiting[stream]++
	return true
}

func (p *polls) leave(stream string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[stream]--; p.waiting[stream] <= 0 {
		delete(p.waiting, stream)
	}
}

// next is closed when deliveries are written after this call.
func (p *polls) next() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.written == nil {
		p.written = make(chan struct{})
	}
	return p.written
}

// DeliveriesWritten says that deliveries were written: polls that wait look for theirs.
func (b *Bridge) DeliveriesWritten() {
	b.polls.mu.Lock()
	defer b.polls.mu.Unlock()
	if b.polls.written != nil {
		close(b.polls.written)
		b.polls.written = nil
	}
	if b.streams.Deliver != nil {
		b.streams.Deliver()
	}
}

// PollStream acknowledges what a receiver names, and gives what waits, signed now.
func (b *Bridge) PollStream(ctx context.Context, client oidc.Client, stream string, p ssf.PollRequest) (ssf.PollAnswer, error) {
	const op = "bridge.PollStream"
	s, err := b.Stream(ctx, client, stream)
	if err != nil {
		return ssf.PollAnswer{}, err
	}
	if s.Method != ssf.Poll || stream == "" {
		return ssf.PollAnswer{}, fault.New(fault.NotFound, op, "the stream is not polled")
	}
	if !b.polls.enter(s.ID) {
		return ssf.PollAnswer{}, fault.New(fault.Limited, op, "Two polls of this stream are being answered already.")
	}
	defer b.polls.leave(s.ID)
	if err := b.acknowledge(ctx, s.ID, p); err != nil {
		return ssf.PollAnswer{}, err
	}
	return b.poll(ctx, client, s.ID, p)
}

// acknowledge takes out of the queue what has arrived, and what the receiver refused.
func (b *Bridge) acknowledge(ctx context.Context, stream string, p ssf.PollRequest) error {
	if len(p.Ack)+len(p.Errors) == 0 {
		return nil
	}
	now, to := b.now(), receiverOf(stream)
	return b.store.Update(ctx, func(tx *store.Tx) error {
		if len(p.Ack) > 0 {
			if _, err := tx.Delivered(to, p.Ack, now); err != nil {
				return err
			}
		}
		for _, jti := range slices.Sorted(maps.Keys(p.Errors)) {
			if _, err := tx.DeliveryRefused(to, []string{jti}, p.Errors[jti].String(), now); err != nil {
				return err
			}
		}
		return nil
	})
}

// poll waits until there is something, the wait is over or ctx ends, which is no error:
// the receiver asks again.
func (b *Bridge) poll(ctx context.Context, client oidc.Client, stream string, p ssf.PollRequest) (ssf.PollAnswer, error) {
	over := time.NewTimer(pollWait)
	defer over.Stop()
	var others <-chan time.Time // what another node writes wakes nobody here
	if b.store.Shared() {
		look := time.NewTicker(pollLook)
		defer look.Stop()
		others = look.C
	}
	for {
		next := b.polls.next()
		answer, err := b.waiting(context.WithoutCancel(ctx), client, stream, p)
		if err != nil || len(answer.SETs) > 0 || p.Immediate || p.Max == 0 {
			return answer, err
		}
		select {
		case <-next:
		case <-others:
		case <-over.C:
			return answer, nil
		case <-ctx.Done():
			return answer, nil
		}
	}
}

// waiting signs what waits in a stream now, if the stream is enabled.
func (b *Bridge) waiting(ctx context.Context, client oidc.Client, stream string, p ssf.PollRequest) (ssf.PollAnswer, error) {
	var queue []store.Delivery
	err := b.store.View(ctx, func(v *store.View) error {
		s, err := streamOf(v, client, stream)
		if err != nil || s.Status != string(ssf.Enabled) {
			return err
		}
		queue, err = v.Deliveries(receiverOf(s.ID), 0, p.Max+1)
		return err
	})
	if err != nil {
		return ssf.PollAnswer{}, err
	}
	answer := ssf.PollAnswer{More: len(queue) > p.Max}
	for _, d := range queue[:min(len(queue), p.Max)] {
		token, err := b.signSignal(d)
		if err != nil {
			return ssf.PollAnswer{}, err
		}
		answer.SETs = append(answer.SETs, ssf.SignedSET{JTI: d.JTI, Token: token})
	}
	return answer, nil
}

// signSignal signs a delivery, with the key of this moment.
func (b *Bridge) signSignal(d store.Delivery) (string, error) {
	const op = "bridge.signSignal"
	var c struct {
		Audience string                     `json:"aud"`
		JTI      string                     `json:"jti"`
		IssuedAt int64                      `json:"iat"`
		Happened int64                      `json:"toe"` // 0 of what was recorded by a program before it
		Txn      string                     `json:"txn"`
		Subject  json.RawMessage            `json:"sub_id"`
		Events   map[string]json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(d.Body, &c); err != nil || len(c.Events) != 1 {
		return "", fault.New(fault.Internal, op, "what waits is no signal: %v", err)
	}
	order := credential.EventOrder{Audience: c.Audience, JTI: c.JTI, Issued: time.Unix(c.IssuedAt, 0), Txn: c.Txn, SubjectID: c.Subject}
	if c.Happened != 0 {
		order.Happened = time.Unix(c.Happened, 0)
	}
	for t, says := range c.Events {
		order.Event, order.Says = t, says
	}
	return b.issuer.EventToken(order)
}

// Pushing is what a push of a delivery needs.
type Pushing struct {
	Endpoint      string
	Authorization secret.String // empty: none
	Token         string        // signed now
}

// Push says where a delivery is to be pushed to, and signs it. fault.NotFound if its
// stream is no more.
func (b *Bridge) Push(ctx context.Context, d store.Delivery) (Pushing, error) {
	const op = "bridge.Push"
	var s store.Stream
	err := b.store.View(ctx, func(v *store.View) (err error) {
		s, err = v.Stream(d.Receiver[len(receiverOf("")):])
		return err
	})
	if err != nil {
		return Pushing{}, err
	}
	if _, configured := b.clients[s.Client]; !configured {
		return Pushing{}, fault.New(fault.Unavailable, op, "the application of the stream is not configured")
	}
	if s.Method != ssf.Push || s.Status != string(ssf.Enabled) {
		return Pushing{}, fault.New(fault.Unavailable, op, "the stream is not pushed now")
	}
	out := Pushing{Endpoint: s.Endpoint}
	if out.Authorization, err = b.streams.AtRest.Open(s.Header, headerPlace(s.ID)); err != nil {
		return Pushing{}, err
	}
	out.Token, err = b.signSignal(d)
	return out, err
}
