package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

const (
	discoveryLife    = 24 * time.Hour
	discoveryTimeout = 10 * time.Second
	firstRetry       = time.Second
	lastRetry        = time.Minute
)

// Outage says which identity provider does not answer, and since when. A
// fault.Unavailable of this package wraps one.
type Outage struct {
	Connection access.ConnectionID
	Host       string    // the provider's host name
	Since      time.Time // the first failure since it last answered
	Retry      time.Time // not before this does the bridge ask again; zero: at once
	Err        error
}

func (o *Outage) Error() string {
	return fmt.Sprintf("%s (connection %s) does not answer since %s: %v", o.Host, o.Connection, o.Since.UTC().Format(time.RFC3339), o.Err)
}

// Unwrap gives the last failure.
func (o *Outage) Unwrap() error { return o.Err }

// discovery is a provider's metadata, checked.
type discovery struct {
	issuer    string
	endpoint  oauth2.Endpoint
	jwks      string
	keys      *assertion.KeySet
	wantsIss  bool   // RFC 9207: the answer must carry iss
	signOut   string // where people end their session at the provider; "" if it has no such page
	fetchedAt time.Time
}

// link is the bridge's side of one provider.
type link struct {
	provider Provider
	host     string
	client   *http.Client
	prove    Prove
	now      func() time.Time

	busy chan struct{} // one discovery at a time; holding it guards found's replacement

	mu     sync.Mutex // guards what follows
	found  *discovery
	outage *Outage
	wait   time.Duration
}

func newLink(p Provider, client *http.Client, prove Prove, now func() time.Time) *link {
	host := p.Issuer
	if u, err := url.Parse(p.Issuer); err == nil {
		host = u.Host
	}
	return &link{provider: p, host: host, client: strict(client), prove: prove, now: now, busy: make(chan struct{}, 1)}
}

func (l *link) withClient(ctx context.Context) context.Context {
	return gooidc.ClientContext(ctx, l.client)
}

// discovered gives the provider's metadata, fetching it if there is none or it is
// a day old. Old metadata outlives a provider that is down.
func (l *link) discovered(ctx context.Context) (*discovery, error) {
	if d, err := l.cached(); d != nil || err != nil {
		return d, err
	}
	select {
	case l.busy <- struct{}{}:
		defer func() { <-l.busy }()
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, "upstream.discover", ctx.Err())
	}
	if d, err := l.cached(); d != nil || err != nil { // somebody else was first
		return d, err
	}
	// The fetch is for everybody who waits, so it outlives the one who asked.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discoveryTimeout)
	defer cancel()
	d, err := l.discover(ctx)
	if err != nil {
		return l.stale(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found, l.outage, l.wait = d, nil, 0
	return d, nil
}

// cached gives fresh metadata, or the outage while its back-off lasts, or neither.
func (l *link) cached() (*discovery, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.found != nil && l.now().Sub(l.found.fetchedAt) < discoveryLife {
		return l.found, nil
	}
	if l.outage != nil && l.now().Before(l.outage.Retry) {
		if l.found != nil {
			return l.found, nil
		}
		return nil, l.outage.fault("upstream.discover")
	}
	return nil, nil
}

// stale answers a failed discovery: with the old metadata if there is any.
func (l *link) stale(err error) (*discovery, error) {
	var unacceptable *fault.Error
	if errors.As(err, &unacceptable) {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wait = min(max(2*l.wait, firstRetry), lastRetry)
	l.failLocked(err).Retry = l.now().Add(l.wait)
	if l.found != nil {
		return l.found, nil
	}
	return nil, l.outage.fault("upstream.discover")
}

func (l *link) failLocked(err error) *Outage {
	next := Outage{Connection: l.provider.Connection, Host: l.host, Since: l.now(), Err: err}
	if l.outage != nil {
		next.Since, next.Retry = l.outage.Since, l.outage.Retry
	}
	l.outage = &next
	return l.outage
}

// down records that the provider did not answer a request other than discovery.
func (l *link) down(op string, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failLocked(err).fault(op)
}

// up records that the provider is there.
func (l *link) up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outage, l.wait = nil, 0
}

func (o *Outage) fault(op string) error {
	e := fault.New(fault.Unavailable, op, "The identity provider %s has not answered since %s. Try again in a minute.",
		o.Host, o.Since.UTC().Format("2006-01-02 15:04 UTC")).Because(ReasonDown)
	e.Err = o
	return e
}

func (l *link) discover(ctx context.Context) (*discovery, error) {
	provider, err := gooidc.NewProvider(l.withClient(ctx), l.provider.Issuer)
	var mismatch *gooidc.IssuerMismatchError
	if errors.As(err, &mismatch) {
		return nil, l.unacceptable(fmt.Errorf("its metadata says the issuer is %q", mismatch.Discovered))
	}
	if err != nil {
		return nil, errors.New(clip(err.Error()))
	}
	var more struct {
		JWKS        string   `json:"jwks_uri"`
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
		WantsIss    bool     `json:"authorization_response_iss_parameter_supported"`
		SignOut     string   `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, l.unacceptable(err)
	}
	endpoint := provider.Endpoint()
	for _, e := range []string{endpoint.AuthURL, endpoint.TokenURL, more.JWKS} {
		if err := belongs(l.provider.Issuer, e); err != nil {
			return nil, l.unacceptable(err)
		}
	}
	endpoint.AuthStyle = l.authStyle(more.AuthMethods)
	return &discovery{issuer: l.provider.Issuer, endpoint: endpoint, jwks: more.JWKS, keys: l.keys(more.JWKS), wantsIss: more.WantsIss, signOut: l.signOut(more.SignOut), fetchedAt: l.now()}, nil
}

// signOut is where the provider ends a session of its own, for a link on a page; "" if
// the address that it names is no such thing.
func (l *link) signOut(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" || belongs(l.provider.Issuer, endpoint) != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", l.provider.ClientID)
	u.RawQuery = q.Encode()
	return u.String()
}

// unacceptable is a provider that answers, but not as what was configured.
func (l *link) unacceptable(err error) error {
	e := fault.New(fault.Denied, "upstream.discover", "The identity provider %s is not set up as this service expects.", l.host).Because(ReasonSetUp)
	e.Err = err
	return e
}

// authStyle settles how the client authenticates. x/oauth2 would otherwise find
// out by trying, which spends the code.
func (l *link) authStyle(supported []string) oauth2.AuthStyle {
	switch {
	case l.provider.Authentication == BasicSecret:
		return oauth2.AuthStyleInHeader
	case l.provider.Authentication != "" || l.provider.ClientSecret.Empty():
		return oauth2.AuthStyleInParams
	}
	if len(supported) == 0 || slices.Contains(supported, "client_secret_basic") {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams
}

// keys are the provider's published keys. Metadata that is read anew and names the
// same place keeps what is known, and the limit on asking again.
func (l *link) keys(jwks string) *assertion.KeySet {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.found != nil && l.found.jwks == jwks {
		return l.found.keys
	}
	return assertion.NewKeySet(jwks, l.client)
}

// belongs reports whether an endpoint may be trusted with what is meant for the
// issuer: the same scheme, host and port, or a host that the vendor is known to use.
func belongs(issuer, endpoint string) error {
	i, err := url.Parse(issuer)
	if err != nil {
		return err
	}
	e, err := url.Parse(endpoint)
	if err != nil || e.Host == "" || e.User != nil || e.Fragment != "" {
		return fmt.Errorf("endpoint %q is not an absolute URL", clip(endpoint))
	}
	if e.Scheme == i.Scheme && (e.Host == i.Host || e.Scheme == "https" && slices.Contains(vendorHosts(i.Host), e.Host)) {
		return nil
	}
	return fmt.Errorf("endpoint %q does not lie on the issuer's host %s", clip(endpoint), i.Host)
}

// vendorHosts lists where a vendor keeps endpoints beside its issuer's own host.
// Okta keeps all of them on the issuer's.
func vendorHosts(issuerHost string) []string {
	switch issuerHost {
	case "sts.windows.net":
		return []string{"login.microsoftonline.com", "login.windows.net"}
	case "login.microsoftonline.com":
		return []string{"login.windows.net"}
	case "accounts.google.com":
		return []string{"oauth2.googleapis.com", "www.googleapis.com"}
	}
	return nil
}

// clip keeps what a provider wrote short enough for a log line.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
