//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-rod/rod"
	"github.com/go-rod/rod/lib/launcher"
)

// spa is a single-page application by oidc-client-ts, in Chromium.
type spa struct {
	t      *testing.T
	bridge *bridge
	page   *rod.Page
	url    string
	person string
}

func spaWorld(t *testing.T) *spa {
	t.Helper()
	at := freePort(t)
	mux := http.NewServeMux()
	files := http.Dir("../../testdata/oidc-client-ts")
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	issuer := fmt.Sprintf("http://127.0.0.1:%d", at)
	app := func(id string, more map[string]any) map[string]any {
		out := map[string]any{"authority": issuer, "client_id": id, "redirect_uri": web.URL + "/callback", "post_logout_redirect_uri": web.URL + "/",
			"scope": "openid profile email", "response_type": "code", "automaticSilentRenew": false, "monitorSession": true}
		for name, value := range more {
			out[name] = value
		}
		return out
	}
	mux.HandleFunc("/settings.json", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"bearer": app("spa", map[string]any{"loadUserInfo": true}), "bound": app("spa-bound", map[string]any{"dpop": true})}) // Chromium may have gone
	})
	mux.HandleFunc("/oidc-client-ts.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, string(files)+"/node_modules/oidc-client-ts/dist/browser/oidc-client-ts.js")
	})
	mux.HandleFunc("/app.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, string(files)+"/app.js") })
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, string(files)+"/index.html") })
	mux.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/"
		http.ServeFile(w, r, string(files)+"/index.html")
	})
	client := `
  - id: %s
    name: Single Page
    public: true
    redirect_uris: [ %[2]s/callback ]
    post_logout_redirect_uris: [ %[2]s/ ]
    origins: [ %[2]s ]
`
	config := sample(fmt.Sprintf(client, "spa", web.URL)+strings.TrimPrefix(fmt.Sprintf(client, "spa-bound", web.URL), "\n")+"    require_dpop: true\n", "", "", "dpop_nonce: required")
	b := startBridge(t, at, config)
	return &spa{t: t, bridge: b, page: chromium(t), url: web.URL, person: b.connection("banksia-entra").People[0]}
}

// chromium opens a page of Debian's Chromium, with a profile that nobody else uses.
func chromium(t *testing.T) *rod.Page {
	t.Helper()
	bin, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("this lane needs chromium (make interop installs it): %v", err)
	}
	l := launcher.New().Bin(bin).Leakless(false).UserDataDir(t.TempDir()).NoSandbox(true).Set("disable-gpu").Set("disable-quic").
		Set("no-first-run").Set("disable-background-networking").Set("disable-component-update").Set("disable-sync")
	control, err := l.Launch()
	if err != nil {
		t.Fatalf("chromium did not start: %v", err)
	}
	b := rod.New().ControlURL(control).MustConnect()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		l.Cleanup() // waits for the process, so that its profile can be removed
	})
	return b.MustPage("").Timeout(patience)
}

// at waits until the page is one that the application wants, and gives its title.
func (s *spa) at(what string, wanted func(at, title string) bool) string {
	s.t.Helper()
	at, title := "", ""
	for began := time.Now(); time.Since(began) < patience; time.Sleep(25 * time.Millisecond) {
		info, err := s.page.Info()
		if err != nil {
			continue // between two pages
		}
		if at, title = info.URL, info.Title; wanted(at, title) {
			return title
		}
	}
	s.t.Fatalf("the page is never %s, but %s (%s)", what, at, title)
	return ""
}

// does evaluates an expression of the application's and reads what it gives.
func (s *spa) does(expression string) map[string]any {
	s.t.Helper()
	got, err := s.page.Eval("() => outcome((async () => " + expression + ")())")
	if err != nil {
		s.t.Fatalf("%s: %v", expression, err)
	}
	out := map[string]any{}
	if err := json.Unmarshal([]byte(got.Value.JSON("", "")), &out); err != nil {
		s.t.Fatalf("%s gave %s", expression, got.Value)
	}
	return out
}

// signIn goes through the bridge and back; more are parameters of the request.
func (s *spa) signIn(application, more string) string {
	s.t.Helper()
	s.page.MustNavigate(s.url + "/").MustWaitLoad()
	if _, err := s.page.Eval("(application, more) => { use(application, more) }", application, json.RawMessage(more)); err != nil {
		s.t.Fatal(err)
	}
	return s.at("the callback", func(at, title string) bool {
		return strings.HasPrefix(at, s.url+"/callback") && strings.Contains(title, "signed in")
	})
}

// hint is how a sign-in names the person, whom the demo's identity provider signs in
// without a page.
func (s *spa) hint() string {
	return fmt.Sprintf(`{"login_hint":%q,"extraQueryParams":{"connection":"banksia-entra"}}`, s.person)
}

// A single-page application signs in, reads userinfo, refreshes, revokes and signs out,
// all across origins.
func TestSinglePageApplication(t *testing.T) {
	t.Parallel()
	s := spaWorld(t)
	if title := s.signIn("bearer", s.hint()); title != "signed in" {
		t.Fatal(title)
	}
	first := s.does("user()")
	if profile, _ := first["profile"].(map[string]any); profile["email"] != s.person || first["token_type"] != "Bearer" {
		t.Fatalf("it knows %v", first)
	}
	if m := s.does("(await manager()).metadataService.getMetadata()"); m["check_session_iframe"] != nil {
		t.Error("there is a check_session_iframe, which we do not do")
	}
	t.Run("by refresh token", func(t *testing.T) {
		if out := s.does("void await (await manager()).signinSilent()"); out["failed"] != nil {
			t.Fatal(out)
		}
		second := s.does("user()")
		if first["refresh_token"] == nil || second["refresh_token"] == first["refresh_token"] || second["access_token"] == first["access_token"] {
			t.Errorf("nothing is new: %v", second)
		}
	})
	t.Run("by a frame, with prompt=none", func(t *testing.T) {
		before := s.does("user()")
		out := s.does(`{ const m = await manager(); const u = await m.getUser(); u.refresh_token = undefined; await m.storeUser(u); await m.signinSilent() }`)
		if after := s.does("user()"); out["failed"] != nil || after["access_token"] == before["access_token"] {
			t.Errorf("%v %v", out, after)
		}
	})
	t.Run("revoked", func(t *testing.T) {
		out := s.does(`{ const m = await manager(); const u = await m.getUser(); await m.revokeTokens(["access_token", "refresh_token"]); await m.storeUser(u) }`)
		if out["failed"] != nil {
			t.Fatal(out)
		}
		if out := s.does("userinfo()"); out["status"] != float64(http.StatusUnauthorized) {
			t.Errorf("the access token lives: %v", out)
		}
		if out := s.does("void await (await manager()).signinSilent()"); !strings.Contains(fmt.Sprint(out["failed"]), "invalid_grant") {
			t.Errorf("the refresh token lives: %v", out)
		}
	})
	t.Run("signed out", func(t *testing.T) {
		if title := s.signIn("bearer", `{"prompt":"none"}`); title != "signed in" {
			t.Fatal(title)
		}
		if _, err := s.page.Eval("() => { manager().then((m) => m.signoutRedirect()) }"); err != nil {
			t.Fatal(err)
		}
		s.at("its own", func(at, _ string) bool { return at == s.url+"/" })
		if title := s.signIn("bearer", `{"prompt":"none"}`); title != "not signed in: login_required" {
			t.Error(title)
		}
	})
	t.Run("from another origin nothing is read", func(t *testing.T) {
		u, err := url.Parse(s.url)
		if err != nil {
			t.Fatal(err)
		}
		s.page.MustNavigate("http://localhost:" + u.Port() + "/").MustWaitLoad()
		ask := fmt.Sprintf(`{ const r = await fetch(%q, { method: "POST", body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: "x", client_id: "spa" }) }); return await r.json() }`, s.bridge.Issuer+"/oauth2/token")
		if out := s.does("(async () => " + ask + ")()"); !strings.Contains(fmt.Sprint(out["failed"]), "Failed to fetch") {
			t.Errorf("it reads %v", out)
		}
	})
}

// The same with tokens that are bound to a key of the browser's (DPoP), with a nonce of
// the server's.
func TestSinglePageApplicationWithDPoP(t *testing.T) {
	t.Parallel()
	s := spaWorld(t)
	if title := s.signIn("bound", s.hint()); title != "signed in" {
		t.Fatal(title)
	}
	first := s.does("user()")
	if info := s.does("userinfo()"); info["status"] != float64(http.StatusOK) || info["email"] != s.person || first["token_type"] != "DPoP" {
		t.Errorf("%v of %v", info, first)
	}
	if out := s.does("void await (await manager()).signinSilent()"); out["failed"] != nil {
		t.Fatal(out)
	}
	if second := s.does("user()"); second["access_token"] == first["access_token"] || second["refresh_token"] == first["refresh_token"] {
		t.Errorf("nothing is new: %v", second)
	}
	if info := s.does("userinfo()"); info["status"] != float64(http.StatusOK) {
		t.Errorf("after the refresh: %v", info)
	}
}
