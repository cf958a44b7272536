package scim

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/admission"
	"github.com/drawbridge-id/drawbridge/scim/dialect"
	"github.com/drawbridge-id/drawbridge/scim/schema"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// Prefix is where the server is mounted: Prefix + connection + "/Users" and so on.
const Prefix = "/scim/v2/"

// Limits that Config may loosen or tighten.
const (
	defaultTimeout   = 30 * time.Second
	defaultUserBody  = 1 << 20
	defaultGroupBody = 4 << 20
	defaultBulkBody  = 4 << 20
)

// maxTarget is the longest path and query together. A filter that needs more is
// refused by the filter's own limits anyway.
const maxTarget = 64 << 10

// Config is what a Server works with. Gate, PublicURL and Now are required.
type Config struct {
	Gate      Gate
	Selves    Selves // nil: /Me is not offered
	PublicURL string // scheme and authority that clients use, without a slash at the end; never taken from a request
	Now       func() time.Time

	ClientAddr   func(*http.Request) netip.Addr     // whose address counts as the client's; nil: nobody's is known
	Observe      func(context.Context, Observation) // told once per request, after the answer; nil: nobody listens
	Rate         admission.Rate                     // of a connection that has none of its own; zero: DefaultRate
	Timeout      time.Duration                      // the deadline of one request; 0: 30 s
	MaxUserBody  int64                              // bytes of a user's body; 0: 1 MiB
	MaxGroupBody int64                              // bytes of a group's body; 0: 4 MiB
	MaxBulkBody  int64                              // bytes of a bulk's body; 0: 4 MiB
}

// Observation is one request as it ended: what logs and metrics are made of. It
// holds no credential; Notes and Err may quote what was sent, so they are for the
// log, and dialect.Reliances makes labels of Notes.
type Observation struct {
	Method     string // one of the seven that HTTP clients use here, or "other"
	Resource   string // "Users", "Groups", "Schemas" …; "" if no route matched
	Status     int
	Connection string // "" until a credential opened it
	Duration   time.Duration
	Notes      []string // what was read leniently
	Signs      []string // what the request gave away about its sender (dialect.Signs)
	Err        error    // why, for 4xx and 5xx; not for the client

	Asked    string          // the connection in the path, whether or not anything opened it
	Traffic  traffic.Request // the request itself, for who shows it; its ID is not known here
	Compared int             // rows that a search compared because no index serves it
}

// Server is the SCIM front. It is safe for concurrent use.
type Server struct {
	gate     Gate
	selves   Selves
	base     string
	now      func() time.Time
	from     func(*http.Request) netip.Addr
	observe  func(context.Context, Observation)
	timeout  time.Duration
	maxUser  int64
	maxGroup int64
	maxBulk  int64
	routes   map[string]methods
	limits   *limits
	buffers  sync.Pool // *[]byte, so that a GET does not allocate its answer
}

// note remembers leniencies that the request relied on, each once.
func (c *call) note(notes []string) {
	all := schema.Notes(c.notes)
	all.Join(notes)
	c.notes = all
}

// signs are what an identity provider's request gave away about it.
func (c *call) signs() []string {
	if c.connection == "" {
		return nil
	}
	return dialect.Signs(dialect.Request{Agent: c.r.UserAgent(), Query: c.r.URL.RawQuery, Method: c.r.Method, Resource: c.resource, Notes: c.notes})
}

// methods maps an HTTP method to what it does on one route.
type methods map[string]action

// action is one operation, on a call that a credential has opened. It either
// writes its whole answer or returns an error, which is rendered once, in ServeHTTP.
type action func(ctx context.Context, c *call) error

// on is an action on one kind of resource, as the call's connection serves it.
func on(k kind, do func(context.Context, *call, kind) error) action {
	return func(ctx context.Context, c *call) error { return do(ctx, c, k.at(c.dir)) }
}

// call is one request on its way through the phases: open, route, parse, do, write.
type call struct {
	w          http.ResponseWriter
	r          *http.Request
	path       path
	dir        Directory
	dialect    dialect.Dialect // set with dir
	connection string          // set with dir
	resource   string          // set when a route matched
	aliased    string          // the address of the resource that /Me stands for
	notes      []string
	inside     string // whose place it holds; "" for none
	operations int    // of a bulk
	bytes      int    // read and written
	compared   int    // rows, because no index serves a search
	status     int    // set when the answer began
	broken     bool   // the answer began and cannot be finished

	told traffic.Request // outlives the call: nothing in it may hold on to the others
}

// New returns the SCIM front, to be mounted at Prefix.
func New(c Config) *Server {
	s := &Server{gate: c.Gate, selves: c.Selves, base: strings.TrimRight(c.PublicURL, "/") + Prefix, now: c.Now, from: c.ClientAddr, observe: c.Observe,
		timeout: cmp.Or(c.Timeout, defaultTimeout), maxUser: cmp.Or(c.MaxUserBody, defaultUserBody),
		maxGroup: cmp.Or(c.MaxGroupBody, defaultGroupBody), maxBulk: cmp.Or(c.MaxBulkBody, defaultBulkBody), routes: map[string]methods{}, limits: newLimits(c.Rate)}
	s.buffers.New = func() any { b := make([]byte, 0, 4<<10); return &b }
	if s.observe == nil {
		s.observe = func(context.Context, Observation) {}
	}
	if s.from == nil {
		s.from = func(*http.Request) netip.Addr { return netip.Addr{} }
	}
	s.register()
	return s
}

// register is the list of all that this server does.
func (s *Server) register() {
	for _, k := range []kind{s.users(), s.groups()} {
		s.handle(http.MethodGet, k.plural, s.list(k))
		s.handle(http.MethodPost, k.plural, on(k, s.create))
		s.handle(http.MethodGet, k.plural+"/*", on(k, s.get))
		s.handle(http.MethodPut, k.plural+"/*", on(k, s.replace))
		s.handle(http.MethodPatch, k.plural+"/*", on(k, s.patch))
		s.handle(http.MethodDelete, k.plural+"/*", on(k, s.remove))
		s.handle(http.MethodPost, k.plural+"/"+searchSegment, s.find(k))
	}
	s.handle(http.MethodPost, "Bulk", s.bulk(s.users(), s.groups()))
	for _, k := range []kind{s.roles(), s.entitlements()} {
		s.handle(http.MethodGet, k.plural, s.list(k))
		s.handle(http.MethodGet, k.plural+"/*", on(k, s.get))
		s.handle(http.MethodPost, k.plural+"/"+searchSegment, s.find(k))
	}
	s.handle(http.MethodGet, "", s.list(s.users(), s.groups(), s.roles(), s.entitlements()))
	s.handle(http.MethodPost, searchSegment, s.find(s.users(), s.groups(), s.roles(), s.entitlements()))
	s.handle(http.MethodGet, asyncSegment+"/*", s.asyncResult)
	s.handle(http.MethodGet, "ServiceProviderConfig", s.providerConfig)
	s.handle(http.MethodGet, "ResourceTypes", s.resourceTypes)
	s.handle(http.MethodGet, "ResourceTypes/*", s.resourceType)
	s.handle(http.MethodGet, "Schemas", s.schemas)
	s.handle(http.MethodGet, "Schemas/*", s.schema)
}

// handle is the only way to reach an action. What it registers runs after open has
// turned the request's credential into a directory, never before.
func (s *Server) handle(method, pattern string, do action) {
	if s.routes[pattern] == nil {
		s.routes[pattern] = methods{}
	}
	s.routes[pattern][method] = do
	if method == http.MethodGet {
		s.routes[pattern][http.MethodHead] = do
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := s.now()
	ctx, cancel := context.WithTimeout(r.Context(), s.timeout)
	defer cancel()
	c := &call{w: w, r: r}
	err := s.serve(ctx, c)
	if err != nil && c.status == 0 {
		writeError(c, asError(err))
	}
	s.leave(c)
	s.observe(r.Context(), c.observation(began, s.now(), err))
	if c.broken {
		panic(http.ErrAbortHandler) // cut the connection: half an answer must not look whole
	}
}

// serve runs the phases. A panic in any of them is an internal error.
func (s *Server) serve(ctx context.Context, c *call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.broken = c.status != 0
			err = Internal(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	if c.path, err = parsePath(c.r); err != nil {
		return err
	}
	if c.path.collection == meSegment && !c.path.hasItem {
		return s.me(ctx, c)
	}
	if err = s.open(ctx, c); err != nil {
		return s.stranger(c, err)
	}
	if err = s.admit(ctx, c, c.connection, c.dir.Rate); err != nil {
		return err
	}
	do, err := s.route(c)
	if err != nil {
		return err
	}
	return s.answered(ctx, c, do)
}

// open authenticates. What the gate refuses looks the same whatever it was.
func (s *Server) open(ctx context.Context, c *call) error {
	token, raw := bearer(c.r.Header["Authorization"])
	if token == "" {
		return Unauthorized(nil)
	}
	dir, err := s.gate.Open(ctx, Caller{Connection: c.path.connection, Bearer: token, From: s.from(c.r)})
	if err != nil {
		return sameRefusal(err)
	}
	speaks, _ := dialect.Named(dir.IdP) // a name that nobody knows is as lenient as the others
	if dir.Strict {
		speaks = speaks.Strict()
	}
	if raw && !dir.RawToken && !speaks.RawToken {
		return Unauthorized(nil)
	}
	if dir.Types == (schema.Types{}) {
		dir.Types = schema.Standard()
	}
	speaks.PatchUserStatus = cmp.Or(dir.PatchUserStatus, speaks.PatchUserStatus)
	speaks.PatchGroupStatus = cmp.Or(dir.PatchGroupStatus, speaks.PatchGroupStatus)
	c.dir, c.dialect, c.connection, c.told.Token = dir, speaks, c.path.connection, dir.Credential
	return nil
}

// sameRefusal keeps a gate from telling unknown connections and wrong tokens apart.
func sameRefusal(err error) error {
	e := asError(err)
	if e.Status >= 500 || e.Status == http.StatusTooManyRequests {
		return e
	}
	return Unauthorized(err)
}

// bearer is the token of exactly one Authorization header. raw says that it stood
// there without a scheme, which Okta's "Header" mode sends.
func bearer(header []string) (token string, raw bool) {
	if len(header) != 1 {
		return "", false
	}
	scheme, rest, found := strings.Cut(header[0], " ")
	if !found {
		return scheme, true
	}
	if !strings.EqualFold(scheme, "Bearer") || strings.ContainsAny(strings.TrimSpace(rest), " \t,") {
		return "", false
	}
	return strings.TrimSpace(rest), false
}

func boundedMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// Routes is all that the server does with a connection's credential: "GET Users/*", in
// order. It is for tests that must forget none.
func (s *Server) Routes() []string {
	var all []string
	for pattern, at := range s.routes {
		for method := range at {
			all = append(all, method+" "+pattern)
		}
	}
	slices.Sort(all)
	return all
}
