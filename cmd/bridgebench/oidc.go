package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// relyingParty is a browser and an application of its own.
func (b *bridge) relyingParty() *oidctest.Client {
	c := b.demo.Clients[0]
	return &oidctest.Client{Issuer: b.demo.Issuer, ClientID: c.ClientID, ClientSecret: secret.New(c.ClientSecret), RedirectURI: c.RedirectURI}
}

// signIn signs a person in, in a browser of their own, and comes again for half a minute if
// the page says that it cannot be done now.
func (b *bridge) signIn(ctx context.Context, person string) (t oidctest.Tokens, err error) {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Second) {
		t, err = b.relyingParty().SignIn(ctx, person)
		var stopped *oidctest.Stopped
		busy := errors.As(err, &stopped) && stopped.Status == http.StatusServiceUnavailable
		if !busy || ctx.Err() != nil || time.Now().After(end) {
			return t, err
		}
	}
}

func (b *bridge) clientAuth() string {
	c := b.demo.Clients[0]
	return "&client_id=" + url.QueryEscape(c.ClientID) + "&client_secret=" + url.QueryEscape(c.ClientSecret)
}

// authorized is the name of a row.
const authorized = "authorization in a browser that is signed in, up to the code"

// codes measures what redeeming a code costs: browsers that have a session fetch them
// first, which is the row before, each as many as a session may have at one application.
func codes(ctx context.Context, b *bridge, s size, t *table) error {
	host, err := b.host()
	if err != nil {
		return err
	}
	signedIn := make(chan *oidctest.Client, s.browsers)
	if err := each(s.browsers, s.conns, func() error {
		c := b.relyingParty()
		signedIn <- c
		_, err := c.SignIn(ctx, b.demo.Connections[0].People[0])
		return err
	}); err != nil {
		return err
	}
	granted := make(chan oidctest.Granted, s.browsers*hot.MaxLiveCodes)
	fetched, err := b.during(s.browsers*hot.MaxLiveCodes, func() error { return b.fetchCodes(ctx, s, signedIn, granted) })
	if err != nil {
		return err
	}
	t.add(authorized, fetched)
	redirect := "&redirect_uri=" + url.QueryEscape(b.demo.Clients[0].RedirectURI)
	r, err := b.load(ctx, host, s.conns, time.Minute, int64(s.browsers*hot.MaxLiveCodes), func(w *wire, _ int64) error {
		g := <-granted
		status, answer, err := w.do("POST", "/oauth2/token", "", formType, "grant_type=authorization_code&code="+g.Code+"&code_verifier="+g.Verifier+redirect+b.clientAuth())
		return expect(200, status, answer, err)
	})
	if err != nil {
		return err
	}
	t.add("token by code, ES256, access and ID token, a refresh family", r)
	return nil
}

// fetchCodes has each browser fetch as many as it may have.
func (b *bridge) fetchCodes(ctx context.Context, s size, signedIn <-chan *oidctest.Client, granted chan<- oidctest.Granted) error {
	return each(s.browsers, s.conns, func() error {
		c := <-signedIn
		for range hot.MaxLiveCodes {
			g, err := c.Code(ctx, nil)
			if err != nil {
				return err
			}
			granted <- g
		}
		return nil
	})
}

// during measures what is done so many times by do, as a whole.
func (b *bridge) during(times int, do func() error) (r result, err error) {
	before, err := b.spent()
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return r, err
	}
	r.ops, r.took = int64(times), time.Since(began)
	after, err := b.spent()
	r.cpu = after.less(before)
	return r, err
}

// each runs do n times, at most so many at once.
func each(n, atOnce int, do func() error) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	for range n {
		g.Go(do)
	}
	return g.Wait()
}

// sessions measures refresh, introspection and userinfo.
func sessions(ctx context.Context, b *bridge, s size, t *table) error {
	host, err := b.host()
	if err != nil {
		return err
	}
	r, minted, err := b.refresh(ctx, s)
	if err != nil {
		return err
	}
	t.add("refresh, ES256, access and ID token, durable rotation", r)
	r, err = b.load(ctx, host, s.conns, time.Minute, int64(len(minted)), func(w *wire, n int64) error { return b.introspect(w, minted[n]) })
	if err != nil {
		return err
	}
	t.add("introspection of distinct tokens", r)
	r, err = b.load(ctx, host, s.conns, s.perRun, anyCount, func(w *wire, n int64) error { return b.introspect(w, minted[n%100]) })
	if err != nil {
		return err
	}
	t.add("introspection of repeated tokens", r)
	return b.userinfo(ctx, s, t, minted[max(0, len(minted)-100):])
}

// userinfo measures it with tokens that are alive.
func (b *bridge) userinfo(ctx context.Context, s size, t *table, tokens []string) error {
	host, err := b.host()
	if err != nil {
		return err
	}
	r, err := b.load(ctx, host, s.conns, s.perRun, anyCount, func(w *wire, n int64) error {
		status, answer, err := w.do("GET", "/oauth2/userinfo", "Bearer "+tokens[n%int64(len(tokens))], "", "")
		return expect(200, status, answer, err)
	})
	if err != nil {
		return err
	}
	t.add("userinfo", r)
	return nil
}

// refresh rotates one family a connection for as long as a load lasts; minted are the access tokens of it.
func (b *bridge) refresh(ctx context.Context, s size) (r result, minted []string, err error) {
	host, err := b.host()
	if err != nil {
		return r, nil, err
	}
	families := make([]string, s.conns)
	free := make(chan int, len(families))
	for i := range families {
		tokens, err := b.signIn(ctx, b.demo.Connections[0].People[0])
		if err != nil {
			return r, nil, err
		}
		families[i] = tokens.RefreshToken
		free <- i
	}
	var mu sync.Mutex
	r, err = b.load(ctx, host, s.conns, s.perRun, anyCount, func(w *wire, _ int64) error {
		i := <-free
		defer func() { free <- i }()
		status, answer, err := w.do("POST", "/oauth2/token", "", formType, "grant_type=refresh_token&refresh_token="+families[i]+b.clientAuth())
		if err := expect(200, status, answer, err); err != nil {
			return err
		}
		if families[i], err = field(answer, "refresh_token"); err != nil {
			return err
		}
		access, err := field(answer, "access_token")
		mu.Lock()
		defer mu.Unlock()
		minted = append(minted, access)
		return err
	})
	return r, minted, err
}

// introspect asks about a token that is alive.
func (b *bridge) introspect(w *wire, token string) error {
	status, answer, err := w.do("POST", "/oauth2/introspect", "", formType, "token="+token+b.clientAuth())
	if err := expect(200, status, answer, err); err != nil {
		return err
	}
	if !bytes.HasPrefix(answer, []byte(`{"active":true`)) {
		return fmt.Errorf("a live token is %.300s", answer)
	}
	return nil
}
