package inbound

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// settled gives the connection's stream, once it is at the transmitter what it is
// configured to be: made, or changed, or enabled again, and verified. The transmitter is
// asked when this process begins, when the configuration has changed, and every hour.
func (r *Receiver) settled(ctx context.Context, l *listener, now time.Time) (Stream, error) {
	s, err := r.Streams.IdPStream(ctx, l.Connection)
	none := fault.Is(err, fault.NotFound)
	if err != nil && !none {
		return Stream{}, err
	}
	if err := l.discover(ctx, now); err != nil {
		return Stream{}, err
	}
	l.meet(l.found.JWKS, r.Client)
	if !none && s.Issuer != l.Issuer { // it is another transmitter's, which may be gone
		r.observe(ctx, r.forget(ctx, s))
		none = true
	}
	if none = none || s.ID == ""; !none && l.settled && now.Sub(s.Checked) < checkEvery {
		return s, r.verification(ctx, l, s, now)
	}
	if none {
		s, err = r.make(ctx, l, now)
	} else {
		s, err = r.confirm(ctx, l, s, now)
	}
	if err != nil {
		return Stream{}, err
	}
	l.settled = true
	return s, r.verification(ctx, l, s, now)
}

// description is how a stream of this connection's is told from others that a transmitter
// may keep for the same client.
func (r *Receiver) description(l *listener) string {
	return "drawbridge " + r.Base + " " + string(l.Connection)
}

func (r *Receiver) pushTo(l *listener) string {
	return r.Base + "/connect/" + string(l.Connection) + "/events"
}

// wanted is a wish for everything, and the digest of the secret that pushes are to bring.
func (r *Receiver) wanted(l *listener) (wish, []byte, error) {
	method, err := l.method()
	if err != nil {
		return wish{}, nil, err
	}
	w := wish{Delivery: &wishDelivery{Method: method}, Events: l.Events, Description: r.description(l)}
	if !l.Push {
		return w, nil, nil
	}
	secret := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(secret))
	w.Delivery.Endpoint, w.Delivery.Authorization = r.pushTo(l), "Bearer "+secret
	return w, sum[:], nil
}

// make makes the stream. One that is there already, because it was made and this was not
// written down, is taken over: a transmitter has one for each client.
func (r *Receiver) make(ctx context.Context, l *listener, now time.Time) (Stream, error) {
	w, pushedBy, err := r.wanted(l)
	if err != nil {
		return Stream{}, err
	}
	there, err := l.list(ctx, now)
	if err != nil {
		return Stream{}, err
	}
	// The secret is known here before the transmitter can push with it.
	begun := Stream{Connection: l.Connection, Issuer: l.Issuer, Access: l.Access, PushedBy: pushedBy, Method: ssf.Push, Status: ssf.Enabled, Created: now}
	if err := r.Streams.KeepIdPStream(ctx, begun); err != nil {
		return Stream{}, err
	}
	own := slices.IndexFunc(there, func(c configuration) bool {
		return c.Description == w.Description || l.Push && c.Delivery.Endpoint == w.Delivery.Endpoint
	})
	if own >= 0 {
		return r.takeOver(ctx, l, there[own].ID, w, begun, now)
	}
	c, err := l.put(ctx, now, http.MethodPost, w)
	if fault.Is(err, fault.Conflict) && len(there) > 0 {
		return r.takeOver(ctx, l, there[0].ID, w, begun, now)
	}
	if err != nil {
		return Stream{}, err
	}
	return r.keep(ctx, l, c, begun, now)
}

func (r *Receiver) takeOver(ctx context.Context, l *listener, id string, w wish, begun Stream, now time.Time) (Stream, error) {
	w.ID = id
	c, err := l.put(ctx, now, http.MethodPut, w)
	if err != nil {
		return Stream{}, err
	}
	s, err := r.keep(ctx, l, c, begun, now)
	if err != nil {
		return Stream{}, err
	}
	return r.awake(ctx, l, s, now)
}

// confirm asks what has become of the stream and mends it: delivered otherwise, it is
// replaced; asked for other events, it is changed; gone, it is made anew.
func (r *Receiver) confirm(ctx context.Context, l *listener, s Stream, now time.Time) (Stream, error) {
	c, err := l.stream(ctx, now, s.ID)
	if fault.Is(err, fault.NotFound) {
		return r.make(ctx, l, now)
	}
	if err != nil {
		return Stream{}, err
	}
	switch {
	case !r.deliversTo(l, s, c) || l.Push && silent(s, now):
		if s, c, err = r.redirect(ctx, l, s, now); err != nil {
			return Stream{}, err
		}
	case !asksFor(c, l.Events):
		if c, err = l.put(ctx, now, http.MethodPatch, wish{ID: s.ID, Events: l.Events}); err != nil {
			return Stream{}, err
		}
	}
	if s, err = r.keep(ctx, l, c, s, now); err != nil {
		return Stream{}, err
	}
	return r.awake(ctx, l, s, now)
}

// redirect replaces the stream by one that is delivered as it is configured. Until that is
// known to have been done, no secret counts: where this stops half way, it begins again.
func (r *Receiver) redirect(ctx context.Context, l *listener, s Stream, now time.Time) (Stream, configuration, error) {
	w, pushedBy, err := r.wanted(l)
	if err == nil {
		err = r.Streams.ChangeIdPStream(ctx, l.Connection, func(kept *Stream) { kept.PushedBy, kept.Asked = nil, time.Time{} })
	}
	if err != nil {
		return Stream{}, configuration{}, err
	}
	w.ID, s.PushedBy, s.Asked = s.ID, pushedBy, time.Time{}
	c, err := l.put(ctx, now, http.MethodPut, w)
	return s, c, err
}

// silent reports whether a verification was asked for and has not come: what is pushed may
// bring a secret that is not the one known here, since a backup was put back.
func silent(s Stream, now time.Time) bool {
	return s.Verified.Before(s.Asked) && now.Sub(s.Asked) >= verifiedWithin
}

// deliversTo reports whether a stream is delivered as it is configured.
func (r *Receiver) deliversTo(l *listener, s Stream, c configuration) bool {
	method, err := l.method()
	if err != nil || c.Delivery.Method != method {
		return false
	}
	return !l.Push || c.Delivery.Endpoint == r.pushTo(l) && s.PushedBy != nil
}

// asksFor reports whether a stream asks for those events. A transmitter that does not
// repeat what it was asked for is judged by what it delivers of what it has.
func asksFor(c configuration, events []ssf.Type) bool {
	if c.Requested != nil {
		var wanted []string
		for _, t := range events {
			wanted = append(wanted, string(t))
		}
		slices.Sort(wanted)
		asked := slices.Sorted(slices.Values(c.Requested))
		return slices.Equal(wanted, slices.Compact(asked))
	}
	return !slices.ContainsFunc(events, func(t ssf.Type) bool {
		return slices.Contains(c.Supported, string(t)) && !slices.Contains(c.Delivered, string(t))
	})
}

// keep writes down what a transmitter said of a stream.
func (r *Receiver) keep(ctx context.Context, l *listener, c configuration, s Stream, now time.Time) (Stream, error) {
	switch {
	case c.ID == "" || len(c.ID) > maxStreamID:
		return Stream{}, unacceptable(errors.New("a stream has no id, or too long a one"))
	case len(c.Audience) == 0 || slices.Contains(c.Audience, "") || c.Issuer != "" && c.Issuer != l.Issuer:
		return Stream{}, unacceptable(errors.New("a stream says no aud, or another iss"))
	case !l.Push && !sameOrigin(l.Issuer, c.Delivery.Endpoint):
		return Stream{}, unacceptable(errors.New("a stream is to be polled elsewhere than on its issuer's host"))
	}
	s.ID, s.Audience, s.Access, s.Checked = c.ID, c.Audience, l.Access, now
	s.Method, s.Endpoint = ssf.Push, ""
	if !l.Push {
		s.Method, s.Endpoint, s.PushedBy = ssf.Poll, c.Delivery.Endpoint, nil
	}
	return s, r.Streams.ChangeIdPStream(ctx, l.Connection, func(kept *Stream) {
		kept.ID, kept.Audience, kept.Access, kept.Checked, kept.Method, kept.Endpoint, kept.PushedBy = s.ID, s.Audience, s.Access, s.Checked, s.Method, s.Endpoint, s.PushedBy
	})
}

// awake enables a stream that its transmitter has paused or disabled.
func (r *Receiver) awake(ctx context.Context, l *listener, s Stream, now time.Time) (Stream, error) {
	at, err := l.status(ctx, now, s.ID)
	if err != nil {
		return Stream{}, err
	}
	if at.Status != ssf.Enabled {
		enabled, err := l.enable(ctx, now, s.ID)
		switch {
		case err == nil:
			at = enabled
		case isOurs(err):
			return Stream{}, err
		default: // the transmitter will not have it; what is in the stream is still read
			r.observe(ctx, err)
		}
	}
	if at.Status == s.Status && at.Reason == s.Reason {
		return s, nil
	}
	s.Status, s.Reason = at.Status, shortened(at.Reason)
	return s, r.Streams.ChangeIdPStream(ctx, l.Connection, func(kept *Stream) { kept.Status, kept.Reason = s.Status, s.Reason })
}

// verification asks for a verification where none has been asked for lately.
func (r *Receiver) verification(ctx context.Context, l *listener, s Stream, now time.Time) error {
	if l.found.Verification == "" || now.Sub(s.Asked) < verifyEvery {
		return nil
	}
	state := rand.Text()
	if err := r.Streams.ChangeIdPStream(ctx, l.Connection, func(kept *Stream) { kept.State, kept.Asked = state, now }); err != nil {
		return err
	}
	return l.verify(ctx, now, s.ID, state)
}
