package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/demo/fleetweb"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// Options say what to open.
type Options struct {
	Listen      string // the bridge's address, on loopback; port 0 takes free ports, remembered in Data
	Data        string // folder that keeps addresses, directories and sessions; "": nothing is kept
	Control     string // file that tells `drawbridge demo disable` where to go, mode 0600; default Data/demo-control.json
	Connections []Spec // nil: the sample organisation
	Command     string // how the banner calls this program; default "drawbridge"
	Now         func() time.Time
	Problem     func(error) // what goes wrong in the background; called from several goroutines
}

// Servers are the demo's listeners, open from Open to Stop.
type Servers struct {
	opts     Options
	bridge   net.Listener // nil where bridges run elsewhere
	at       string       // the bridges' public URL
	app      *server
	control  *server
	idps     []*idp
	token    secret.String // of the control endpoint
	wiring   Wiring        // from Start on
	Moved    bool          // remembered addresses were taken: people must sign in again
	stopOnce sync.Once
}

// idp is one connection's identity provider.
type idp struct {
	spec   Spec
	at     *server
	secret secret.String
	*oidctest.IdP
}

// server is a listener that serves once its handler is known.
type server struct {
	net.Listener
	named string // the origin that it is reached at, if that is not the listener's address
	http  *http.Server
	done  chan struct{} // closed when Serve has returned
}

func (s *server) url() string {
	if s.named != "" {
		return s.named
	}
	return "http://" + s.Addr().String()
}

// Provider is what the bridge's configuration needs to know about one identity
// provider.
type Provider struct {
	Connection   string
	Vendor       string // "entra" or "okta"
	Issuer       string
	TenantID     string // Entra only
	ClientID     string
	ClientSecret secret.String
}

// Open takes the addresses, so that everybody's URL is known before anybody runs.
func Open(o Options) (*Servers, error) {
	if o.Connections == nil {
		o.Connections = SampleSpecs()
	}
	s := &Servers{opts: o.usual()}
	return s.opened(s.listen)
}

// usual is o with what it leaves out.
func (o Options) usual() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Command == "" {
		o.Command = "drawbridge"
	}
	if o.Control == "" && o.Data != "" {
		o.Control = filepath.Join(o.Data, "demo-control.json")
	}
	return o
}

// opened takes the addresses, and makes what will serve there.
func (s *Servers) opened(listen func() error) (*Servers, error) {
	s.token = secret.New(rand.Text())
	if err := listen(); err != nil {
		return nil, errors.Join(err, s.Stop(context.Background()))
	}
	if err := s.makeIdPs(); err != nil {
		return nil, errors.Join(err, s.Stop(context.Background()))
	}
	return s, nil
}

// makeIdPs makes the providers side by side: each has to find RSA primes.
func (s *Servers) makeIdPs() error {
	errs := make([]error, len(s.idps))
	var all sync.WaitGroup
	for n, i := range s.idps {
		all.Go(func() { i.IdP, errs[n] = s.makeIdP(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *Servers) makeIdP(i *idp) (*oidctest.IdP, error) {
	directory, err := s.directory(i.spec)
	if err != nil {
		return nil, err
	}
	cfg := oidctest.Config{
		Name: i.spec.Name, ID: i.spec.ID, BaseURL: i.at.url(), TenantID: i.spec.tenantID(),
		ClientID: i.spec.clientID(), ClientSecret: i.secret,
		RedirectURIs: []string{s.BridgeURL() + "/connect/" + i.spec.ID + "/callback"},
		SCIM:         oidctest.SCIM{BaseURL: s.SCIMURL(i.spec.ID)},
		Directory:    directory, Now: s.opts.Now,
	}
	if i.spec.IdP == "okta" {
		return oidctest.NewOkta(cfg)
	}
	return oidctest.NewEntra(cfg)
}

// BridgeListener is for the bridge to serve on; the bridge closes it. nil beside bridges
// that run elsewhere.
func (s *Servers) BridgeListener() net.Listener { return s.bridge }

// BridgeURL is the bridge's public URL and issuer.
func (s *Servers) BridgeURL() string { return s.at }

// SCIMURL is where one connection's people are sent.
func (s *Servers) SCIMURL(connection string) string { return s.BridgeURL() + "/scim/v2/" + connection }

// AppURL is the sample application's address.
func (s *Servers) AppURL() string { return s.app.url() }

// AppRedirectURI is where the bridge sends people back to.
func (s *Servers) AppRedirectURI() string { return s.AppURL() + "/callback" }

// AppPostLogoutURI is where the bridge may return people after sign-out.
func (s *Servers) AppPostLogoutURI() string { return s.AppURL() + "/" }

// Providers lists the identity providers in the order of the connections.
func (s *Servers) Providers() []Provider {
	var out []Provider
	for _, i := range s.idps {
		p := Provider{Connection: i.spec.ID, Vendor: i.Vendor(), Issuer: i.Issuer(), ClientID: i.spec.clientID(), ClientSecret: i.secret}
		if p.Vendor == "entra" {
			p.TenantID = i.spec.tenantID()
		}
		out = append(out, p)
	}
	return out
}

// Wiring is what the bridge made for the demo.
type Wiring struct {
	SCIMTokens   map[string]secret.String // by connection
	ClientID     string                   // Fleet Web's
	ClientSecret secret.String
}

// Start serves the identity providers, the application and the control endpoint.
// It returns at once; the bridge may start before or after.
func (s *Servers) Start(w Wiring) error {
	s.wiring = w
	for _, i := range s.idps {
		i.Connect(oidctest.SCIM{BaseURL: s.SCIMURL(i.spec.ID), Token: w.SCIMTokens[i.spec.ID]})
	}
	cfg := fleetweb.Config{
		Issuer: s.BridgeURL(), ClientID: w.ClientID, ClientSecret: w.ClientSecret.Reveal(), BaseURL: s.AppURL(),
		GrantsURL: s.BridgeURL() + "/me/grants", Now: s.opts.Now,
	}
	if s.opts.Data != "" {
		cfg.SessionFile = filepath.Join(s.opts.Data, "demo-fleet-web.json")
	}
	app, err := fleetweb.New(cfg)
	if err != nil {
		return err
	}
	if err := s.writeControl(); err != nil {
		return err
	}
	s.serve(s.app, app.Handler())
	s.serve(s.control, s.controlHandler())
	for _, i := range s.idps {
		s.serve(i.at, i.Handler())
	}
	return nil
}

func (s *Servers) serve(at *server, h http.Handler) {
	at.http = &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 60 * time.Second, MaxHeaderBytes: 64 << 10,
	}
	at.done = make(chan struct{})
	go func() {
		defer close(at.done)
		if err := at.http.Serve(at.Listener); !errors.Is(err, http.ErrServerClosed) {
			s.problem(fmt.Errorf("demo: %s stopped: %w", at.url(), err))
		}
	}()
}

func (s *Servers) problem(err error) {
	if err != nil && s.opts.Problem != nil {
		s.opts.Problem(err)
	}
}

// Sync runs every identity provider's initial cycle, side by side. Failures do not
// stop the others and come back joined.
func (s *Servers) Sync(ctx context.Context) (oidctest.Report, error) {
	reports, errs := make([]oidctest.Report, len(s.idps)), make([]error, len(s.idps))
	var all sync.WaitGroup
	for n, i := range s.idps {
		all.Go(func() { reports[n], errs[n] = i.SyncAll(ctx) })
	}
	all.Wait()
	var sum oidctest.Report
	for _, r := range reports {
		sum = sum.Plus(r)
	}
	return sum, errors.Join(errs...)
}

// Stop ends every server, waiting for requests under way as long as ctx lets it,
// and closes what was never served. The bridge's listener is closed too.
func (s *Servers) Stop(ctx context.Context) error {
	var errs []error
	s.stopOnce.Do(func() {
		for _, at := range s.all() {
			errs = append(errs, at.stop(ctx))
		}
		if s.bridge != nil {
			errs = append(errs, closed(s.bridge.Close()))
		}
		errs = append(errs, s.removeControl())
	})
	return errors.Join(errs...)
}

func (s *Servers) all() []*server {
	var out []*server
	for _, at := range []*server{s.app, s.control} {
		if at != nil {
			out = append(out, at)
		}
	}
	for _, i := range s.idps {
		out = append(out, i.at)
	}
	return out
}

func (s *server) stop(ctx context.Context) error {
	if s.http == nil {
		return closed(s.Close())
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}

// closed forgives a listener that somebody else has closed already.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
