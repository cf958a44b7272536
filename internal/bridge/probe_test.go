package bridge_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
)

// rotating is an identity provider that rotates its refresh tokens: each works once, and
// one that is shown again ends the sign-in.
type rotating struct {
	mu    sync.Mutex // guards what follows
	live  map[string]string
	down  bool
	until time.Time
	asked int
	grace time.Duration
}

func (p *rotating) Staleness(access.ConnectionID) (time.Duration, time.Duration) {
	return 15 * time.Minute, p.grace
}

func (p *rotating) Renew(_ context.Context, _ access.ConnectionID, refresh secret.String, subject string) (upstream.Renewal, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.down {
		return upstream.Renewal{}, fault.New(fault.Unavailable, "provider", "down").Because(upstream.ReasonDown)
	}
	if p.live[refresh.Reveal()] != subject {
		return upstream.Renewal{}, fault.New(fault.Denied, "provider", "no").Because(upstream.ReasonRefused)
	}
	delete(p.live, refresh.Reveal())
	next := refresh.Reveal() + "+"
	p.live[next] = subject
	return upstream.Renewal{Refresh: secret.New(next), Until: p.until}, nil
}

func (p *rotating) questions() int { p.mu.Lock(); defer p.mu.Unlock(); return p.asked }

func probedWorld(t *testing.T, p *rotating) *world {
	t.Helper()
	root := credential.NewDataKey()
	p.live = map[string]string{}
	return newWorld(t, func(w *world) { w.probes = bridge.Probes{Voucher: p, Key: root.UpstreamKey()} })
}

// vouched signs somebody in with a refresh token of the provider.
func (w *world) vouched(p *rotating, subject, token string) (string, oidc.Browser) {
	w.t.Helper()
	p.live[token] = subject
	cookie, b, err := w.bridge.SignIn(w.ctx, upstream.Identity{Connection: southern, Issuer: "https://login.example/" + string(southern), Subject: subject,
		AuthTime: w.clock.Now(), Refresh: secret.New(token)})
	w.do(err)
	return cookie.Reveal(), b
}

func (w *world) probe(want int) {
	w.t.Helper()
	if n, err := w.bridge.Probe(w.ctx); err != nil || n != want {
		w.t.Errorf("asked about %d sessions, want %d (%v)", n, want, err)
	}
}

// endOf is why a session ended, "" while it lives.
func (w *world) endOf(b oidc.Browser) (reason string) {
	w.t.Helper()
	w.do(w.store.View(w.ctx, func(v *store.View) error {
		row, err := v.Session(b.Session.ID)
		reason = row.EndReason
		return err
	}))
	return reason
}

// A session of which the provider is asked lives while it vouches, token after token, and
// ends with the answer that it does not.
func TestASessionEndsWhenItsIdentityProviderNoLongerVouches(t *testing.T) {
	t.Parallel()
	p := &rotating{}
	w := probedWorld(t, p)
	w.kim()
	_, b := w.vouched(p, "oid-kim", "canary4711")
	w.probe(0)
	for range 3 {
		w.clock.Add(15 * time.Minute)
		w.probe(1)
		w.probe(0)
	}
	if w.endOf(b) != "" || p.live["canary4711+++"] == "" {
		t.Fatalf("ended %q with %v", w.endOf(b), p.live)
	}
	clear(p.live) // the provider ends the sign-in
	w.clock.Add(15 * time.Minute)
	w.probe(1)
	if got := w.endOf(b); got != session.EndIdPRefused {
		t.Errorf("ended %q", got)
	}
	w.clock.Add(15 * time.Minute)
	w.probe(0)
	if unproved, err := w.bridge.Unproved(w.ctx); err != nil || len(unproved) != 0 {
		t.Errorf("what is kept of a session that has ended: %v, %v", unproved, err)
	}
}

// A provider that is down signs nobody out, unless the connection says for how long its
// word may be old; and it is not asked about everybody while it is silent.
func TestASilentIdentityProviderSignsOutNobodyBeforeTheGraceIsOver(t *testing.T) {
	t.Parallel()
	for grace, want := range map[time.Duration]string{0: "", time.Hour: session.EndIdPSilent} {
		p := &rotating{grace: grace}
		w := probedWorld(t, p)
		w.kim()
		_, b := w.vouched(p, "oid-kim", "one")
		p.down = true
		for range 3 {
			w.clock.Add(15 * time.Minute)
			w.probe(1)
		}
		if got := w.endOf(b); got != "" {
			t.Errorf("grace %s: ended %q after 45 minutes", grace, got)
		}
		if unproved, err := w.bridge.Unproved(w.ctx); err != nil || len(unproved) != 1 || w.clock.Now().Sub(unproved[0].Since) != 45*time.Minute {
			t.Errorf("the age of the provider's word: %v, %v", unproved, err)
		}
		w.clock.Add(15 * time.Minute)
		w.probe(1)
		if got := w.endOf(b); got != want {
			t.Errorf("grace %s: ended %q after an hour, want %q", grace, got, want)
		}
	}
}

func TestAnIdentityProviderThatIsDownIsNotAskedAboutEverybody(t *testing.T) {
	t.Parallel()
	p := &rotating{}
	w := probedWorld(t, p)
	w.kim()
	for i := range 40 {
		w.vouched(p, "oid-kim", string(rune('a'+i)))
	}
	p.down = true
	w.clock.Add(15 * time.Minute)
	w.probe(40)
	if n := p.questions(); n > 8 {
		t.Errorf("it was asked %d times in a round", n)
	}
	p.down = false
	w.clock.Add(4 * time.Minute)
	w.probe(40)
	if len(p.live) != 40 {
		t.Errorf("%d sessions are vouched for", len(p.live))
	}
}

// An end that the provider names later shortens the session, and never lengthens it.
func TestARenewalShortensTheSession(t *testing.T) {
	t.Parallel()
	p := &rotating{}
	w := probedWorld(t, p)
	w.kim()
	cookie, b := w.vouched(p, "oid-kim", "one")
	ends := func() time.Time {
		t.Helper()
		now, err := w.bridge.Browser(w.ctx, cookie)
		w.do(err)
		return now.Session.Expires
	}
	for _, until := range []time.Time{b.Session.Expires.Add(time.Hour), w.clock.Now().Add(time.Hour)} {
		p.until = until
		w.clock.Add(15 * time.Minute)
		w.probe(1)
		if want := map[bool]time.Time{true: b.Session.Expires, false: until}[until.After(b.Session.Expires)]; !ends().Equal(want) {
			t.Errorf("it ends at %s, want %s", ends(), want)
		}
	}
}
