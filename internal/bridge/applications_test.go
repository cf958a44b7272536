package bridge_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
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
			return w.store.Update(w.ctx, func(tx *store.Tx) error { return tx.BumpHost(time.Time{}) })
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
		if _, err := w.bridge.AcceptServiceShown(w.ctx, oidc.PresentedBy(set.AccessToken, key), oidc.ScopeSignalsRead); (err == nil) != good {
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

// TestAnApplicationsAssertionWorksOnce: also after a restart, and made out to one of the
// names of the endpoint alone.
func TestAnApplicationsAssertionWorksOnce(t *testing.T) {
	t.Parallel()
	s, other := newSigningClient(t), newSigningClient(t)
	c := oidc.Client{ID: "signer", Trust: s.trust(t), RedirectURIs: []string{"http://127.0.0.1:9200/callback"}}
	w := withApplications(t, c)
	const issuer, endpoint = "http://127.0.0.1:8443", "http://127.0.0.1:8443/oauth2/introspect"
	claims := func(jti string, changes ...any) map[string]any {
		m := map[string]any{"iss": "signer", "sub": "signer", "aud": issuer, "jti": jti, "exp": w.clock.Now().Add(time.Minute).Unix()}
		for i := 0; i < len(changes); i += 2 {
			m[changes[i].(string)] = changes[i+1]
		}
		return m
	}
	for name, row := range map[string]struct {
		text string
		good bool
	}{
		"to the issuer":              {s.sign(t, claims("1")), true},
		"to the token endpoint":      {s.sign(t, claims("2", "aud", issuer+oidc.PathToken)), true},
		"to the endpoint, in a list": {s.sign(t, claims("3", "aud", []string{endpoint})), true},
		"to somebody else":           {s.sign(t, claims("4", "aud", "https://elsewhere.example")), false},
		"to two":                     {s.sign(t, claims("5", "aud", []string{issuer, "https://elsewhere.example"})), false},
		"by another key":             {other.sign(t, claims("6")), false},
		"of another client":          {s.sign(t, claims("7", "sub", "fleet-web")), false},
		"by another client":          {s.sign(t, claims("8", "iss", "fleet-web")), false},
		"without jti":                {s.sign(t, claims("")), false},
		"expired":                    {s.sign(t, claims("9", "exp", w.clock.Now().Add(-2*time.Minute).Unix())), false},
		"for a day":                  {s.sign(t, claims("10", "exp", w.clock.Now().Add(24*time.Hour).Unix())), false},
		"nothing":                    {"", false},
	} {
		err := w.bridge.Prove(w.ctx, c, row.text, endpoint)
		if (err == nil) != row.good || err != nil && !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	once := s.sign(t, claims("once"))
	if err := w.bridge.Prove(w.ctx, c, once, endpoint); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"at once", "after a restart"} {
		if err := w.bridge.Prove(w.ctx, c, once, endpoint); fault.ReasonOf(err) != "replayed" {
			t.Errorf("%s: %v", when, err)
		}
		w.restart()
	}
	w.clock.Add(time.Minute + 59*time.Second) // it is within the skew still
	if err := w.bridge.Prove(w.ctx, c, once, endpoint); fault.ReasonOf(err) != "replayed" {
		t.Errorf("in its last second: %v", err)
	}
}

// TestAPairwiseClientsTokensNameNobodyElseKnows: not the person, the session or the
// assignment, in any token; and they work like others.
func TestAPairwiseClientsTokensNameNobodyElseKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.web.Sector, w.web.IDTokenAlg, w.web.AccessTokenAlg = "fleet.example", credential.RS256, credential.RS256
		w.web.AccessTokenLife, w.web.RefreshLife = time.Minute, time.Hour
		w.clients[0] = w.web
	})
	w.group(banksia, "GL Geelong Managers", w.person(banksia, "mara@ironbark.example", "mara"))
	v := w.session(banksia, "mara")
	a, err := w.bridge.Accept(w.ctx, v.tokens.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	person, sid := v.browser.Session.Person, v.browser.Session.ID
	if a.Bound.Subject.Person != person || a.Bound.Subject.Session != sid || a.Sub != w.bridge.SubjectFor(w.web, person) || a.SID != w.bridge.SessionFor(w.web, sid) {
		t.Errorf("accepted as %+v", a)
	}
	if v.tokens.ExpiresIn != time.Minute {
		t.Errorf("it lives %s", v.tokens.ExpiresIn)
	}
	for name, token := range map[string]string{"access token": v.tokens.AccessToken, "ID token": v.tokens.IDToken} {
		head, payload := part(t, token, 0), part(t, token, 1)
		for _, secret := range []string{string(person), string(sid), string(v.browser.Session.Active)} {
			if strings.Contains(payload, secret) {
				t.Errorf("the %s tells %s: %s", name, secret, payload)
			}
		}
		if !strings.Contains(payload, a.Sub) || !strings.Contains(head, `"RS256"`) {
			t.Errorf("the %s: %s %s", name, head, payload)
		}
	}
	hint, err := w.bridge.IDTokenHint(w.ctx, v.tokens.IDToken)
	if err != nil || hint.Person != person || hint.Session != sid || hint.Client != w.web.ID {
		t.Errorf("as a hint: %+v (%v)", hint, err)
	}
	active, choices, err := w.bridge.Grants(w.ctx, oidc.Presented{Token: v.tokens.AccessToken})
	if err != nil || len(choices) == 0 || active != choices[0].ID || w.bridge.Assignment(w.web, active) != v.browser.Session.Active {
		t.Errorf("it may choose %v of %v (%v)", active, choices, err)
	}
	r, err := w.bridge.AcceptRefresh(w.ctx, v.tokens.RefreshToken)
	if err != nil || r.Sub != a.Sub || r.SID != a.SID || strings.Contains(string(r.Grant), string(v.browser.Session.Active)) {
		t.Errorf("the refresh token: %+v (%v)", r, err)
	}
	if r.Bound.Expires != w.clock.Now().Add(time.Hour) {
		t.Errorf("refresh tokens live until %s", r.Bound.Expires)
	}
	w.web.Sector = "another.example"
	w.clients[0] = w.web
	w.assemble()
	if _, err := w.bridge.Accept(w.ctx, v.tokens.AccessToken); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("in another sector: %v", err)
	}
}

// part is a part of a JWT, decoded.
func part(t *testing.T, token string, i int) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestAnApplicationThatMayNotRefreshGetsNothingToRefresh, and a code that comes twice
// still ends what it gave.
func TestAnApplicationThatMayNotRefreshGetsNothingToRefresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.web.GrantTypes = []string{oidc.GrantTypeCode}
		w.clients[0] = w.web
	})
	w.group(banksia, "GL Geelong Managers", w.person(banksia, "mara@ironbark.example", "mara"))
	_, b := w.mustSignIn(banksia, "mara")
	code, err := w.code(b)
	if err != nil {
		t.Fatal(err)
	}
	set, err := w.redeem(code)
	if err != nil || set.RefreshToken != "" || set.AccessToken == "" || set.IDToken == "" {
		t.Fatalf("%+v (%v)", set, err)
	}
	if _, err := w.redeem(code); err == nil {
		t.Error("the code works twice")
	}
	if _, err := w.bridge.Accept(w.ctx, set.AccessToken); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("what the code gave lives on: %v", err)
	}
}

// TestAnIntrospectionAnswerIsSignedForItsReader, and is no token.
func TestAnIntrospectionAnswerIsSignedForItsReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, alg := range []string{"", credential.ES256, credential.RS256} {
		signed, err := w.bridge.SignIntrospection(oidc.Client{ID: "reader", IDTokenAlg: alg}, json.RawMessage(`{"active":false}`))
		if err != nil {
			t.Fatal(err)
		}
		head, payload := part(t, signed, 0), part(t, signed, 1)
		if !strings.Contains(head, `"typ":"token-introspection+jwt"`) || !strings.Contains(head, `"alg":"`+cmp.Or(alg, credential.ES256)+`"`) ||
			payload != fmt.Sprintf(`{"iss":"http://127.0.0.1:8443","aud":"reader","iat":%d,"token_introspection":{"active":false}}`, w.clock.Now().Unix()) {
			t.Errorf("%s %s", head, payload)
		}
		if _, err := w.bridge.Accept(w.ctx, signed); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("it is an access token: %v", err)
		}
		if _, err := w.bridge.IDTokenHint(w.ctx, signed); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("it is an ID token: %v", err)
		}
	}
}

// TestARefreshRepeatsTheScopeOfTheSignIn: what the application may not have was left out
// then, and is left out again; what it may have and was not granted is refused.
func TestARefreshRepeatsTheScopeOfTheSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.kim()
	for _, row := range []struct{ asked, granted []string }{
		{[]string{"openid", "offline_access", "unheard.of"}, []string{"openid"}},
		{[]string{"openid", "reports"}, nil},
		{[]string{"unheard.of"}, nil},
	} {
		s := w.session(southern, "oid-kim", "live_view")
		got, err := w.bridge.Refresh(w.ctx, oidc.RefreshExchange{RefreshToken: s.tokens.RefreshToken, OAuthScopes: row.asked, Client: w.web})
		if row.granted == nil {
			refusedBecause(t, strings.Join(row.asked, " "), err, "invalid_scope")
			continue
		}
		if w.do(err); !slices.Equal(got.OAuthScopes, row.granted) {
			t.Errorf("%v gives %v", row.asked, got.OAuthScopes)
		}
	}
}
