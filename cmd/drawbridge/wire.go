package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/audit"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/cluster"
	"github.com/drawbridge-id/drawbridge/internal/console"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/deliver"
	"github.com/drawbridge-id/drawbridge/internal/egress"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/handover"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/hot/redis"
	"github.com/drawbridge-id/drawbridge/internal/httpserver"
	"github.com/drawbridge-id/drawbridge/internal/keys"
	"github.com/drawbridge-id/drawbridge/internal/outbox"
	"github.com/drawbridge-id/drawbridge/internal/recorder"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/steward"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/authzen"
	"github.com/drawbridge-id/drawbridge/oidc/inbound"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
	"github.com/drawbridge-id/drawbridge/oidc/upstream"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// app is a bridge put together: the only place where concrete types meet.
type app struct {
	cfg         *config.Config
	log         *zap.Logger
	store       *store.Store
	hot         hot.Engine
	ring        *keys.Ring
	bridge      *bridge.Bridge
	steward     *steward.Steward
	upstreams   *upstream.Upstreams
	inbound     *inbound.Front
	receiver    *inbound.Receiver
	assertions  *assertion.Verifier
	sealer      *audit.Sealer
	recorder    *recorder.Recorder
	relay       *outbox.Relay
	deliver     *deliver.Worker
	webhooks    deliver.Webhooks
	signals     *ssf.Front
	outside     egress.Options // of whatever calls places that others named
	metrics     *metrics
	node        *cluster.Node // nil: this is no node among others
	nodeMetrics *nodeMetrics
	works       cluster.Works
	drain       httpserver.Drain
	takings     takings
	beside      []func(context.Context) // what goes on beside the bridge's own background work
	admin       secret.String
	public      http.Handler
	operations  http.Handler
}

// sealEvery is how far the audit chain may lag behind commits.
const sealEvery = 200 * time.Millisecond

// setting is what differs between serve and demo.
type setting struct {
	// insecureLoopbackEgress lets the bridge talk to identity providers on this
	// machine. Only the demo and tests set it.
	insecureLoopbackEgress bool
	log                    io.Writer
}

// open opens the data folder and puts a bridge together. The caller closes it.
func open(ctx context.Context, cfg *config.Config, s setting) (_ *app, err error) {
	a := &app{cfg: cfg, admin: credential.NewOpaque(credential.KindAdmin)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.log, err = httpserver.NewLogger(s.log, cfg.Server.LogLevel); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Server.Data, 0o700); err != nil {
		return nil, err
	}
	if a.store, err = openStore(ctx, cfg); err != nil {
		return nil, err
	}
	if a.ring, err = a.openKeys(ctx); err != nil {
		return nil, err
	}
	if err := a.openHot(ctx); err != nil {
		return nil, err
	}
	if err := a.joinNodes(ctx); err != nil {
		return nil, err
	}
	a.outside = egress.Options{InsecureAllowLoopback: s.insecureLoopbackEgress}
	client := egress.New(a.outside)
	issuer := credential.NewIssuer(cfg.Server.PublicURL, a.ring.Keyring)
	if a.upstreams, err = upstream.New(client, issuer.ClientAssertion, providers(cfg), now); err != nil {
		return nil, err
	}
	if err := a.openBridge(ctx, issuer, client); err != nil {
		return nil, err
	}
	a.sealer = audit.NewSealer(a.store, sealEvery, func(err error) { a.log.Warn("audit sealer", zap.Error(err)) })
	return a, a.route(a.ring)
}

func (a *app) openKeys(ctx context.Context) (*keys.Ring, error) {
	k := a.cfg.Keys
	return keys.Open(ctx, keys.Config{Root: rootOf(a.cfg), Rows: keyRows{a.store},
		Schedule: keys.Schedule{Rotate: k.Rotate, PublishAhead: k.PublishAhead, Keep: k.Keep}, Now: now, Shared: a.store.Shared(),
		Observe: func(err error) { a.log.Warn("signing keys", zap.Error(err)) }})
}

// rootOf is what wraps the keys at rest; what the file does not say is root.key in the data folder.
func rootOf(cfg *config.Config) keys.Root {
	r := cfg.Keys.Root
	if r.File == "" && len(r.Command) == 0 {
		r.File = filepath.Join(cfg.Server.Data, "root.key")
	}
	return keys.Root{File: r.File, Command: r.Command, Timeout: r.Timeout}
}

func (a *app) openBridge(ctx context.Context, issuer *credential.Issuer, client *http.Client) (err error) {
	ring := a.ring
	trusts := map[access.ConnectionID]assertion.Trust{}
	for _, c := range a.cfg.Connections {
		trusts[c.ID] = c.Trust
	}
	a.assertions = assertion.NewVerifier(client, slices.Concat(slices.Collect(maps.Values(trusts)), trustsOf(a.cfg.Clients))...)
	lives := bridge.DefaultLives()
	lives.AccessToken, lives.Session, lives.Refresh = a.cfg.Sessions.AccessToken, a.cfg.Sessions.Absolute, a.cfg.Sessions.Refresh
	lives.Offline = a.cfg.Sessions.Offline
	a.bridge, err = bridge.New(bridge.Config{Store: a.store, Hot: a.hot, Issuer: issuer, Refresh: ring.RefreshKey(), Cursors: ring.CursorKey(), Marks: ring.MarkKey(), Cookies: ring.CookieKey(), SCIMAccess: ring.SCIMAccessKey(),
		Services: ring.ServiceKey(), Names: ring.PairwiseKey(),
		Streams:    bridge.Streams{AtRest: ring.AtRestKey(), EndpointAllowed: func(ctx context.Context, url string) error { return egress.Check(ctx, a.outside, url) }, Deliver: func() { a.deliver.Wake() }},
		Assertions: a.assertions, Trust: trusts, URL: a.cfg.Server.PublicURL,
		Probes: bridge.Probes{Voucher: a.upstreams, Key: ring.UpstreamKey(),
			Asked: func(c access.ConnectionID, outcome string) { a.metrics.asked(c, outcome) }},
		Clients: clients(a.cfg), Lives: lives, Now: now,
		Observe: func(op string, err error) { a.log.Warn("background work", zap.String("op", op), zap.Error(err)) },
		Alarmed: func(conn access.ConnectionID, kind string) { a.metrics.alarmed(conn, kind) }}) // background work, which begins when all is open
	if err != nil {
		return err
	}
	a.steward = steward.New(a.bridge).Of(handover.Vendor{Name: a.cfg.Vendor.Name, Support: a.cfg.Vendor.Support.Name, Email: a.cfg.Vendor.Support.Email, Hours: a.cfg.Vendor.Support.Hours})
	heard := func(c access.ConnectionID, kind, outcome string) { a.metrics.heard(c, kind, outcome) }
	a.inbound = inbound.New(inbound.Config{Base: a.cfg.Server.PublicURL, Client: client, Signed: a.upstreams, Ends: a.bridge, Now: now, Counted: heard, Observe: a.observed}, sources(a.cfg))
	a.receiver = inbound.NewReceiver(inbound.ReceiverConfig{Base: a.cfg.Server.PublicURL, Client: client, Ends: a.bridge, Streams: a.bridge, Prove: issuer.ClientAssertion, Now: now,
		Counted: heard, Observe: a.observed}, listenings(a.cfg))
	if err := a.openDeliveries(issuer); err != nil {
		return err
	}
	if err := a.takeFirst(ctx); err != nil {
		return err
	}
	return a.bridge.ApplyClients(ctx)
}

// route puts every handler behind the edge.
func (a *app) route(ring *keys.Ring) error {
	base := a.cfg.Server.PublicURL
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics := newMetrics(reg)
	a.metrics = metrics
	reg.MustRegister(newEnds(a.bridge), newRuleMetrics(a.bridge), newUnproved(a.bridge), newKeyAges(ring), newDeliveryMetrics(a.bridge))
	reg.MustRegister(newReconcileMetrics(a.bridge), newStreamMetrics(a.store), newStreamsHeard(a.bridge))
	reg.MustRegister(a.nodeMetrics.collectors(a)...)
	reg.MustRegister(reloadMetrics(&a.takings)...)
	if shared, ok := a.hot.(*redis.Engine); ok {
		reg.MustRegister(newHotMetrics(shared)...)
	}
	from := httpserver.Proxies(a.cfg.Server.TrustedProxies).Client
	a.recorder = recorder.New(recorder.Config{Store: a.store, Marks: ring.MarkKey(), Keep: a.cfg.Server.SCIMLog, Now: now,
		Dropped: metrics.droppedFromLog, Failed: func(err error) { a.log.Warn("log of SCIM requests", zap.Error(err)) }})
	observe := a.observed
	doors := httpserver.NewDoors(httpserver.DoorConfig{SignIns: a.cfg.Server.SignInRate, Failures: a.cfg.Server.ClientFailures, From: from, Now: now, Refused: metrics.turnedAway})
	proofs := oidc.NewProofs(oidc.ProofConfig{Issuer: base, Nonces: ring.NonceKey(), RequireNonce: a.cfg.Sessions.DPoPNonce, Now: now, Nodes: a.proofMemory()})
	pages := console.New(console.Config{Base: base, Product: console.Public(a.cfg.Vendor.Name), Support: console.Public(support(a.cfg.Vendor.Support)),
		SignIns: a.bridge, Own: a.bridge, Finder: a.bridge, Grants: a.bridge, Proofs: proofs, Requests: a.hot, Clients: a.bridge, Codes: a.bridge, Upstream: a.upstreams,
		Doors: doors, Now: now, Reference: bridge.RequestID, Observe: a.observePage})
	provider := oidc.New(oidc.Config{Issuer: base, Clients: a.bridge, Requests: a.hot, Browsers: a.bridge, Switcher: a.bridge, Tokens: a.bridge, Profiles: a.bridge,
		Codes: a.bridge, Services: a.bridge, Applications: a.bridge, Feed: a.bridge, Proofs: proofs, ClientAddr: from, Doors: doors, Interaction: pages, JWKS: ring.JWKS, ACRValues: a.acrValues, Now: now, CookieName: console.SessionCookie(strings.HasPrefix(base, "https://")),
		Observe: observe})
	mux := http.NewServeMux()
	pages.Routes(mux)
	provider.Routes(mux)
	authzen.New(authzen.Config{Issuer: base, Gate: a.bridge, Decider: a.bridge, Proofs: proofs, Observe: observe}).Routes(mux)
	a.signals = ssf.New(ssf.Config{Issuer: base, JWKS: base + oidc.PathKeys, Receivers: a.bridge, Streams: a.bridge, Subjects: a.bridge, Tokens: a.bridge, Proofs: proofs, Observe: observe})
	a.signals.Routes(mux)
	a.drain.For, a.drain.Over = a.cfg.Server.Drain, a.signals.Close // polls that wait do not hold up the end
	a.inbound.Routes(mux)
	a.receiver.Routes(mux)
	admin := api.New(api.Config{Bridge: a.bridge, Keys: ring, Token: credential.DigestOf(a.admin.Reveal()), Version: version(),
		PublicURL: base, Findings: a.examine, Configuration: a.configuration, Nodes: a.listNodes(), Says: pages.Says, TestWebhook: a.testWebhook,
		Steward: a.steward, Proofs: proofs, Failed: func(r *http.Request) time.Duration { return doors.FailedClient(r, apiDoor) }, Observe: observe})
	mux.Handle(api.Prefix+"/", admin)
	mux.Handle("GET "+config.SchemaPath, serveSchema())
	edge := httpserver.Edge{Log: a.log, Metrics: httpserver.NewMetrics(reg), Now: now, Tag: tagged, Route: routeOf}
	front := scim.New(scim.Config{Gate: a.bridge, Selves: a.bridge, PublicURL: base, Rate: admission.Rate(a.cfg.Server.SCIMRate), Now: now, ClientAddr: from, Observe: a.observeSCIM(metrics)})
	a.public = edge.Wrap(besideMux(front, mux))
	a.operations = httpserver.Operations(reg, api.Prefix, edge.Wrap(admin), a.checks()...)
	return nil
}

// proofMemory is nil where there is one node: its own memory is enough.
func (a *app) proofMemory() oidc.ProofMemory {
	if !a.store.Shared() {
		return nil
	}
	return a.bridge
}

// apiDoor is what failures at the admin API are counted as; no application is called so.
const apiDoor = access.ClientID("/api")

// openDeliveries puts together who is told what happened: translators say to whom, senders how.
func (a *app) openDeliveries(issuer *credential.Issuer) error {
	client := egress.New(a.outside)
	hooks, err := webhooks(a.cfg)
	if err != nil {
		return err
	}
	a.webhooks = deliver.Webhooks{All: hooks, HTTP: client, Now: now}
	logouts := deliver.Logouts{Applications: a.bridge, Signer: issuer, HTTP: client, Now: now}
	a.deliver = deliver.New(deliver.Config{Store: a.store, Now: now, Node: a.works.Node,
		Senders: map[string]deliver.Sender{deliver.KindLogout: logouts, bridge.KindSignal: deliver.Signals{Streams: a.bridge, HTTP: client, Now: now},
			bridge.KindWebhook: a.webhooks},
		Observe: func(err error) { a.log.Warn("delivery", zap.Error(err)) }})
	a.relay = outbox.New(outbox.Config{Store: a.store, Now: now, Written: func() { a.deliver.Wake(); a.bridge.DeliveriesWritten() },
		Observe: func(err error) { a.log.Warn("outbox", zap.Error(err)) }}, logouts, a.bridge.Signals(), a.webhooks)
	return nil
}

// besideMux sends what is addressed to SCIM there as it was sent. ServeMux would
// redirect a path with a double slash or dots, in HTML and before anybody is
// authenticated; the front answers it in the protocol's own words.
func besideMux(front, others http.Handler) http.Handler {
	base := strings.TrimSuffix(scim.Prefix, "/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == base || strings.HasPrefix(r.URL.Path, scim.Prefix) {
			front.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// routeOf names a request for metrics: the first one or two segments of its path,
// if they are ours.
func routeOf(r *http.Request) string {
	for _, prefix := range []string{"/scim/v2", "/oauth2/authorize", "/oauth2/par", "/oauth2/token", "/oauth2/introspect", "/oauth2/userinfo", "/oauth2/revoke",
		"/oauth2/end_session", "/oauth2/keys", "/oauth2/revocations", "/oauth2/auth_request", "/ssf", "/access/v1", "/.well-known", "/connect", "/me", "/sign-in", "/api/v1", "/assets", "/schema"} {
		if r.URL.Path == prefix || strings.HasPrefix(r.URL.Path, prefix+"/") {
			return prefix
		}
	}
	return "other"
}

// acrValues lists the kinds of sign-in that are asked for anywhere.
func (a *app) acrValues() []string {
	all := append(a.bridge.DemandedACR(), a.upstreams.ACRValues()...)
	slices.Sort(all)
	return slices.Compact(all)
}

func (a *app) storeAnswers(ctx context.Context) error {
	_, err := a.bridge.Connections(ctx)
	return err
}

func (a *app) policyApplied(ctx context.Context) error {
	p, err := a.bridge.PolicyInForce(ctx)
	if err == nil && p.Version == 0 {
		err = errors.New("no policy has been applied")
	}
	return err
}

// observed is observePage of the request that ctx belongs to.
func (a *app) observed(ctx context.Context, err error) {
	a.observePage(ctx, bridge.RequestID(ctx), err)
}

// observePage logs an error once, where it was rendered, at the level its kind asks for.
func (a *app) observePage(_ context.Context, reference string, err error) {
	a.log.Log(levelOf(err), "refused", zap.String("request_id", reference), zap.String("kind", fault.KindOf(err).String()),
		zap.String("reason", fault.ReasonOf(err)), zap.Error(err))
}

// work runs what goes on behind requests until ctx ends: what each node does, and what one
// does at a time.
func (a *app) work(ctx context.Context) {
	ctx = store.Behind(ctx)
	var beside sync.WaitGroup
	for _, fn := range slices.Concat(a.beside, []func(context.Context){a.recorder.Run, a.deliver.Run, a.bridge.Run, a.followKeys}) {
		beside.Go(func() { fn(ctx) })
	}
	for name, fn := range a.oneAtATime() {
		beside.Go(func() { a.works.Work(ctx, name, fn) })
	}
	beside.Wait()
}

// oneAtATime is the work that one node does at a time, by the name that status shows.
func (a *app) oneAtATime() map[string]func(context.Context) {
	return map[string]func(context.Context){
		"audit": func(ctx context.Context) {
			if err := a.sealer.Run(ctx); err != nil {
				a.log.Error("audit sealer", zap.Error(err))
			}
		},
		"outbox":    a.relay.Run,
		"decisions": a.bridge.Decide,
		"tidying":   a.bridge.Tidy,
		"alarms":    a.bridge.RunWatch,
		"shadow":    a.bridge.WatchShadow,
		"reconcile": a.bridge.RunReconciliation,
		"sessions":  a.bridge.RunProbes,
		"receivers": a.receiver.Run,
		"requests":  func(ctx context.Context) { a.steward.Run(ctx, a.observed) },
		"keys":      a.ring.Run,
	}
}

// followKeys takes over what other nodes do with the signing keys.
func (a *app) followKeys(ctx context.Context) {
	if a.store.Shared() {
		a.ring.Follow(ctx)
	}
}

func (a *app) close() error {
	var errs []error
	if a.node != nil {
		errs = append(errs, a.node.Leave(context.Background()))
	}
	if a.hot != nil {
		errs = append(errs, a.hot.Close())
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(errs...)
}

// tlsConfig is nil when something in front of the bridge ends TLS.
func tlsConfig(t config.TLS) (*tls.Config, error) {
	if t.CertFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

func support(s config.Support) string {
	said := slices.DeleteFunc([]string{s.Name, s.Email, s.Hours}, func(part string) bool { return part == "" })
	return strings.Join(said, ", ")
}

// trustsOf are whose keys applications prove themselves with.
func trustsOf(all []config.Client) []assertion.Trust {
	out := make([]assertion.Trust, len(all))
	for i, c := range all {
		out[i] = c.Trust
	}
	return out
}

func clients(cfg *config.Config) []oidc.Client {
	out := make([]oidc.Client, len(cfg.Clients))
	for i, c := range cfg.Clients {
		out[i] = c.Client
	}
	return out
}

func providers(cfg *config.Config) []upstream.Provider {
	var out []upstream.Provider
	for _, c := range cfg.Connections {
		if c.SignIn == nil {
			continue
		}
		out = append(out, upstream.Provider{Connection: c.ID, Issuer: c.SignIn.Issuer, ClientID: c.SignIn.ClientID,
			ClientSecret: c.SignIn.ClientSecret, Authentication: c.SignIn.Authentication, AssertToIssuer: c.SignIn.AssertToIssuer, SubjectClaim: c.SignIn.SubjectClaim, TenantID: c.SignIn.TenantID,
			OAuthScopes: upstreamScopes(c.SignIn), Prompt: c.SignIn.Prompt, ACRValues: c.SignIn.ACRValues,
			RequireACR: c.SignIn.RequireACR, RequireAMR: c.SignIn.RequireAMR,
			AuthTimeClaim: c.SignIn.AuthTimeClaim, InsecureAuthTimeFromIat: c.SignIn.InsecureAuthTimeFromIat,
			ProbeEvery: c.SignIn.Probe, ProbeGrace: c.SignIn.ProbeGrace})
	}
	return out
}

// sources are the identity providers that may say something about people who are signed in.
func sources(cfg *config.Config) []inbound.Source {
	var out []inbound.Source
	for _, c := range cfg.Connections {
		if c.SignIn == nil {
			continue
		}
		s := inbound.Source{Connection: c.ID, Issuer: c.SignIn.Issuer, ClientID: c.SignIn.ClientID}
		if r := c.SignIn.Revocation; r != nil {
			s.Revocation = &inbound.Revoker{Issuer: r.Issuer, ClientID: r.ClientID, KeysURI: r.KeysURI}
		}
		out = append(out, s)
	}
	return out
}

// upstreamScopes is what an identity provider is asked for beside openid: Entra
// puts oid and tid into an ID token only with profile.
func upstreamScopes(s *config.SignIn) []string {
	if s.SubjectClaim == "oid" && !slices.Contains(s.Scopes, "profile") {
		return append([]string{"profile"}, s.Scopes...)
	}
	return s.Scopes
}
