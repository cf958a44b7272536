package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"github.com/drawbridge-id/drawbridge/internal/api"
)

// signInWithin is how long somebody has for signing in.
const signInWithin = 5 * time.Minute

// signingIn is one sign-in of a person at this machine, by the browser (RFC 8252).
type signingIn struct {
	client, redirect, file string
	scopes                 []string
}

func (c *cli) signIn() *cobra.Command {
	s := signingIn{}
	cmd := &cobra.Command{Use: "sign-in", Short: "Sign in as yourself in the browser, and keep an access token for other commands", Args: cobra.NoArgs,
		Long: "sign-in prints an address to open in a browser. Who has signed in there acts by the token that is written to --token-file:\nit stands on the one grant that is active, and lives for some minutes. The bridge must know a public client with that\n--redirect, an address on this machine.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.url == "" || c.token == "" {
				return failed(exitUsage, "sign-in needs --url with the bridge's address, and --token-file for the token")
			}
			s.file = c.token
			ctx, cancel := context.WithTimeout(cmd.Context(), signInWithin)
			defer cancel()
			return c.signInBy(ctx, s)
		}}
	cmd.Flags().StringVar(&s.client, "client", "drawbridge-cli", "client id of the public client that is registered for this")
	cmd.Flags().StringVar(&s.redirect, "redirect", "http://127.0.0.1:8976/callback", "its redirect URI, on this machine")
	cmd.Flags().StringSliceVar(&s.scopes, "oauth-scope", []string{"profile", "users.manage"}, "OAuth scopes beside openid; users.manage decides about others, grant:ID chooses a grant")
	return cmd
}

func (c *cli) signInBy(ctx context.Context, s signingIn) error {
	issuer := strings.TrimSuffix(strings.TrimSuffix(c.url, "/"), api.Prefix)
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return failed(exitUnreachable, "no bridge answers at %s: %w", issuer, err)
	}
	back, err := url.Parse(s.redirect)
	if err != nil || back.Scheme != "http" || !loopbackHost(back.Hostname()) || back.Port() == "" {
		return failed(exitUsage, "--redirect is an address on this machine with a port, such as http://127.0.0.1:8976/callback")
	}
	listener, err := net.Listen("tcp", back.Host)
	if err != nil {
		return failed(exitUsage, "cannot listen at %s: %w", back.Host, err)
	}
	conf := oauth2.Config{ClientID: s.client, Endpoint: provider.Endpoint(), RedirectURL: s.redirect, Scopes: append([]string{oidc.ScopeOpenID}, s.scopes...)}
	state, verifier := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	fmt.Fprintf(c.err, "Open this address in a browser, and sign in:\n%s\n", conf.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)))
	code, err := comesBack(ctx, listener, back.Path, state, issuer)
	if err != nil {
		return err
	}
	token, err := conf.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return failed(exitNotAllowed, "the bridge gave no token: %w", err)
	}
	if err := os.WriteFile(s.file, []byte(token.AccessToken+"\n"), 0o600); err != nil {
		return failed(exitUsage, "cannot write the token: %w", err)
	}
	said := struct {
		File    string    `json:"file"`
		Expires time.Time `json:"expires"`
		Scope   any       `json:"oauth_scope"`
	}{s.file, token.Expiry, token.Extra("scope")}
	if c.json {
		return c.print(said)
	}
	fmt.Fprintf(c.out, "Signed in. The token is in %s, is good for: %v, and lives until %s.\n", s.file, said.Scope, token.Expiry.Local().Format(time.TimeOnly))
	return nil
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// returned is what the browser brings back.
type returned struct {
	code string
	err  error
}

// comesBack waits for the browser to come back with a code. What comes with another state is
// nobody's, and is answered and not believed.
func comesBack(ctx context.Context, l net.Listener, path, state, issuer string) (string, error) {
	got := make(chan returned, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("state") != state || q.Get("iss") != issuer { // RFC 6749 section 10.12, RFC 9207
			http.Error(w, "This is not the sign-in that was begun.", http.StatusBadRequest)
			return
		}
		back := returned{code: q.Get("code")}
		if back.code == "" {
			back.err = failed(exitNotAllowed, "the sign-in was refused: %s (%s)", q.Get("error_description"), q.Get("error"))
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "You can close this window, and go back to the terminal.")
		select {
		case got <- back:
		default: // it has come before
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	var back returned
	select {
	case back = <-got:
	case <-ctx.Done():
		back.err = failed(exitUnreachable, "nobody signed in within %s", signInWithin)
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := server.Shutdown(stopping)
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return back.code, errors.Join(back.err, err)
}
