package resource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config is what a Guard works with.
type Config struct {
	Issuer   string // the bridge's public_url
	Audience string // the aud of the tokens that the API takes

	// The API's own registration at the bridge: grant_types client_credentials,
	// service_scopes revocations, audience as above.
	ClientID     string
	ClientSecret string

	URL       string        // the API's own origin, as clients address it; "": tokens that are bound to a key (DPoP) are refused
	SwitchURL string        // where a person changes the active grant; "": the bridge's page /me/
	Lease     time.Duration // how long the feed may be silent before each token is asked about; 0: 10 s
	HTTP      *http.Client  // nil: one with a time limit of 15 s, that follows no redirects
	Now       func() time.Time
	Observe   func(error) // hears what did not work; nil: nobody listens

	// InsecureOffline lets tokens count until their end while the bridge can neither
	// be followed nor asked: somebody who has left is let in for up to five minutes.
	InsecureOffline bool
}

// DefaultLease is how long the feed may be silent where Config names nothing.
const DefaultLease = 10 * time.Second

// Guard judges access tokens. It is safe for concurrent use. Make it with New.
type Guard struct {
	cfg    Config
	bridge *bridge
	keys   *keys
	feed   *feed
	asked  *answers
	proofs *proofs
}

// New checks the configuration. It connects to nothing.
func New(c Config) (*Guard, error) {
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Host == "" || strings.HasSuffix(c.Issuer, "/") {
		return nil, fmt.Errorf("resource: Issuer %q is not an origin such as https://id.example", c.Issuer)
	}
	if issuer.Scheme != "https" && !slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, issuer.Hostname()) {
		return nil, fmt.Errorf("resource: Issuer %q must be https: what it says decides who is let in", c.Issuer)
	}
	if c.Audience == "" || c.ClientID == "" || c.ClientSecret == "" {
		return nil, errors.New("resource: Audience, ClientID and ClientSecret are required")
	}
	if c.Lease = cmp.Or(c.Lease, DefaultLease); c.Lease < 2*time.Second || c.Lease > time.Minute {
		return nil, errors.New("resource: Lease is between two seconds and a minute")
	}
	c.SwitchURL = cmp.Or(c.SwitchURL, c.Issuer+"/me/")
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Observe == nil {
		c.Observe = func(error) {}
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: 15 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	b := &bridge{cfg: c}
	return &Guard{cfg: c, bridge: b, keys: &keys{bridge: b}, feed: newFeed(), asked: &answers{}, proofs: &proofs{}}, nil
}

// Run follows the feed of revocations until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		err := g.Follow(ctx)
		if err == nil {
			pause = firstPause
			continue
		}
		if ctx.Err() != nil {
			return
		}
		g.cfg.Observe(err)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		pause = min(2*pause, lastPause)
	}
}

// The pauses between two attempts to reach the feed.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// Follow waits for one answer of the feed, for at most half of Config.Lease; the first
// comes at once. Run does this again and again.
func (g *Guard) Follow(ctx context.Context) error {
	page, err := g.bridge.changes(ctx, g.feed.cursor(), g.cfg.Lease/2)
	if err != nil {
		return err
	}
	g.feed.apply(page, g.cfg.Now())
	return nil
}

// ErrNobodyKnows says that whether a token counts can not be found out now: answer 503.
var ErrNobodyKnows = errors.New("resource: the bridge can neither be followed nor asked")

// ErrInvalid says that a token does not count: answer 401.
var ErrInvalid = errors.New("resource: the access token does not count")

// Check says what an access token stands for, if it counts now, whatever it was shown
// with. The error is ErrInvalid or ErrNobodyKnows. Protect does this and more.
func (g *Guard) Check(ctx context.Context, accessToken string) (Token, error) {
	now := g.cfg.Now()
	t, err := g.verify(ctx, accessToken, now)
	if err != nil {
		return Token{}, err
	}
	verdict, turn := g.feed.judge(t, now)
	if verdict == dead {
		return Token{}, ErrInvalid
	}
	if g.feed.silent(now, g.cfg.Lease) { // what was heard last may be old
		return g.ask(ctx, t, accessToken, false)
	}
	if verdict == counts {
		return t, nil
	}
	if known, ok := g.asked.get(t.digest, turn); ok {
		return t.as(known), nil
	}
	return g.ask(ctx, t, accessToken, true)
}

// ask has the bridge decide. An answer is kept until the feed says that it must be
// asked again.
func (g *Guard) ask(ctx context.Context, t Token, text string, keep bool) (Token, error) {
	turn := g.feed.turnNow() // before the question: what comes after it is not in the answer
	a, err := g.bridge.introspect(ctx, text)
	switch {
	case err != nil && g.cfg.InsecureOffline && t.Expires.After(g.cfg.Now()):
		g.cfg.Observe(err)
		return t, nil
	case err != nil:
		g.cfg.Observe(err)
		return Token{}, ErrNobodyKnows
	case !a.Active:
		return Token{}, ErrInvalid
	}
	if keep {
		g.asked.put(t.digest, answer{turn: turn, ends: t.Expires, workflows: strings.Fields(a.Scope), grant: a.Grant}, g.cfg.Now())
	}
	return t.as(answer{workflows: strings.Fields(a.Scope), grant: a.Grant}), nil
}
