// Package bridge holds the use cases: one function, one transaction. It adapts the
// pure core (mapping, session, credential) to the store and the hot engine, and
// speaks to the protocol fronts through the interfaces they declare.
//
// Four walks are worth following: a leaver, from users.Patch through change and
// decide to the commit; a sign-in, from SignIn through Issue and Redeem to mint; a new
// policy, from PlanPolicy through ApplyPlan and putIn to Recompute; and Explain.
// docs/architecture.md takes them step by step.
package bridge

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// Lives are how long things last. Each has an upper bound that New enforces.
type Lives struct {
	AccessToken  time.Duration // at most 5 minutes: the longest an offline check can be wrong
	Session      time.Duration // absolute end of a browser session
	Refresh      time.Duration // absolute end of a refresh family; never past the session's
	Offline      time.Duration // absolute end of a session that outlives the browser's
	RefreshGrace time.Duration // a retry with the previous token inside it gets the same answer; at most 10 s
}

// DefaultLives are the durations when configuration names none.
func DefaultLives() Lives {
	return Lives{AccessToken: credential.MaxLife, Session: 12 * time.Hour, Refresh: 12 * time.Hour, Offline: 30 * 24 * time.Hour, RefreshGrace: 10 * time.Second}
}

// Config is what a Bridge works with. Every field is required, but for
// Observe, and for Assertions if nobody is trusted.
type Config struct {
	Store   *store.Store
	Hot     hot.Engine
	Issuer  *credential.Issuer
	Refresh credential.RefreshKey
	Cursors credential.CursorKey
	Marks   credential.MarkKey
	// Cookies renews the secrets of session cookies.
	Cookies credential.CookieKey
	// SCIMAccess seals the access tokens of SCIM clients.
	SCIMAccess credential.SCIMAccessKey
	// Services seals the access tokens that applications have for themselves, and Names
	// gives pairwise clients names of their own.
	Services credential.ServiceKey
	Names    credential.PairwiseKey
	// Assertions verifies the signed proofs of SCIM clients and applications, and Trust
	// says whose count for which connection.
	Assertions *assertion.Verifier
	Trust      map[access.ConnectionID]assertion.Trust
	// Probes are how identity providers are asked about sessions.
	Probes  Probes
	URL     string // the issuer's own URL, for iss and redirects
	Clients []oidc.Client
	Lives   Lives
	Now     func() time.Time
	// Observe is told what background work could not do; nil: nobody listens.
	Observe func(op string, err error)
	// Streams is what streams of signals need.
	Streams Streams
	// Alarmed is told of every alarm that was raised since New; nil: nobody listens.
	Alarmed func(conn access.ConnectionID, kind string)
}

// Bridge carries out the use cases. It is safe for concurrent use.
type Bridge struct {
	store      *store.Store
	hot        hot.Engine
	issuer     *credential.Issuer
	refresh    credential.RefreshKey
	cursors    credential.CursorKey
	marks      credential.MarkKey
	cookies    credential.CookieKey
	scimAccess credential.SCIMAccessKey
	services   credential.ServiceKey
	names      credential.PairwiseKey
	assertions *assertion.Verifier
	trust      map[access.ConnectionID]assertion.Trust
	probes     Probes
	url        string
	clients    map[access.ClientID]oidc.Client
	origins    map[string]bool // of any of them
	lives      Lives
	now        func() time.Time
	observe    func(op string, err error)

	streams Streams
	polls   polls

	policy    atomic.Pointer[activePolicy]
	coming    atomic.Pointer[comingPolicy]
	turning   sync.Mutex    // one change of the scope tree is worked out at a time
	importing *treeImport   // guarded by turning
	wake      chan struct{} // buffered 1: background work is waiting
	planning  chan struct{} // buffered 1: a plan is being made
	lines     lines
	heavy     *admission.Turnstile // a chunk of a large change holds the writer: one at a time, and of each connection in turn

	started      time.Time
	raisedAlarm  func(conn access.ConnectionID, kind string)
	watching     watch
	swept        swept
	decidedUnder int64 // a policy that everybody was once found decided under; only Recompute uses it

	refusals   refusals
	attempts   attempts
	speech     speech
	uses       uses
	handovers  handovers
	shadow     shadowCount
	ruleErrors ruleErrors
	touches    touches
}

// activePolicy is the compiled form of the active policy row.
type activePolicy struct {
	*mapping.Policy
	version int64
}

// New checks the configuration and returns a ready bridge. It starts nothing; Run
// does the background work.
func New(c Config) (*Bridge, error) {
	const op = "bridge.New"
	if c.Store == nil || c.Hot == nil || c.Issuer == nil || c.Now == nil || c.URL == "" {
		return nil, fault.New(fault.Internal, op, "store, hot engine, issuer, clock and URL are required")
	}
	if c.Assertions == nil && len(c.Trust) > 0 {
		return nil, fault.New(fault.Internal, op, "whoever is trusted needs a verifier of assertions")
	}
	l := c.Lives
	if l.AccessToken <= 0 || l.AccessToken > credential.MaxLife || l.Session <= 0 || l.Refresh <= 0 || l.Offline <= 0 || l.RefreshGrace < 0 || l.RefreshGrace > 10*time.Second {
		return nil, fault.New(fault.Invalid, op, "access tokens live at most 5 minutes, the refresh grace is at most 10 seconds, and nothing lives for ever")
	}
	b := &Bridge{store: c.Store, hot: c.Hot, issuer: c.Issuer, refresh: c.Refresh, cursors: c.Cursors, marks: c.Marks, cookies: c.Cookies, scimAccess: c.SCIMAccess, services: c.Services, names: c.Names, assertions: c.Assertions, trust: c.Trust, probes: c.Probes, url: c.URL, lives: l, now: c.Now,
		observe: c.Observe, started: c.Now(), raisedAlarm: c.Alarmed, clients: make(map[access.ClientID]oidc.Client, len(c.Clients)), origins: map[string]bool{},
		wake: make(chan struct{}, 1), planning: make(chan struct{}, 1), heavy: admission.NewTurnstile(1, 1, math.MaxInt)}
	b.streams, b.lines.all = c.Streams, map[line][]*asking{}
	if b.observe == nil {
		b.observe = func(string, error) {}
	}
	for _, client := range c.Clients {
		if _, dup := b.clients[client.ID]; dup || client.ID == "" || credential.NamesSCIMClient(string(client.ID)) {
			return nil, fault.New(fault.Invalid, op, "client id %q is empty, used twice, or a SCIM client's", client.ID)
		}
		if client.Sector != "" && c.Names.IsZero() || !client.Trust.Empty() && c.Assertions == nil {
			return nil, fault.New(fault.Internal, op, "client %q needs a key for its names, or a verifier of assertions", client.ID)
		}
		b.clients[client.ID] = client
		for _, origin := range client.Origins {
			b.origins[origin] = true
		}
	}
	return b, nil
}

// Client finds a registered application.
func (b *Bridge) Client(_ context.Context, id access.ClientID) (oidc.Client, error) {
	c, ok := b.clients[id]
	if !ok {
		return oidc.Client{}, fault.New(fault.NotFound, "bridge.Client", "no application is registered as %q", id)
	}
	return c, nil
}

// nudge tells the background work that there is something to do.
func (b *Bridge) nudge() {
	select {
	case b.wake <- struct{}{}:
	default: // it has been told already
	}
}

// fact makes an event of this connection at this instant.
func fact(t event.Type, by event.Actor, c access.ConnectionID, p access.PersonID, now time.Time, data map[string]string) event.Event {
	return event.Event{Type: t, Actor: by, At: now, Connection: c, Person: p, Data: data}
}
