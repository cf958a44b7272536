package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/examples"
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/assertion"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/demo"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/httpserver"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// demoFolder is where a demo without --data leaves its address for other terminals;
// "" if this user has no folder for such things.
func demoFolder() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "drawbridge-demo")
}

const controlFile = "demo-control.json"

func (c *cli) demo() *cobra.Command {
	var listen, file, hot, base string
	cmd := &cobra.Command{Use: "demo", Short: "Run everything on this machine: bridge, identity providers, an application",
		Long: "demo starts the bridge, an Entra-like and an Okta-like identity provider and a sample application in one\nprocess, provisions the sample organisation over SCIM, and says what to try. With --data its state is kept.",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			return c.runDemo(cmd.Context(), listen, file, base, hot)
		}}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8443", "the bridge's address, on loopback; port 0 takes free ports")
	cmd.Flags().StringVar(&file, "config", "", "another configuration than the sample organisation")
	cmd.Flags().StringVar(&base, "store", "", "a PostgreSQL for the directory, such as postgres://drawbridge@127.0.0.1/drawbridge, instead of the demo's own folder")
	cmd.Flags().StringVar(&hot, "hot", "", "a Redis for what is short-lived, such as redis://127.0.0.1:6379, instead of the demo's own folder")
	cmd.AddCommand(c.demoChange("disable", "Make the demo's identity provider send its real deactivation of a person"),
		c.demoChange("enable", "Make the demo's identity provider restore a person"), c.demoToken(), c.demoBridge(), c.demoProviders())
	return cmd
}

// demoRun is one running demo.
type demoRun struct {
	folder  string // the bridge's data
	address string // the folder that other terminals look in
	kept    bool
	servers *demo.Servers
	cfg     *config.Config
	sample  bool                // cfg is the sample organisation
	others  []config.Connection // those whose identity providers the demo does not play
	secrets demoSecrets
}

func (c *cli) runDemo(ctx context.Context, listen, file, base, hot string) (err error) {
	cfg, err := c.demoConfig(file)
	if err != nil {
		return err
	}
	if err := onPostgres(cfg, base); err != nil {
		return failed(exitUsage, "--store: %s", fault.DetailOf(err))
	}
	if err := onRedis(cfg, hot); err != nil {
		return failed(exitUsage, "--hot: %s", fault.DetailOf(err))
	}
	d, err := c.demoFolders(base)
	if err != nil {
		return failed(exitUsage, "the demo cannot start: %w", err)
	}
	defer func() { err = errors.Join(err, d.cleanUp()) }()
	d.cfg, d.sample = cfg, file == ""
	for _, c := range cfg.Connections {
		if bringsIdP(c) {
			d.others = append(d.others, c)
		}
	}
	if d.secrets, err = readDemoSecrets(d.folder); err != nil {
		return failed(exitUsage, "the demo cannot start: %w", err)
	}
	d.servers, err = demo.Open(demo.Options{Listen: listen, Data: c.data, Control: filepath.Join(d.address, controlFile),
		Connections: specs(cfg), Command: called(), Now: time.Now, Problem: func(err error) { fmt.Fprintln(c.err, err) }})
	if err != nil {
		return failed(exitUsage, "the demo cannot start: %w", err)
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, d.servers.Stop(stopping))
	}()
	d.adapt()
	a, err := open(ctx, d.cfg, setting{insecureLoopbackEgress: true, log: c.err})
	if err != nil {
		return failed(exitUsage, "the demo cannot start: %w", err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.hotAnswers(ctx); err != nil {
		return failed(exitUsage, "the demo cannot start, for Redis does not answer: %w", err)
	}
	return c.play(ctx, d, a)
}

// play runs the bridge and the demo's servers until ctx ends.
func (c *cli) play(ctx context.Context, d *demoRun, a *app) (err error) {
	if err := a.demoTokens(ctx, &d.secrets); err != nil {
		return err
	}
	if err := d.secrets.write(d.folder); err != nil {
		return err
	}
	w := d.secrets.wiring()
	if err := d.servers.Start(w); err != nil {
		return err
	}
	withdraw, err := a.announce(d.address, a.cfg.Server.PublicURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, withdraw()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		served <- a.serveOn(ctx, httpserver.Listener{Name: "public", Listener: d.servers.BridgeListener(), Handler: a.public})
		cancel()
	}()
	report, err := d.servers.Sync(ctx)
	if err != nil && ctx.Err() == nil {
		a.log.Error("the demo's identity providers could not send everything", zap.Error(err))
	}
	if c.json {
		err = json.NewEncoder(c.out).Encode(a.announcement(ctx, d, d.servers.Announce(w, a.admin)))
	} else {
		err = d.servers.Banner(c.out, report, d.holds(ctx, a))
	}
	if err != nil {
		cancel()
	}
	return errors.Join(err, <-served)
}

// demoConfig is the sample organisation, or another configuration.
func (c *cli) demoConfig(file string) (*config.Config, error) {
	if file != "" {
		return c.load(file)
	}
	cfg, err := config.Parse("examples/drawbridge.yaml", examples.Drawbridge, c.env, config.ReadFile)
	if err != nil {
		return nil, &exit{code: exitUsage, err: err}
	}
	cfg.Server.LogLevel = "warn" // a demo's terminal is for people
	return cfg, nil
}

// demoFolders makes the folders: --data keeps everything; without it the bridge's
// data is thrown away at the end, and only the address is left for other terminals. What opens
// a database elsewhere is kept, as that is.
func (c *cli) demoFolders(base string) (*demoRun, error) {
	if c.data != "" {
		return &demoRun{folder: c.data, address: c.data, kept: true}, os.MkdirAll(c.data, 0o700)
	}
	if kept := demoFolder(); base != "" && kept != "" {
		sum := sha256.Sum256([]byte(base))
		folder := filepath.Join(kept, "store-"+hex.EncodeToString(sum[:8]))
		return &demoRun{folder: folder, address: kept, kept: true}, os.MkdirAll(folder, 0o700)
	}
	folder, err := os.MkdirTemp("", "drawbridge-demo-")
	if err != nil {
		return nil, err
	}
	d := &demoRun{folder: folder, address: demoFolder()}
	if d.address == "" {
		d.address = folder
	}
	return d, os.MkdirAll(d.address, 0o700)
}

func (d *demoRun) cleanUp() error {
	if d.kept {
		return nil
	}
	return os.RemoveAll(d.folder)
}

// adapt points the configuration at the demo's own servers.
func (d *demoRun) adapt() {
	d.cfg.Server.Data, d.cfg.Server.Drain = d.folder, 0 // nothing stands in front of it
	d.cfg.Server.PublicURL = d.servers.BridgeURL()
	for _, p := range d.servers.Providers() {
		at := slices.IndexFunc(d.cfg.Connections, func(c config.Connection) bool { return string(c.ID) == p.Connection })
		d.cfg.Connections[at].SignIn = &config.SignIn{Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret,
			SubjectClaim: config.SubjectClaim(p.Vendor), TenantID: p.TenantID}
	}
	at := slices.IndexFunc(d.cfg.Clients, func(c config.Client) bool { return c.ID == fleetWeb })
	if at < 0 {
		at = len(d.cfg.Clients)
		d.cfg.Clients = append(d.cfg.Clients, config.Client{Client: oidc.Client{ID: fleetWeb, Name: "Fleet Web"}})
	}
	app := &d.cfg.Clients[at]
	app.Secret, app.SecretDigest, app.Trust = secret.New(d.secrets.ClientSecret), credential.DigestOf(d.secrets.ClientSecret), assertion.Trust{}
	app.RedirectURIs, app.PostLogoutRedirectURIs = []string{d.servers.AppRedirectURI()}, []string{d.servers.AppPostLogoutURI()}
}

// specs says which identity providers the demo must play for a configuration: those
// of all connections that bring none of their own.
func specs(cfg *config.Config) []demo.Spec {
	out := []demo.Spec{}
	for _, c := range cfg.Connections {
		if bringsIdP(c) {
			continue
		}
		out = append(out, specOf(cfg, c))
	}
	return out
}

func specOf(cfg *config.Config, c config.Connection) demo.Spec {
	s := demo.Spec{ID: string(c.ID), IdP: c.IdP, Name: c.Name, Domains: c.Domains}
	for _, r := range cfg.Policy.Rules {
		if r.From == c.ID && r.Group != "" {
			s.Groups = append(s.Groups, fits(cfg.Policy.Scopes, c.Ceiling.Scope, r.Group))
		}
	}
	return s
}

// bringsIdP reports whether a connection's identity provider runs on this machine, as
// one that somebody tries out does. The demo plays all others.
func bringsIdP(c config.Connection) bool {
	return c.SignIn != nil && config.IsLoopbackURL(c.SignIn.Issuer)
}

// fits replaces the captures of a group pattern by the slug of the first scope of
// that level under the ceiling, so that invented people match the rule.
func fits(scopes []access.Scope, ceiling access.ScopeID, pattern string) string {
	tree, err := access.NewTree(scopes)
	if err != nil {
		return pattern // the configuration has been checked: unreachable
	}
	for _, level := range []access.Level{access.ServiceProvider, access.Account, access.Fleet} {
		for _, s := range tree.All() {
			if s.Level == level && tree.Covers(ceiling, s.ID) {
				pattern = strings.ReplaceAll(pattern, "{"+level.String()+"}", s.Slug)
			}
		}
	}
	return pattern
}

// called is how this program was started, as people would type it again.
func called() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/drawbridge"
	}
	return os.Args[0]
}

// demoChange tells a running demo's identity provider to change a person.
func (c *cli) demoChange(act, short string) *cobra.Command {
	return &cobra.Command{Use: act + " PERSON", Short: short, Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		out, err := c.askDemo(cmd.Context(), act, args[0])
		if err != nil {
			return err
		}
		if c.json {
			return c.print(out)
		}
		fmt.Fprint(c.out, out)
		return nil
	}}
}

// demoToken signs a person of the running demo in.
func (c *cli) demoToken() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "token PERSON", Short: "Sign a person of the demo in, and print an access token of theirs", Args: cobra.ExactArgs(1),
		Long: "token signs a person in through the demo's own identity provider, and prints their access token, which lives for some\nminutes: with --token-file, other commands act as that person by it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			out, err := c.askDemo(cmd.Context(), "token", args[0])
			if err != nil {
				return err
			}
			if c.json {
				return c.print(out)
			}
			if file == "" {
				fmt.Fprintln(c.out, out.Token)
				return nil
			}
			if err := os.WriteFile(file, []byte(out.Token+"\n"), 0o600); err != nil {
				return failed(exitUsage, "cannot write the token: %w", err)
			}
			fmt.Fprintf(c.out, "%s is signed in; their token is in %s, and lives for some minutes.\n", out.Person, file)
			return nil
		}}
	cmd.Flags().StringVar(&file, "out", "", "write the token into this file, which only you can read")
	return cmd
}

// askDemo asks the running demo to do something with a person.
func (c *cli) askDemo(ctx context.Context, act, person string) (demo.Outcome, error) {
	folder := c.data
	if folder == "" {
		folder = demoFolder()
	}
	control, err := demo.ReadControl(filepath.Join(folder, controlFile))
	if err != nil {
		return demo.Outcome{}, failed(exitUnreachable, "%w", err)
	}
	out, err := control.Change(ctx, act, person)
	switch {
	case errors.Is(err, demo.ErrNotRunning):
		return out, failed(exitUnreachable, "%w", err)
	case err != nil:
		return out, failed(exitNo, "%w", err)
	}
	return out, nil
}
