package inbound

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/jwtclaims"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

const (
	maxStreamID = 255 // bytes
	maxReason   = 256 // bytes; what is longer is cut
	makingTime  = 2 * time.Second
)

// apply applies fetched tokens, each by itself, and adds to the next poll what is
// acknowledged and what is refused.
func (r *Receiver) apply(ctx context.Context, l *listener, sets map[string]string, next *pollAsk) {
	for _, jti := range slices.Sorted(maps.Keys(sets)) {
		got, err := r.hear(ctx, l, sets[jti])
		if err == nil && got != jti {
			err = refusedAs(codeRequest, errors.New("the token was sent under another jti than its own"))
		}
		switch {
		case err == nil:
			next.Ack = append(next.Ack, jti)
		case isOurs(err):
			r.observe(ctx, err)
		default:
			r.observe(ctx, err)
			if next.Errors == nil {
				next.Errors = map[string]setError{}
			}
			next.Errors[jti] = setError{Code: codeOf(err), Description: fault.DetailOf(err)}
		}
	}
}

// hear applies one token and counts what came of it. Without an error it is applied and
// durable.
func (r *Receiver) hear(ctx context.Context, l *listener, raw string) (jti string, err error) {
	s, err := r.whole(ctx, l)
	if err != nil {
		return "", err
	}
	set, said, err := r.verified(ctx, l, s, raw)
	outcome := OutcomeNothing
	if err == nil {
		outcome, err = r.do(ctx, l, s, set, said)
	}
	switch {
	case err != nil && isOurs(err):
		outcome = OutcomeFailed
	case err != nil:
		outcome = OutcomeRefused
	}
	r.count(l.Connection, outcome)
	return set.JTI, err
}

// whole is the connection's stream. While it is being made, which a transmitter may
// precede with what it sends, the turn that makes it is waited for.
func (r *Receiver) whole(ctx context.Context, l *listener) (Stream, error) {
	s, err := r.Streams.IdPStream(ctx, l.Connection)
	if err != nil || s.ID != "" {
		return s, err
	}
	waiting, cancel := context.WithTimeout(ctx, makingTime)
	defer cancel()
	select {
	case l.busy <- struct{}{}:
		<-l.busy
	case <-waiting.Done():
	}
	if s, err = r.Streams.IdPStream(ctx, l.Connection); err == nil && s.ID == "" {
		err = fault.New(fault.Unavailable, "inbound.whole", "The stream is being made.")
	}
	return s, err
}

// verified reads a token that the transmitter has signed for this stream.
func (r *Receiver) verified(ctx context.Context, l *listener, s Stream, raw string) (SET, jwtclaims.Claims, error) {
	token, err := assertion.ParseToken(raw, maxSET, "RS256", "PS256", "ES256")
	if err == nil {
		err = oneOf(token.Type, setType)
	}
	if err != nil {
		return SET{}, nil, refusedAs(codeRequest, err)
	}
	keys, err := r.keysOf(ctx, l)
	if err != nil {
		return SET{}, nil, err
	}
	now := r.Now()
	said, err := token.Verified(ctx, keys, now)
	if err != nil {
		return SET{}, nil, keyRefused(err)
	}
	set, err := ParseSET(said)
	if err == nil {
		err = set.holds(said, l.Issuer, s.Audience, now)
	}
	return set, said, err
}

// keysOf is where the transmitter's keys are. A push may come before this process has had
// a turn with the transmitter.
func (r *Receiver) keysOf(ctx context.Context, l *listener) (*assertion.KeySet, error) {
	l.mu.Lock()
	keys := l.keys
	l.mu.Unlock()
	if keys != nil {
		return keys, nil
	}
	t := transmitter{Listening: l.Listening, client: r.Client}
	if err := t.discover(ctx, r.Now()); err != nil {
		e := fault.New(fault.Unavailable, "inbound.keysOf", "The transmitter's metadata cannot be read now.")
		e.Err = err
		return nil, e
	}
	return l.meet(t.found.JWKS, r.Client), nil
}

// meet keeps the key set that is at an address, and what is known of it.
func (l *listener) meet(at string, client *http.Client) *assertion.KeySet {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys == nil || l.keysAt != at {
		l.keys, l.keysAt = assertion.NewKeySet(at, client), at
	}
	return l.keys
}

// do does what a token says: of the stream itself, or of people.
func (r *Receiver) do(ctx context.Context, l *listener, s Stream, set SET, said jwtclaims.Claims) (outcome string, err error) {
	now := r.Now()
	switch set.Type {
	case ssf.Verification:
		return OutcomeNothing, r.confirmed(ctx, l, s, set, now)
	case ssf.StreamUpdated:
		return OutcomeNothing, r.updated(ctx, l, s, set)
	}
	made, err := said.Instant("iat")
	if err != nil {
		return "", refusedAs(codeRequest, err)
	}
	user, session, named := whom(set.Subject, l.Issuer, l.SignIn)
	h, err := r.Ends.HearSignal(ctx, Signal{Message: Message{Signer: l.Issuer, JTI: set.JTI, Ends: made.Add(setOldest + 2*jwtclaims.Skew)}, Connection: l.Connection,
		Issuer: l.SignIn, Event: set.Type, Name: nameOf(set.Type), Effect: effectOf(set.Type, l.Listening), User: user, Session: session, Named: named})
	if err != nil {
		return "", err
	}
	return h.Outcome, r.Streams.ChangeIdPStream(ctx, l.Connection, func(kept *Stream) { kept.Heard = now })
}

// confirmed takes a verification (SSF 1.0 section 8.1.4): one that was asked for has its
// state, and one that the transmitter sends by itself has none.
func (r *Receiver) confirmed(ctx context.Context, l *listener, s Stream, set SET, now time.Time) error {
	state, err := ofStream(s, set, "state")
	if err != nil {
		return err
	}
	if state != "" && s.State != "" && state != s.State {
		return refusedAs(codeRequest, errors.New("state is not the one that was asked for"))
	}
	return r.Streams.ChangeIdPStream(ctx, l.Connection, func(kept *Stream) {
		if state == kept.State {
			kept.State = ""
		}
		kept.Verified = now
	})
}

// updated takes the transmitter's word that it has changed the stream's status (SSF 1.0
// section 8.1.5). The next check tries to enable it again.
func (r *Receiver) updated(ctx context.Context, l *listener, s Stream, set SET) error {
	status, err := ofStream(s, set, "status")
	if err != nil {
		return err
	}
	if !slices.Contains([]ssf.Status{ssf.Enabled, ssf.Paused, ssf.Disabled}, ssf.Status(status)) {
		return refusedAs(codeRequest, errors.New("status is none that a stream has"))
	}
	reason := ""
	if err := set.Event.Optional("reason", &reason); err != nil {
		return refusedAs(codeRequest, err)
	}
	return r.Streams.ChangeIdPStream(ctx, l.Connection, func(kept *Stream) { kept.Status, kept.Reason = ssf.Status(status), shortened(reason) })
}

// ofStream reads a text of an event that is about this stream; "" if there is none.
func ofStream(s Stream, set SET, name string) (text string, err error) {
	if set.Subject.Format != ssf.FormatOpaque || set.Subject.Value("id") != s.ID {
		return "", refusedAs(codeRequest, errors.New("the subject is not this stream"))
	}
	if set.Event.Has(name) {
		if text, err = set.Event.Text(name); err != nil {
			return "", refusedAs(codeRequest, err)
		}
	}
	return text, nil
}

// shortened cuts a text between characters.
func shortened(s string) string {
	for len(s) > maxReason {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
