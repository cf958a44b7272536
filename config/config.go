// Package config reads the one configuration file: strict YAML, every fault at
// once, each with its place, the line, and what was probably meant.
//
// It owns YAML; nothing else of the bridge knows it. What it returns is checked:
// URLs, time zones and durations hold, scopes are resolved, rules compile. The
// environment and the files that secrets stand in come in as arguments.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// Config is a checked configuration.
type Config struct {
	Vendor      Vendor
	Server      Server
	Sessions    Sessions
	Keys        Keys
	Database    Database
	Hot         Hot
	Clients     []Client
	Connections []Connection
	Webhooks    []Webhook
	Policy      mapping.PolicySource // scopes, connections and rules; it compiles
	Files       Files                // what all this was read from
	Text        string               // the configuration's own files, Masked
}

// Vendor is who runs the bridge.
type Vendor struct {
	Name    string // also the host scope's name
	Support Support
}

// Support is whom a person without access may ask.
type Support struct{ Name, Email, Hours string }

// Server is how the bridge is reached.
type Server struct {
	Listen        string // host:port
	PublicURL     string // the issuer: an origin without a path; https unless loopback
	MetricsListen string // host:port of /metrics, /healthz and /readyz
	Data          string // folder of the databases and keys
	TLS           TLS
	LogLevel      string // debug, info, warn or error
	// TrustedProxies say in X-Forwarded-For whose request it is; nobody else is believed.
	TrustedProxies []netip.Prefix
	SCIMRate       access.Rate // of a connection that has none of its own; zero: the usual one
	SignInRate     access.Rate // steps of sign-ins from one network; zero: the usual one
	ClientFailures access.Rate // of a client that does not prove itself, from one network; zero: the usual one
	// SCIMLog is how many SCIM requests are kept of each connection; 0: none.
	SCIMLog int
	// Drain is how long the node is not ready, and still serves, before it ends.
	Drain time.Duration
	Node  string // what people call this node; "": as its machine is called
}

// TLS names the server's certificate and key; both empty: something in front ends TLS.
type TLS struct{ CertFile, KeyFile string }

// Sessions are how long things last.
type Sessions struct {
	AccessToken time.Duration // at most 5 minutes: the longest an offline check can be wrong
	Absolute    time.Duration // of a browser session
	Refresh     time.Duration // of a refresh family; never past the session's
	Offline     time.Duration // of a session that outlives the browser's, for an application with offline_access
	DPoPNonce   bool          // DPoP proofs must carry a nonce of ours
}

// Keys is when signing keys change, and what wraps all keys at rest.
type Keys struct {
	Rotate       time.Duration // for how long a key signs
	PublishAhead time.Duration // for how long it is published before
	Keep         time.Duration // for how long it verifies, and is published, after
	Root         Root
}

// Root is what wraps the data key, which everything at rest is sealed under: the key in a file
// (File; neither: root.key in the data folder), or one that a command reaches.
type Root struct {
	File    string
	Command []string      // a program by its absolute path, and its arguments
	Timeout time.Duration // for one run of the command; zero without one
}

// Client is a registered application.
type Client struct {
	oidc.Client
	Secret secret.String // what SecretDigest is of; empty if it has none
}

// Connection is a customer's link to its identity provider.
type Connection struct {
	access.Connection
	SignIn *SignIn // nil: people are provisioned but cannot sign in yet
	// Trust is whose signed word opens the connection over SCIM, beside tokens and secrets.
	Trust assertion.Trust
}

// SignIn is how people of a connection prove who they are.
type SignIn struct {
	Issuer       string
	ClientID     string
	ClientSecret secret.String
	// Authentication is client_secret_basic, client_secret_post or private_key_jwt; "": a
	// secret, in the way that the provider prefers.
	Authentication string
	AssertToIssuer bool
	SubjectClaim   string   // "oid" for Entra, "sub" elsewhere, unless named
	TenantID       string   // Entra's directory id
	Scopes         []string // beside openid
	Prompt         string   // "", "login" or "select_account"
	ACRValues      []string // asked for at each sign-in
	RequireACR     []string // one of them must be proven; nil: any
	RequireAMR     []string // likewise

	AuthTimeClaim           string // "" for auth_time
	InsecureAuthTimeFromIat bool

	Revocation *Revocation // nil: the provider may not ask to end all that a person has
	Signals    *Signals    // nil: none are received

	Probe, ProbeGrace time.Duration // 0: the provider is asked nothing; sessions live on unanswered
}

// Revocation is who may ask to end all that a person has (Okta's Universal Logout).
type Revocation struct {
	Issuer   string
	ClientID string
	KeysURI  string
}

// Signals is how security events of a provider are received (Shared Signals Framework 1.0).
type Signals struct {
	Issuer           string // of the transmitter
	ConfigurationURL string
	Push             bool
	Every            time.Duration // between two polls
	Events           []string      // those that may have an effect, by short names
	// EndOnCredentialChange ends what a person has when their credentials change.
	EndOnCredentialChange bool

	Bearer         secret.String // empty: client credentials
	ClientID       string
	ClientSecret   secret.String
	Authentication string // as of a SignIn
	TokenEndpoint  string
	Scopes         []string
}

// Load reads the configuration: a file, or every *.yaml of a directory. environ is
// os.Environ() or a part of it. The error is *Problems if the files could be read.
func Load(path string, environ []string) (*Config, error) {
	files, err := readAll(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return ParseFiles(path, files, environ, ReadFile)
}

// Parse checks a configuration of one file. name stands in the report; environ
// overrides and supplies secrets; read opens the files that secrets stand in. The
// error is *Problems.
func Parse(name string, data []byte, environ []string, read func(string) ([]byte, error)) (*Config, error) {
	return ParseFiles(name, []File{{Name: name, Data: data}}, environ, read)
}

// ParseFiles is Parse for a configuration of several files, which are merged: lists
// by id, mappings by key. name is the whole's.
func ParseFiles(name string, files []File, environ []string, read func(string) ([]byte, error)) (*Config, error) {
	seen := recorder{read: read, seen: map[string][]byte{}}
	all := &gathered{whole: name}
	root, ok := all.open(files, seen.seen)
	var c *Config
	if ok {
		l := &loader{report: root.report, env: readEnvironment(environ), read: seen.file, blamed: map[mapping.Pos]bool{}}
		c = l.config(root)
	}
	if err := all.problems(seen.files(name)); err != nil {
		return nil, err
	}
	c.Files, c.Text = seen.files(name), all.text(files)
	return c, nil
}

// open parses the files into one document. It is false if one of them could not be
// parsed: what it holds would be missed everywhere.
func (g *gathered) open(files []File, seen map[string][]byte) (root field, ok bool) {
	ok = true
	for _, f := range files {
		seen[f.Name] = append([]byte{}, f.Data...)
		data := bytes.TrimPrefix(f.Data, []byte("\ufeff")) // some editors begin a file with a byte order mark
		r := g.add(f.Name, data)
		doc, parsed := r.document(data, len(files) > 1)
		ok = ok && parsed
		switch {
		case doc.value == nil:
		case root.value == nil:
			root = doc
		default:
			root.more = append(root.more, doc)
		}
	}
	if ok && root.value == nil {
		g.reports[0].add(mapping.Pos{File: g.whole}, 0, "there is nothing in these files; examples/drawbridge.yaml shows what may stand in one", "")
		return field{}, false
	}
	return root, ok
}

// text is the text of the files, masked; of several, each behind its name.
func (g *gathered) text(files []File) string {
	if len(files) == 1 {
		return masked(string(files[0].Data), g.reports[0].hidden)
	}
	var b strings.Builder
	for i, f := range files {
		fmt.Fprintf(&b, "# %s\n%s\n", f.Name, strings.TrimRight(masked(string(f.Data), g.reports[i].hidden), "\n"))
	}
	return b.String()
}

// unquoted says what most often stands behind a message of the YAML parser.
func unquoted(message string) string {
	if strings.Contains(message, "is not allowed in this context") || strings.Contains(message, "must be specified") {
		return "; a text that holds quotes, braces or a colon and a space may need quotes around all of it"
	}
	return ""
}

// document parses YAML into its one document. It is empty, and that is a fault only
// if no other file is read, if there is none.
func (r *report) document(data []byte, others bool) (field, bool) {
	if len(data) > maxFile {
		r.add(mapping.Pos{File: r.name}, 0, fmt.Sprintf("the file is larger than %d MiB", maxFile>>20), "")
		return field{}, false
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		r.add(posOf(r.name, syntax.Token), width(syntax.Token), "this is not YAML: "+syntax.Message+unquoted(syntax.Message), "")
		return field{}, false
	case err != nil:
		r.add(mapping.Pos{File: r.name}, 0, "this is not YAML", "")
		return field{}, false
	}
	var docs []*ast.DocumentNode
	for _, d := range file.Docs {
		if d.Body != nil {
			r.hideSecrets(d.Body)
			docs = append(docs, d)
		}
	}
	if len(docs) == 0 && others {
		return field{report: r}, true
	}
	if len(docs) == 0 {
		r.add(mapping.Pos{File: r.name}, 0, "the file is empty; examples/drawbridge.yaml shows what may stand in it", "")
		return field{}, false
	}
	if len(docs) > 1 {
		r.add(posOf(r.name, docs[1].Start), 3, "there are several documents in this file; one is read", "")
		return field{}, false
	}
	return field{report: r, value: docs[0].Body}, true
}

// loader turns the document into a Config.
type loader struct {
	*report
	env      environment
	read     func(string) ([]byte, error)
	stored   bool // the scope tree is kept in the store: paths are taken as they are
	loopback bool // public_url is this machine: literal secrets are allowed
	// blamed are the rules and tests that could not be read in full: what they lack is no news.
	blamed map[mapping.Pos]bool
	// shapeless is whether there is no telling which attributes somebody's people have.
	shapeless bool
}

func (l *loader) config(root field) *Config {
	b, ok := root.open("version", "vendor", "server", "sessions", "keys", "database", "hot", "clients", "scopes", "scopes_file", "connections",
		"attributes", "conditions", "grants", "risk", "rules", "guard", "requests", "reviews", "tests", "webhooks")
	if !ok {
		return nil
	}
	c := &Config{}
	l.version(b)
	c.Vendor = l.vendor(b)
	c.Server = l.server(b)
	l.loopback = IsLoopbackURL(c.Server.PublicURL)
	c.Sessions = l.sessions(b)
	c.Keys = l.keys(b, c.Sessions)
	c.Database = l.database(b)
	c.Hot = l.hot(b)
	if c.Server.Drain == 0 && c.Hot.Redis != nil {
		c.Server.Drain = usualDrain
	}
	c.Clients = l.clients(b)
	l.policy(b, c)
	c.Webhooks = l.webhooks(b, c.Connections)
	l.env.leftOver(l.report)
	return c
}

func (l *loader) version(b block) {
	f, ok := b.need("version")
	if !ok {
		return
	}
	for _, f := range append([]field{f}, f.more...) {
		if v, isInt := f.value.(*ast.IntegerNode); !isInt || v.Token.Value != "1" {
			f.say("this bridge reads version 1")
		}
	}
}

func (l *loader) vendor(root block) Vendor {
	f, ok := root.need("vendor")
	if !ok {
		return Vendor{}
	}
	b, ok := f.open("name", "support")
	if !ok {
		return Vendor{}
	}
	v := Vendor{Name: b.needText("name")}
	if f, ok := b.get("support"); ok {
		s, _ := f.open("name", "email", "hours")
		v.Support = Support{Name: s.text("name"), Email: s.email("email"), Hours: s.text("hours")}
	}
	return v
}

func (l *loader) sessions(root block) Sessions {
	usual := Sessions{AccessToken: 5 * time.Minute, Absolute: 12 * time.Hour, Refresh: 12 * time.Hour, Offline: 30 * 24 * time.Hour}
	f, ok := root.get("sessions")
	if !ok {
		return usual
	}
	b, _ := f.open("access_token", "absolute", "refresh", "offline", "dpop_nonce")
	s := Sessions{
		AccessToken: b.duration("access_token", usual.AccessToken, 5*time.Minute),
		Absolute:    b.duration("absolute", usual.Absolute, 30*24*time.Hour),
	}
	s.Offline = b.duration("offline", usual.Offline, maxRefresh)
	s.DPoPNonce = b.oneOf("dpop_nonce", "optional", "required") == "required"
	s.Refresh = b.duration("refresh", s.Absolute, 30*24*time.Hour)
	if r, ok := b.get("refresh"); ok && s.Refresh > s.Absolute {
		r.say("a refresh token cannot outlive the session, which ends after %s", short(s.Absolute))
	}
	return s
}
