package demo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/demo"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// far stands where the bridge would: it answers SCIM as an empty directory does,
// and keeps what it was sent.
type far struct {
	mu   sync.Mutex // guards the rest
	made int
	said []string
}

func (f *far) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, r.Method+" "+r.URL.Path+" "+string(body))
	switch r.Method {
	case http.MethodPost:
		f.made++
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"id":"r%d"}`, f.made)
	case http.MethodGet:
		_, _ = io.WriteString(w, `{"totalResults":0,"Resources":[]}`)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (f *far) heard(part string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Contains(strings.Join(f.said, "\n"), part)
}

func wiring(s *demo.Servers) demo.Wiring {
	w := demo.Wiring{ClientID: "fleet-web", ClientSecret: secret.New("app secret"), SCIMTokens: map[string]secret.String{}}
	for _, p := range s.Providers() {
		w.SCIMTokens[p.Connection] = secret.New("scim " + p.Connection)
	}
	return w
}

// run opens the demo around a far end and syncs.
func run(t *testing.T, o demo.Options) (*demo.Servers, *far) {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	o.Problem = func(err error) { t.Error(err) }
	s, err := demo.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	f := &far{}
	bridge := &http.Server{Handler: f, ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- bridge.Serve(s.BridgeListener()) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(t.Context()), bridge.Close()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		<-served
	})
	if err := s.Start(wiring(s)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, f
}

// The announcement has the promised shape, and every issuer in it answers.
func TestAnnouncementNamesWhatAnswers(t *testing.T) {
	s, f := run(t, demo.Options{})
	b, err := json.Marshal(s.Announce(wiring(s), secret.New("admin")))
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Issuer, Me_URL, API_URL, Admin_Token, App_URL string //nolint:revive // the wire's names
		Connections                                   []struct {
			ID, IdP, SCIM_URL, SCIM_Token, IdP_Issuer string //nolint:revive // the wire's names
			People                                    []string
		}
		Clients []struct{ Client_ID, Client_Secret, Redirect_URI string } //nolint:revive // the wire's names
	}
	if err := json.Unmarshal(b, &a); err != nil {
		t.Fatal(err)
	}
	if a.Admin_Token != "admin" || a.Me_URL != a.Issuer+"/me/" || a.Clients[0].Redirect_URI != a.App_URL+"/callback" || len(a.Connections) != 4 {
		t.Errorf("announced %s", b)
	}
	for _, c := range a.Connections {
		if res := get(t, c.IdP_Issuer+"/.well-known/openid-configuration"); !strings.Contains(res, `"issuer":"`+c.IdP_Issuer+`"`) {
			t.Errorf("%s: %s", c.ID, res)
		}
		if c.SCIM_Token != "scim "+c.ID || len(c.People) == 0 {
			t.Errorf("connection %+v", c)
		}
	}
	if page := get(t, a.App_URL); !strings.Contains(page, "Sign in") {
		t.Errorf("the application shows %s", page)
	}
	if !f.heard("liv@tundra.example") || !f.heard("GL Hobart Managers") {
		t.Error("the sample organisation was not sent")
	}
}

func get(t *testing.T, at string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// `drawbridge demo disable kim` reaches the running demo, which sends Entra's own
// deactivation; the answer shows it with its time. Nobody without the file can.
func TestDisableFromAnotherTerminal(t *testing.T) {
	data := t.TempDir()
	s, f := run(t, demo.Options{Data: data})
	file := filepath.Join(data, "demo-control.json")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("control file: %v, %v", info, err)
	}
	c, err := demo.ReadControl(file)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.Change(t.Context(), "disable", "kim")
	if err != nil {
		t.Fatal(err)
	}
	if text := o.String(); !strings.Contains(text, `"path":"active","value":"False"`) || !strings.Contains(text, "204") || !strings.Contains(text, " ms") {
		t.Errorf("printed:\n%s", text)
	}
	if !f.heard(`PATCH /scim/v2/southern-entra/Users/`) {
		t.Error("nothing reached the bridge")
	}
	if _, err := c.Change(t.Context(), "disable", "nobody@else.example"); !errors.Is(err, demo.ErrNoSuchPerson) || !strings.Contains(err.Error(), "kim@southern.example") {
		t.Errorf("an unknown person: %v", err)
	}
	if _, err := c.Change(t.Context(), "promote", "kim"); err == nil {
		t.Error("an unknown act was done")
	}
	if _, err := (demo.Control{Address: c.Address, Token: "guess"}).Change(t.Context(), "enable", "kim"); err == nil {
		t.Error("a wrong token was accepted")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := demo.ReadControl(file); !errors.Is(err, demo.ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}

// A restart with the same folder is the same demo: addresses, client secrets and
// what was done to people.
func TestRestartIsTheSameDemo(t *testing.T) {
	data := t.TempDir()
	s, _ := run(t, demo.Options{Data: data})
	before := fmt.Sprint(s.BridgeURL(), s.AppURL(), s.Providers()[0].Issuer, s.Providers()[0].ClientSecret.Reveal())
	c, err := demo.ReadControl(filepath.Join(data, "demo-control.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Change(t.Context(), "disable", "ada@banksia.example"); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, f := run(t, demo.Options{Data: data})
	if after := fmt.Sprint(again.BridgeURL(), again.AppURL(), again.Providers()[0].Issuer, again.Providers()[0].ClientSecret.Reveal()); after != before || again.Moved {
		t.Errorf("before %s, after %s", before, after)
	}
	if f.heard(`"userName":"ada@banksia.example"`) {
		t.Error("a disabled person was sent again")
	}
}

// The demo signs in whoever asks: it does not listen to other machines.
func TestOnlyLoopback(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "localhost:0", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65530"} {
		if s, err := demo.Open(demo.Options{Listen: address}); err == nil {
			t.Errorf("%s was accepted", address)
			_ = s.Stop(t.Context())
		}
	}
}

// Connections outside the sample get people: one for each group and one in none.
func TestOtherConfigurationsGetPeople(t *testing.T) {
	s, f := run(t, demo.Options{Connections: []demo.Spec{{ID: "harbour", IdP: "okta", Name: "Harbour Lines", Domains: []string{"harbour.example"}, Groups: []string{"ops", "desk"}}}})
	if !f.heard("ash@harbour.example") || !f.heard("zoe@harbour.example") || !f.heard(`"displayName":"desk"`) {
		t.Error("nobody was invented")
	}
	var b bytes.Buffer
	if err := s.Banner(&b, oidctest.Report{PeopleCreated: 3}, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{s.AppURL(), "ash@harbour.example", "demo disable", "okta-like"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the banner lacks %q:\n%s", want, b.String())
		}
	}
	only := func(_, person string) (string, bool) { return "words of " + person, strings.HasPrefix(person, "zoe") }
	nobody := func(string, string) (string, bool) { return "no access", false }
	for want, holds := range map[string]demo.Holds{"words of ash@harbour.example\n": only, "sign in as zoe@harbour.example, and look": only, "Nobody can sign in": nobody} {
		b.Reset()
		if err := s.Banner(&b, oidctest.Report{}, holds); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("the banner lacks %q (%v):\n%s", want, err, b.String())
		}
	}
}
