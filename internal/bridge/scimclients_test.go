package bridge_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/scim"
)

// scimClient registers a client with one secret.
func (w *world) scimClient(c access.ConnectionID) (id, text string) {
	w.t.Helper()
	made, err := w.bridge.CreateSCIMClient(w.ctx, c, "test", 365*24*time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return made.ID, made.Text.Reveal()
}

func bySecret(id, text string) oidc.ServiceExchange {
	return oidc.ServiceExchange{Client: id, Secret: secret.New(text), From: netip.MustParseAddr("203.0.113.7")}
}

// accessToken is what the token endpoint gives for it.
func (w *world) accessToken(x oidc.ServiceExchange) string {
	w.t.Helper()
	set, err := w.bridge.ClientCredentials(w.ctx, x)
	if err != nil {
		w.t.Fatal(err)
	}
	return set.AccessToken
}

func (w *world) opens(c access.ConnectionID, bearer string) bool {
	w.t.Helper()
	_, err := w.bridge.Open(w.ctx, scim.Caller{Connection: string(c), Bearer: bearer, From: netip.MustParseAddr("203.0.113.7")})
	if err != nil && err.(*scim.Error).Status != 401 { //nolint:errorlint,forcetypeassert // made by Open
		w.t.Errorf("%s: %v", c, err)
	}
	return err == nil
}

// TestAnAccessTokenOpensItsOwnConnectionForAnHour and nothing else, ever.
func TestAnAccessTokenOpensItsOwnConnectionForAnHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, text := w.scimClient(banksia)
	w.clock.Add(300 * time.Millisecond) // Entra wants an hour at least, in the middle of a second too
	set, err := w.bridge.ClientCredentials(w.ctx, bySecret(id, text))
	if err != nil || set.ExpiresIn < time.Hour || set.ExpiresIn >= time.Hour+time.Second || !slices.Equal(set.OAuthScopes, []string{"scim"}) || set.RefreshToken != "" || set.IDToken != "" {
		t.Fatalf("%+v (%v)", set, err)
	}
	if !w.opens(banksia, set.AccessToken) || w.opens(southern, set.AccessToken) || w.opens("nowhere", set.AccessToken) {
		t.Error("it does not open exactly its own connection")
	}
	if rec := w.knock(banksia, set.AccessToken); rec.Code != 200 {
		t.Errorf("over SCIM: %d %s", rec.Code, rec.Body)
	}
	if w.opens(banksia, text) || w.opens(banksia, id) {
		t.Error("the client's own secret opens SCIM")
	}
	w.clock.Add(set.ExpiresIn - time.Second)
	if !w.opens(banksia, set.AccessToken) {
		t.Error("it ended early")
	}
	w.clock.Add(time.Second)
	if w.opens(banksia, set.AccessToken) {
		t.Error("it outlives its hour")
	}
}

// TestWhateverEndsAClientEndsItsTokens at the next request.
func TestWhateverEndsAClientEndsItsTokens(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(w *world, client, publicID string) error{
		"its secret is revoked": func(w *world, client, publicID string) error {
			return w.bridge.RevokeClientSecret(w.ctx, banksia, client, publicID)
		},
		"it is revoked": func(w *world, client, _ string) error { return w.bridge.RevokeSCIMClient(w.ctx, banksia, client) },
		"its connection ends": func(w *world, _, _ string) error {
			return w.bridge.EndConnection(w.ctx, banksia)
		},
		"everything is ended": func(w *world, _, _ string) error {
			return w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.BumpHost(time.Time{}) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, text := w.scimClient(banksia)
			otherID, otherText := w.scimClient(southern)
			token, other := w.accessToken(bySecret(id, text)), w.accessToken(bySecret(otherID, otherText))
			publicID, _, err := credential.ParseClientSecret(text)
			if err != nil || !w.opens(banksia, token) {
				t.Fatal(err)
			}
			if err := end(w, id, publicID); err != nil {
				t.Fatal(err)
			}
			if w.opens(banksia, token) {
				t.Error("the token lives on")
			}
			if name == "everything is ended" {
				return
			}
			if _, err := w.bridge.ClientCredentials(w.ctx, bySecret(id, text)); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("another can be had: %v", err)
			}
			if !w.opens(southern, other) {
				t.Error("another connection's token ended, too")
			}
		})
	}
}

// TestAConnectionThatReturnsRevivesNoAccessToken: its epoch has risen.
func TestAConnectionThatReturnsRevivesNoAccessToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, text := w.scimClient(banksia)
	token := w.accessToken(bySecret(id, text))
	w.policy(withoutConnection(banksia))
	if w.opens(banksia, token) {
		t.Error("the token outlives its connection")
	}
	w.policy(func(*mapping.PolicySource) {})
	if w.opens(banksia, token) {
		t.Error("the token came back with its connection")
	}
	if !w.opens(banksia, w.accessToken(bySecret(id, text))) {
		t.Error("no new one can be had")
	}
}

// TestSecretsRotateWithOverlap: both work until the old one is revoked, and then the
// new one's tokens go on.
func TestSecretsRotateWithOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, first := w.scimClient(banksia)
	made, err := w.bridge.AddClientSecret(w.ctx, banksia, id, "second", 24*time.Hour)
	if err != nil || len(made.Secrets) != 2 {
		t.Fatalf("%+v (%v)", made, err)
	}
	second := made.Text.Reveal()
	old, fresh := w.accessToken(bySecret(id, first)), w.accessToken(bySecret(id, second))
	if !w.opens(banksia, old) || !w.opens(banksia, fresh) {
		t.Error("they do not overlap")
	}
	firstID, _, err := credential.ParseClientSecret(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.bridge.RevokeClientSecret(w.ctx, banksia, id, firstID); err != nil {
		t.Fatal(err)
	}
	if w.opens(banksia, old) || !w.opens(banksia, fresh) {
		t.Error("revoking one secret ends the wrong tokens")
	}
	w.clock.Add(24*time.Hour - 10*time.Minute)
	set, err := w.bridge.ClientCredentials(w.ctx, bySecret(id, second))
	if err != nil || set.ExpiresIn > 10*time.Minute {
		t.Errorf("a token outlives its secret: %v (%v)", set.ExpiresIn, err)
	}
	w.clock.Add(10 * time.Minute)
	if _, err := w.bridge.ClientCredentials(w.ctx, bySecret(id, second)); !fault.Is(err, fault.Unauthenticated) || w.opens(banksia, set.AccessToken) {
		t.Errorf("an expired secret still counts: %v", err)
	}
}

// TestEveryRefusalOfAClientIsTheSame: kind and sentence tell nothing of why.
func TestEveryRefusalOfAClientIsTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, text := w.scimClient(banksia)
	otherID, otherText := w.scimClient(southern)
	wrong, _ := credential.NewClientSecret()
	elsewhere := bySecret(id, text)
	w.set(banksia, func(s *access.SCIM) { s.Networks = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} })
	elsewhere.From = netip.MustParseAddr("198.51.100.1")
	for name, x := range map[string]oidc.ServiceExchange{
		"a wrong secret":           bySecret(id, wrong.Reveal()),
		"no secret":                bySecret(id, ""),
		"another client's secret":  bySecret(id, otherText),
		"another client's id":      bySecret(otherID, text),
		"an unknown client":        bySecret(credential.NewSCIMClientID(), text),
		"an application's id":      bySecret("fleet-web", text),
		"no id":                    bySecret("", text),
		"a SCIM token as a secret": bySecret(id, w.tokens[banksia]),
		"from elsewhere":           elsewhere,
		"an assertion":             {Client: id, Assertion: "e30.e30.e30", From: elsewhere.From},
	} {
		_, err := w.bridge.ClientCredentials(w.ctx, x)
		if !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	more := bySecret(id, text)
	more.OAuthScopes = []string{"scim", "reports"}
	if _, err := w.bridge.ClientCredentials(w.ctx, more); !fault.Is(err, fault.Invalid) || fault.ReasonOf(err) != "invalid_scope" {
		t.Errorf("more scopes: %v", err)
	}
}

// Whoever guesses is told to wait; whoever knows is let in, though they come from the
// same address: from behind a proxy, everybody does.
func TestGuessingIsSlowedDownAndLocksNobodyOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, text := w.scimClient(banksia)
	var err error
	for range 30 {
		_, err = w.bridge.ClientCredentials(w.ctx, bySecret(id, text+"x"))
	}
	if !fault.Is(err, fault.Limited) {
		t.Errorf("thirty wrong secrets in a row: %v", err)
	}
	for range 200 {
		_, err = w.bridge.ClientCredentials(w.ctx, bySecret(credential.NewSCIMClientID(), text))
	}
	if !fault.Is(err, fault.Limited) {
		t.Errorf("two hundred unknown clients in a row: %v", err)
	}
	if _, err := w.bridge.ClientCredentials(w.ctx, bySecret(id, text)); err != nil {
		t.Errorf("the client is locked out by guesses: %v", err)
	}
	w.clock.Add(time.Minute)
	if _, err := w.bridge.ClientCredentials(w.ctx, bySecret(id, text+"x")); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a wrong secret a minute later: %v", err)
	}
}

// TestKindsOfCredentialAreNeverTakenForEachOther: a SCIM access token is no person's,
// and no person's credential opens SCIM.
func TestKindsOfCredentialAreNeverTakenForEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, text := w.scimClient(banksia)
	token := w.accessToken(bySecret(id, text))
	if _, err := w.bridge.Accept(w.ctx, token); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("as an access token: %v", err)
	}
	if _, err := w.bridge.AcceptRefresh(w.ctx, token); err == nil {
		t.Error("as a refresh token it counts")
	}
	if _, err := w.bridge.Browser(w.ctx, token); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("as a cookie: %v", err)
	}
	if _, err := w.bridge.IDTokenHint(w.ctx, token); err == nil {
		t.Error("as an ID token it counts")
	}
	if _, err := w.bridge.Redeem(w.ctx, oidc.CodeExchange{Code: token, Client: w.web}); err == nil {
		t.Error("as a code it counts")
	}
	sam := w.person(banksia, "sam@banksia.example", "oid-sam")
	w.group(banksia, "GL Geelong Managers", sam)
	held := w.session(banksia, "oid-sam")
	for name, bearer := range map[string]string{"access token": held.tokens.AccessToken, "ID token": held.tokens.IDToken, "refresh token": held.tokens.RefreshToken, "cookie": held.cookie} {
		if bearer == "" || w.opens(banksia, bearer) {
			t.Errorf("a person's %s opens SCIM", name)
		}
	}
}

// TestAClientIsItsConnectionsOwn: another's administrator cannot name it, and what
// happens to it is in the audit trail of its own.
func TestAClientIsItsConnectionsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.scimClient(banksia)
	made, err := w.bridge.AddClientSecret(w.ctx, banksia, id, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	publicID := made.Secret.PublicID
	_, added := w.bridge.AddClientSecret(w.ctx, southern, id, "", time.Hour)
	for name, err := range map[string]error{"add": added, "revoke": w.bridge.RevokeSCIMClient(w.ctx, southern, id),
		"revoke a secret": w.bridge.RevokeClientSecret(w.ctx, southern, id, publicID)} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, do := range []error{w.bridge.RevokeClientSecret(w.ctx, banksia, id, publicID), w.bridge.RevokeSCIMClient(w.ctx, banksia, id)} {
		if do != nil {
			t.Error(do)
		}
	}
	got := w.trail(banksia)
	for _, want := range []event.Type{event.SCIMClientCreated, event.ClientSecretCreated, event.ClientSecretRevoked, event.SCIMClientRevoked} {
		if !slices.Contains(got, want) {
			t.Errorf("the trail %v has no %s", got, want)
		}
	}
	if _, err := w.bridge.AddClientSecret(w.ctx, banksia, id, "", time.Hour); !fault.Is(err, fault.Conflict) {
		t.Errorf("a revoked client gets a secret: %v", err)
	}
	for _, life := range []time.Duration{-1, 4 * 365 * 24 * time.Hour} {
		if _, err := w.bridge.CreateSCIMClient(w.ctx, banksia, "", life); !fault.Is(err, fault.Invalid) {
			t.Errorf("a secret lives %v: %v", life, err)
		}
	}
}

func TestClientsAndSecretsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, _ := w.scimClient(banksia)
	var err error
	for range 5 {
		_, err = w.bridge.AddClientSecret(w.ctx, banksia, id, "", time.Hour)
	}
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("a sixth secret: %v", err)
	}
	for range 5 {
		_, err = w.bridge.CreateSCIMClient(w.ctx, banksia, "", time.Hour)
	}
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("a sixth client: %v", err)
	}
}

func TestUsesOfClientsAreWrittenDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, text := w.scimClient(banksia)
	token := w.accessToken(bySecret(id, text))
	w.clock.Add(time.Minute)
	if !w.opens(banksia, token) {
		t.Fatal("it does not open")
	}
	ctx, stop := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() { w.bridge.Run(ctx); close(done) }()
	defer func() { stop(); <-done }()
	w.eventually(func() bool {
		c := w.connectionView(banksia)
		return !c.Clients[0].LastUsed.IsZero() && !c.LastSCIM.IsZero() // each is written by itself
	})
	c := w.connectionView(banksia)
	k := c.Clients[0]
	if now := w.clock.Now().Truncate(time.Millisecond); !k.LastUsed.Equal(now) || k.LastUsedBy != "secret" || !k.Secrets[0].LastUsed.Equal(now) || !c.LastSCIM.Equal(now) {
		t.Errorf("at %v: %+v, last SCIM %v", now, k, c.LastSCIM)
	}
}

// eventually waits for what the background work does.
func (w *world) eventually(fn func() bool) {
	w.t.Helper()
	for range 500 {
		if fn() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatal("it did not happen within five seconds")
}

func (w *world) connectionView(id access.ConnectionID) bridge.ConnectionView {
	w.t.Helper()
	all, err := w.bridge.Connections(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range all {
		if c.ID == id {
			return c
		}
	}
	w.t.Fatalf("there is no connection %s", id)
	return bridge.ConnectionView{}
}

// trail is what a connection's audit trail says happened, in order.
func (w *world) trail(c access.ConnectionID) (all []event.Type) {
	w.t.Helper()
	err := w.store.View(w.ctx, func(v *store.View) error {
		rows, err := v.Unsealed(10_000)
		for _, row := range rows {
			var e event.Event
			if err := json.Unmarshal(row.Body, &e); err != nil {
				return err
			}
			if row.Connection == c {
				all = append(all, e.Type)
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}
