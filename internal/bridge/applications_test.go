package bridge_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
)

// watcher is an application that follows signals for itself.
func watcher() oidc.Client {
	return oidc.Client{ID: "watcher", SecretDigest: credential.DigestOf("watcher-secret"), GrantTypes: []string{oidc.GrantTypeClientCredentials},
		ServiceScopes: []string{oidc.ScopeSignalsRead, oidc.ScopeSignalsManage}}
}

// withWatcher is a world with these applications beside fleet-web.
func withApplications(t *testing.T, more ...oidc.Client) *world {
	t.Helper()
	w := newWorld(t, func(w *world) { w.clients = append(w.clients, more...) })
	if err := w.bridge.ApplyClients(w.ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) serviceToken(c oidc.Client, scopes ...string) string {
	w.t.Helper()
	set, err := w.bridge.ServiceToken(w.ctx, oidc.ServiceOrder{Client: c, OAuthScopes: scopes})
	if err != nil {
		w.t.Fatal(err)
	}
	if set.RefreshToken != "" || set.IDToken != "" || set.ExpiresIn <= 0 || set.ExpiresIn > credential.MaxLife {
		w.t.Errorf("the answer is %+v", set)
	}
	return set.AccessToken
}

func TestAnApplicationsOwnTokenIsGoodForItsScopes(t *testing.T) {
	t.Parallel()
	c := watcher()
	w := withApplications(t, c)
	all, one := w.serviceToken(c), w.serviceToken(c, oidc.ScopeSignalsRead)
	for _, row := range []struct {
		token, scope, reason string
		kind                 fault.Kind
		good                 bool
	}{
		{token: all, scope: oidc.ScopeSignalsRead, good: true},
		{token: all, scope: oidc.ScopeSignalsManage, good: true},
		{token: one, scope: oidc.ScopeSignalsRead, good: true},
		{token: one, scope: oidc.ScopeSignalsManage, kind: fault.Denied, reason: "insufficient_scope"},
		{token: all, scope: oidc.ScopeAuthZEN, kind: fault.Denied, reason: "insufficient_scope"},
		{token: all, scope: "", kind: fault.Denied, reason: "insufficient_scope"},
		{token: all + "A", scope: oidc.ScopeSignalsRead, kind: fault.Unauthenticated},
		{token: "", scope: oidc.ScopeSignalsRead, kind: fault.Unauthenticated},
	} {
		got, err := w.bridge.AcceptService(w.ctx, row.token, row.scope)
		if row.good && (err != nil || got.ID != c.ID) || !row.good && (!fault.Is(err, row.kind) || got.ID != "") {
			t.Errorf("%q: %q (%v)", row.scope, got.ID, err)
		}
		if row.reason != "" && fault.ReasonOf(err) != row.reason {
			t.Errorf("%q: reason %q", row.scope, fault.ReasonOf(err))
		}
	}
	if _, err := w.bridge.Accept(w.ctx, all); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("it stands for a person: %v", err)
	}
	for _, scopes := range [][]string{{oidc.ScopeAuthZEN}, {oidc.ScopeSignalsRead, "openid"}} {
		if _, err := w.bridge.ServiceToken(w.ctx, oidc.ServiceOrder{Client: c, OAuthScopes: scopes}); fault.ReasonOf(err) != "invalid_scope" {
			t.Errorf("%v: %v", scopes, err)
		}
	}
	if _, err := w.bridge.ServiceToken(w.ctx, oidc.ServiceOrder{Client: w.web}); fault.ReasonOf(err) != "invalid_scope" {
		t.Errorf("an application without service_scopes: %v", err)
	}
}

// TestWhatEndsAnApplicationsOwnToken: its end, its application's, another configuration,
// and revocation, by its own application alone.
func TestWhatEndsAnApplicationsOwnToken(t *testing.T) {
	t.Parallel()
	c := watcher()
	for what, end := range map[string]func(w *world, token string) error{
		"its own end": func(w *world, _ string) error { w.clock.Add(credential.MaxLife); return nil },
		"its application was taken out": func(w *world, _ string) error {
			return w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.PutClient(c.ID, false) })
		},
		"its application went and came back": func(w *world, _ string) error {
			return w.store.Update(w.ctx, func(tx *store.Tx) error {
				if err := tx.PutClient(c.ID, false); err != nil {
					return err
				}
				return tx.PutClient(c.ID, true)
			})
		},
		"everything was ended": func(w *world, _ string) error {
			return w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.BumpHost() })
		},
		"the scope was taken away": func(w *world, _ string) error {
			w.clients[len(w.clients)-1].ServiceScopes = []string{oidc.ScopeSignalsManage}
			w.assemble()
			return nil
		},
		"revocation": func(w *world, token string) error { return w.bridge.Revoke(w.ctx, token, c.ID) },
		"revocation, and a restart": func(w *world, token string) error {
			err := w.bridge.Revoke(w.ctx, token, c.ID)
			w.restart()
			return err
		},
		"revocation, that comes twice": func(w *world, token string) error {
			_ = w.bridge.Revoke(w.ctx, token, c.ID)
			return w.bridge.Revoke(w.ctx, token, c.ID)
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := withApplications(t, c)
			token, other := w.serviceToken(c), w.serviceToken(c)
			for _, who := range []access.ClientID{"fleet-web", "nobody", ""} {
				if err := w.bridge.Revoke(w.ctx, token, who); err != nil {
					t.Fatal(err)
				}
			}
			w.clock.Add(time.Second)
			if _, err := w.bridge.AcceptService(w.ctx, token, oidc.ScopeSignalsRead); err != nil {
				t.Fatalf("before: %v", err)
			}
			if err := end(w, token); err != nil {
				t.Fatal(err)
			}
			if _, err := w.bridge.AcceptService(w.ctx, token, oidc.ScopeSignalsRead); err == nil || fault.Is(err, fault.Internal) {
				t.Errorf("after: %v", err)
			}
			_, err := w.bridge.AcceptService(w.ctx, other, oidc.ScopeSignalsRead)
			if strings.HasPrefix(what, "revocation") != (err == nil) {
				t.Errorf("another token of the application: %v", err)
			}
		})
	}
}

// TestATokenThatIsBoundToAKeyIsNoBearerToken.
func TestATokenThatIsBoundToAKeyIsNoBearerToken(t *testing.T) {
	t.Parallel()
	c := watcher()
	w := withApplications(t, c)
	set, err := w.bridge.ServiceToken(w.ctx, oidc.ServiceOrder{Client: c, Key: "thumbprint"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.bridge.AcceptService(w.ctx, set.AccessToken, oidc.ScopeSignalsRead); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("accepted without its key: %v", err)
	}
	for key, good := range map[string]bool{"thumbprint": true, "another": false, "": false} {
		if _, err := w.bridge.AcceptServiceShown(w.ctx, oidc.Presented{Token: set.AccessToken, DPoPKey: key}, oidc.ScopeSignalsRead); (err == nil) != good {
			t.Errorf("shown with the key %q: %v", key, err)
		}
	}
	a, err := w.bridge.Service(w.ctx, set.AccessToken)
	if err != nil || a.Key != "thumbprint" || a.Client.ID != c.ID || !slices.Equal(a.OAuthScopes, c.ServiceScopes) || a.JTI == "" {
		t.Errorf("%+v (%v)", a, err)
	}
}

// TestAnApplicationThatIsNotActiveGetsNoTokenForItself.
func TestAnApplicationThatIsNotActiveGetsNoTokenForItself(t *testing.T) {
	t.Parallel()
	c := watcher()
	w := newWorld(t, func(w *world) { w.clients = append(w.clients, c) })
	if _, err := w.bridge.ServiceToken(w.ctx, oidc.ServiceOrder{Client: c}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("%v", err)
	}
}

// TestEachSectorKnowsAPersonByItsOwnName, and applications without a sector by the one name.
func TestEachSectorKnowsAPersonByItsOwnName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const p access.PersonID = "per_0123456789abcdefghjkmnpqrs"
	public := w.bridge.SubjectFor(w.web, p)
	a, b := w.bridge.SubjectFor(oidc.Client{ID: "a", Sector: "a.example"}, p), w.bridge.SubjectFor(oidc.Client{ID: "b", Sector: "b.example"}, p)
	if public != string(p) || a == public || a == b {
		t.Errorf("%s, %s, %s", public, a, b)
	}
	if same := w.bridge.SubjectFor(oidc.Client{ID: "c", Sector: "a.example"}, p); same != a {
		t.Errorf("two applications of a sector: %s, %s", a, same)
	}
	w.restart()
	if again := w.bridge.SubjectFor(oidc.Client{Sector: "a.example"}, p); again != a {
		t.Errorf("after a restart: %s, %s", a, again)
	}
}
