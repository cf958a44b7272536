package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/demo"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// demoBridge is serve for a demo of several processes on one machine.
func (c *cli) demoBridge() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "bridge --config FILE", Short: "Run one bridge of a demo of several, as serve does", Args: cobra.NoArgs,
		Long: "bridge is serve, with one difference: it may call identity providers at http addresses of this machine, which a\nbridge that is not a demo's never does. It refuses a configuration whose server.public_url is not this machine.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(file)
			if err != nil {
				return err
			}
			if !config.IsLoopbackURL(cfg.Server.PublicURL) {
				return failed(exitUsage, "server.public_url is %s, which is not this machine: a demo's bridge may call addresses that no other may; run drawbridge serve", cfg.Server.PublicURL)
			}
			return c.serveConfig(cmd.Context(), cfg, file, setting{insecureLoopbackEgress: true})
		}}
	cmd.Flags().StringVar(&file, "config", "drawbridge.yaml", "configuration file")
	return cmd
}

// demoProviders plays the identity providers of bridges that run elsewhere.
func (c *cli) demoProviders() *cobra.Command {
	var file, keep, bind string
	cmd := &cobra.Command{Use: "providers --config FILE", Short: "Run the demo's identity providers and Fleet Web beside bridges that run elsewhere", Args: cobra.NoArgs,
		Long: "providers plays the identity provider of each connection whose sign_in.issuer is an address of this machine, and\nFleet Web where the client " + fleetWeb + " says it is. It asks the bridge that --data or --url names for SCIM tokens,\nsends the sample organisation's people to server.public_url, and says what to try.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(file)
			if err != nil {
				return err
			}
			return c.provide(cmd.Context(), cfg, keep, bind)
		}}
	cmd.Flags().StringVar(&file, "config", "drawbridge.yaml", "the bridges' configuration")
	cmd.Flags().StringVar(&keep, "keep", "demo-data", "the folder of the providers' own: directories, SCIM tokens, sessions of Fleet Web")
	cmd.Flags().StringVar(&bind, "insecure-bind", "", "listen at this address instead of loopback: for a container whose ports are published on loopback alone")
	return cmd
}

// provide runs the providers until ctx ends.
func (c *cli) provide(ctx context.Context, cfg *config.Config, keep, bind string) (err error) {
	at, specs, err := placesIn(cfg)
	if err != nil {
		return err
	}
	at.InsecureBind = bind
	if err := os.MkdirAll(keep, 0o700); err != nil {
		return failed(exitUsage, "the providers cannot start: %w", err)
	}
	secrets, err := c.tokensOf(ctx, cfg, specs, keep)
	if err != nil {
		return err
	}
	servers, err := demo.Beside(demo.Options{Data: keep, Control: filepath.Join(keep, controlFile), Connections: specs, Command: called(), Now: time.Now,
		Problem: func(err error) { fmt.Fprintln(c.err, err) }}, at)
	if err != nil {
		return failed(exitUsage, "the providers cannot start: %w", err)
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, servers.Stop(stopping))
	}()
	w := secrets.wiring()
	if err := servers.Start(w); err != nil {
		return err
	}
	report, err := servers.Sync(ctx)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(c.err, "the identity providers could not send everything:", err)
	}
	if c.json { // as the demo does, without an administrator's token, which is each bridge's own
		err = json.NewEncoder(c.out).Encode(servers.Announce(w, secret.String{}))
	} else {
		err = servers.Banner(c.out, report, nil)
	}
	if err == nil {
		<-ctx.Done()
	}
	return err
}

// placesIn is where the configuration says that everything is.
func placesIn(cfg *config.Config) (demo.Place, []demo.Spec, error) {
	at := demo.Place{Bridge: cfg.Server.PublicURL}
	n := slices.IndexFunc(cfg.Clients, func(c config.Client) bool { return c.ID == fleetWeb && len(c.RedirectURIs) > 0 })
	if n < 0 {
		return at, nil, failed(exitUsage, "the configuration has no client %s with redirect_uris: that is where the sample application is", fleetWeb)
	}
	u, err := url.Parse(cfg.Clients[n].RedirectURIs[0])
	if err != nil || u.Path != "/callback" {
		return at, nil, failed(exitUsage, "the first of redirect_uris of %s does not end in /callback, where the sample application expects people back", fleetWeb)
	}
	at.App = u.Scheme + "://" + u.Host
	specs := []demo.Spec{}
	for _, c := range cfg.Connections {
		if !bringsIdP(c) {
			continue
		}
		s := specOf(cfg, c)
		s.Issuer, s.Tenant, s.ClientID, s.ClientSecret = c.SignIn.Issuer, c.SignIn.TenantID, c.SignIn.ClientID, c.SignIn.ClientSecret
		specs = append(specs, s)
	}
	if len(specs) == 0 {
		return at, nil, failed(exitUsage, "no connection's sign_in.issuer is an address of this machine: there is nothing to play")
	}
	return at, specs, nil
}

// tokensOf are SCIM tokens that open the connections: those of an earlier run, or new ones.
func (c *cli) tokensOf(ctx context.Context, cfg *config.Config, specs []demo.Spec, keep string) (demoSecrets, error) {
	secrets, err := readDemoSecrets(keep)
	if err != nil {
		return secrets, failed(exitUsage, "the providers cannot start: %w", err)
	}
	for _, client := range cfg.Clients {
		if client.ID == fleetWeb {
			secrets.ClientSecret = client.Secret.Reveal()
		}
	}
	all, err := c.allConnections(ctx)
	if err != nil {
		return secrets, err
	}
	for _, s := range specs {
		at := slices.IndexFunc(all, func(x api.Connection) bool { return string(x.ID) == s.ID })
		if at < 0 {
			return secrets, failed(exitUsage, "the bridge has no connection %s: is it another configuration's?", s.ID)
		}
		if standing(all[at].Tokens, secrets.SCIMTokens[s.ID]) {
			continue
		}
		var made api.NewToken
		if err := c.ask(ctx, http.MethodPost, "/connections/"+url.PathEscape(s.ID)+"/tokens", map[string]any{"note": demoNote, "days": int(demoTokenLife.Hours() / 24)}, &made); err != nil {
			return secrets, err
		}
		secrets.SCIMTokens[s.ID] = made.Secret
		if err := secrets.write(keep); err != nil { // at once: two may live, and a third is refused
			return secrets, err
		}
	}
	return secrets, nil
}

// standing reports whether a token still opens the connection that has these.
func standing(tokens []api.Token, token string) bool {
	id, _, err := credential.ParseSCIMToken(token)
	return err == nil && slices.ContainsFunc(tokens, func(t api.Token) bool { return t.ID == id && t.Revoked == nil && time.Until(t.Expires) > endsSoon })
}
