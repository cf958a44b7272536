//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// apacheConf is what stands around the configuration of docs/applications.md. The refresh
// token is shown so that it is seen to change.
const apacheConf = `
ServerRoot /usr/lib/apache2
ServerName 127.0.0.1
Listen 127.0.0.1:%d
PidFile %s/pid
ErrorLog /dev/stderr
LogLevel warn auth_openidc:info
Mutex pthread
User www-data
Group www-data
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authn_core_module modules/mod_authn_core.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule authz_user_module modules/mod_authz_user.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
LoadModule auth_openidc_module modules/mod_auth_openidc.so
StartServers 1
OIDCAuthRequestParams connection=banksia-entra
OIDCPassRefreshToken On
%s
<Location /after>
  Require all granted
</Location>
`

// apache is Apache with its application, and what a browser sees through it.
type apache struct {
	*process
	url string
}

func apacheWorld(t *testing.T) (*apache, *bridge) {
	t.Helper()
	at, web := freePort(t), freePort(t)
	a := &apache{url: fmt.Sprint("http://127.0.0.1:", web)}
	b := startBridge(t, at, sample(fmt.Sprintf(`
  - id: apache
    name: Behind Apache
    secret: a-secret-of-apache
    redirect_uris: [ %[1]s/oidc/callback ]
    post_logout_redirect_uris: [ %[1]s/after ]
    backchannel_logout_uri: %[1]s/oidc/callback?logout=backchannel
`, a.url), "", ""))
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(r.Header) // the browser may have gone
	}))
	t.Cleanup(app.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "apache.conf")
	// The access token is refreshed at every request, since none lives that long, and a scope
	// is asked for that the application may not have.
	conf := strings.NewReplacer("https://id.example", b.Issuer, "https://fleet.example", a.url, "http://fleet/", app.URL+"/", "fleet-apache", "apache",
		"a-long-random-secret", "a-secret-of-apache", "BeforeExpiry 60", "BeforeExpiry 86400", `"openid email"`, `"openid email offline_access"`).Replace(documented(t, "apache"))
	if err := os.WriteFile(file, fmt.Appendf(nil, apacheConf, web, dir, conf), 0o600); err != nil {
		t.Fatal(err)
	}
	a.process = start(t, "", nil, "apache2", "-f", file, "-DFOREGROUND")
	eventually(t, "Apache listens", func() bool {
		res, err := http.Get(a.url + "/after") //nolint:noctx // a test's own server
		if err == nil {
			res.Body.Close() //nolint:errcheck // not read
		}
		return err == nil
	})
	return a, b
}

// documented is the first block of a language in docs/applications.md.
func documented(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/applications.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n```"+language+"\n")
	block, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatalf("docs/applications.md has no block of %s", language)
	}
	return block
}

// shown is what the application is told of somebody; nil if the browser gets no further
// than to the bridge.
func (a *apache) shown(b *browser) http.Header {
	a.t.Helper()
	p := b.get(a.url + "/page")
	if !strings.HasPrefix(p.url.String(), a.url) {
		return nil
	}
	var told http.Header
	if err := json.Unmarshal([]byte(p.body), &told); err != nil || p.status != http.StatusOK {
		a.t.Fatalf("%s %d: %s", p.url, p.status, p.body)
	}
	return told
}

// An application behind Apache's mod_auth_openidc: people sign in, it refreshes, and
// sessions end from either side.
func TestApacheModAuthOpenIDC(t *testing.T) {
	t.Parallel()
	apache, bridge := apacheWorld(t)
	person := bridge.connection("banksia-entra").People[0]
	fleet := bridge.fleetWeb()
	// The demo's identity provider signs in whom the hint names, without a page.
	signIn := func(b *browser) http.Header {
		s, p := fleet.signInAs(b, url.Values{"connection": {"banksia-entra"}, "login_hint": {person}}, nil)
		fleet.redeem(s, p)
		b.until = ""
		told := apache.shown(b)
		if told.Get("OIDC_CLAIM_email") != person || !strings.Contains(told.Get("OIDC_CLAIM_active_grant"), `"administrator"`) {
			t.Fatalf("the application is told %v", told)
		}
		return told
	}
	b := newBrowser(t)
	first := signIn(b)
	t.Run("it refreshes", func(t *testing.T) {
		second := apache.shown(b)
		own := relyingParty(t, bridge.Issuer, "apache", "a-secret-of-apache", "")
		if second.Get("OIDC_refresh_token") == first.Get("OIDC_refresh_token") || !own.lives(second.Get("OIDC_access_token")) {
			t.Errorf("first %v, then %v", first, second)
		}
	})
	t.Run("signing out at another application ends its session", func(t *testing.T) {
		s, p := fleet.signInAs(b, url.Values{"prompt": {"none"}}, nil)
		id := fleet.redeem(s, p).idToken
		b.until = ""
		b.get(bridge.Issuer + "/oauth2/end_session?id_token_hint=" + id)
		eventually(t, "Apache has heard of it", func() bool { return apache.shown(b) == nil })
	})
	t.Run("signing out there signs out here", func(t *testing.T) {
		b := newBrowser(t)
		signIn(b)
		left := b.get(apache.url + "/oidc/callback?logout=" + url.QueryEscape(apache.url+"/after"))
		if !strings.HasPrefix(left.url.String(), apache.url+"/after") {
			t.Errorf("it ended at %s %d: %s", left.url, left.status, left.body)
		}
		_, p := fleet.signInAs(b, url.Values{"prompt": {"none"}}, nil)
		if p.url.Query().Get("error") != "login_required" {
			t.Errorf("the bridge's session goes on: %s", p.url)
		}
	})
	t.Run("whoever is disabled is out", func(t *testing.T) {
		b := newBrowser(t)
		signIn(b)
		bridge.command(t, "demo", "disable", person)
		eventually(t, "Apache has heard of it", func() bool { return apache.shown(b) == nil })
	})
}
