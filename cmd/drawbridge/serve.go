package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/httpserver"
	"github.com/drawbridge-id/drawbridge/mapping"
)

func (c *cli) serve() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "serve --config FILE", Short: "Run the bridge", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		cfg, err := c.load(file)
		if err != nil {
			return err
		}
		return c.serveConfig(cmd.Context(), cfg, file, seams(c.env))
	}}
	cmd.Flags().StringVar(&file, "config", "drawbridge.yaml", "configuration file")
	return cmd
}

// load reads a configuration, or tells all that is wrong with it.
func (c *cli) load(file string) (*config.Config, error) {
	cfg, err := config.Load(file, c.env)
	if err != nil {
		return nil, &exit{code: exitUsage, err: err}
	}
	if c.data != "" {
		cfg.Server.Data = c.data
	}
	return cfg, nil
}

func (c *cli) serveConfig(ctx context.Context, cfg *config.Config, file string, allowed setting) (err error) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	allowed.log = c.err
	a, err := open(ctx, cfg, allowed)
	if err != nil {
		return failed(exitUsage, "the bridge cannot start: %w", err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	a.beside = append(a.beside, a.follow(func() (*config.Config, error) { return c.load(file) }, hangup).run)
	public, err := net.Listen("tcp", cfg.Server.Listen)
	if err != nil {
		return failed(exitUsage, "server.listen: %w", err)
	}
	operations, err := net.Listen("tcp", cfg.Server.MetricsListen)
	if err != nil {
		return failed(exitUsage, "server.metrics_listen: %w", errors.Join(err, public.Close()))
	}
	secure, err := tlsConfig(cfg.Server.TLS)
	if err != nil {
		return failed(exitUsage, "server.tls: %w", err)
	}
	withdraw, err := a.announce(cfg.Server.Data, nearby(public.Addr(), operations.Addr(), secure != nil))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, withdraw()) }()
	fmt.Fprintf(c.err, "drawbridge %s serves %s; health and metrics on http://%s\n", version(), cfg.Server.PublicURL, operations.Addr())
	return a.serveOn(ctx, httpserver.Listener{Name: "public", Listener: public, Handler: a.public, TLS: secure},
		httpserver.Listener{Name: "operations", Listener: operations, Handler: a.operations})
}

// nearby is the address at which a command on this machine reaches the admin API:
// the operations listener, which is plain HTTP, when it is on loopback; else the
// public one. The public URL may lead elsewhere, or nowhere yet.
func nearby(public, operations net.Addr, secure bool) string {
	if at, ok := operations.(*net.TCPAddr); ok && at.IP.IsLoopback() {
		return "http://" + at.String()
	}
	scheme, at := "http://", public.String()
	if secure {
		scheme = "https://"
	}
	if tcp, ok := public.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		at = net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return scheme + at
}

// announce writes into a folder where the command line finds this bridge, and gives
// what takes it away again.
func (a *app) announce(folder, at string) (withdraw func() error, err error) {
	there := address{APIURL: apiURL(at), AdminToken: a.admin.Reveal()}
	return func() error { return there.withdraw(folder) }, there.write(folder)
}

// serveOn serves until ctx ends, with the background work beside it, and ends both.
func (a *app) serveOn(ctx context.Context, listeners ...httpserver.Listener) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		a.work(working)
	}()
	if a.node != nil {
		defer context.AfterFunc(ctx, a.node.Drain)()
	}
	err := httpserver.Serve(ctx, a.log, &a.drain, listeners...)
	stop()
	<-worked
	return err
}

func (c *cli) check() *cobra.Command {
	file, scopes := "drawbridge.yaml", ""
	cmd := &cobra.Command{Use: "check [FILE|DIR]", Short: "Say all that is wrong with a configuration, at once", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				file = args[0]
			}
			return c.checkFile(file, scopes)
		}}
	cmd.Flags().StringVar(&file, "config", file, "configuration file, if none is named")
	cmd.Flags().StringVar(&scopes, "scopes", "", "for a tree that is kept in the store: what scope list --json printed")
	return cmd
}

func (c *cli) checkFile(file, scopes string) error {
	cfg, err := config.Load(file, c.env)
	var problems *config.Problems
	switch {
	case errors.As(err, &problems) && c.json:
		return errors.Join(c.print(problems), &exit{code: exitUsage})
	case err != nil:
		return &exit{code: exitUsage, err: err}
	}
	if err := checkPaths(cfg.Policy, scopes); err != nil {
		return err
	}
	now := time.Now()
	switch done, err := runTests(file, cfg, nil, now); {
	case err != nil:
		return err
	case done.Failed > 0:
		return c.failing(done)
	}
	findings := cfg.Findings(now)
	if c.json {
		return c.print(map[string]any{"ok": true, "scopes": len(cfg.Policy.Scopes), "connections": len(cfg.Connections), "rules": len(cfg.Policy.Rules),
			"tests": len(cfg.Policy.Tests), "applications": len(cfg.Clients), "findings": append([]config.Finding{}, findings...)})
	}
	for _, f := range findings {
		fmt.Fprintf(c.out, "%s:%d:%d: warning: %s\n", legible(f.Pos.File), f.Pos.Line, f.Pos.Col, legible(f.Message))
	}
	fmt.Fprintf(c.out, "%s holds. Scopes: %d. Connections: %d. Rules: %d. Tests: %d. Applications: %d.\n", legible(file),
		len(cfg.Policy.Scopes), len(cfg.Connections), len(cfg.Policy.Rules), len(cfg.Policy.Tests), len(cfg.Clients))
	if cfg.Policy.TreeInStore && scopes == "" {
		fmt.Fprintln(c.out, "The scope tree is kept in the store: whether the paths exist was not checked. --scopes FILE does, with what drawbridge scope list --json printed.")
	}
	return nil
}

// checkPaths holds what a policy says of scopes against a tree that was listed.
func checkPaths(policy mapping.PolicySource, file string) error {
	if file == "" {
		return nil
	}
	if !policy.TreeInStore {
		return failed(exitUsage, "--scopes is for a file that says scopes: store; this one has a tree of its own")
	}
	body, err := readTableFile(file)
	if err != nil {
		return failed(exitUsage, "--scopes: %w", err)
	}
	src, err := bridge.WithSnapshot(policy, body)
	if err == nil {
		_, err = mapping.Compile(src)
	}
	if err != nil {
		return failed(exitUsage, "%s", cmp.Or(fault.DetailOf(err), err.Error()))
	}
	return nil
}
