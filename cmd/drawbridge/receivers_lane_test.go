//go:build lanes

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/api"
)

// receivers are the applications that are told of ends of sessions, each at a path of its own, and each
// answering as it is told to.
type receivers struct {
	*httptest.Server
	done chan struct{} // closed when the test is over: whoever hangs may go

	mu      sync.Mutex // guards the rest
	answers map[string]func(http.ResponseWriter, *http.Request)
	heard   map[string][]map[string]any // the claims of the logout tokens, by application
}

func newReceivers(t *testing.T) *receivers {
	a := &receivers{done: make(chan struct{}), answers: map[string]func(http.ResponseWriter, *http.Request){}, heard: map[string][]map[string]any{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	t.Cleanup(func() { close(a.done) })
	return a
}

// ServeHTTP implements http.Handler.
func (a *receivers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	claims := claimsOf(r.PostFormValue("logout_token"))
	a.mu.Lock()
	a.heard[name] = append(a.heard[name], claims)
	answer := a.answers[name]
	a.mu.Unlock()
	if answer != nil {
		answer(w, r)
	}
}

func (a *receivers) answer(name string, how func(http.ResponseWriter, *http.Request)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[name] = how
}

// told is all that an application was told so far.
func (a *receivers) told(name string) []map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.heard[name])
}

// waits waits until an application has been told so often, and gives what.
func (a *receivers) waits(t *testing.T, name string, many int) []map[string]any {
	t.Helper()
	return awaited(t, fmt.Sprintf("what %s is told, %d times", name, many), func() ([]map[string]any, bool) {
		got := a.told(name)
		return got, len(got) >= many
	})
}

// configured is a configuration with these applications; an address replaces the path of
// its own that each has.
func (a *receivers) configured(t *testing.T, names []string, elsewhere map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "conformance", "drawbridge.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var clients strings.Builder
	for _, name := range names {
		at := elsewhere[name]
		if at == "" {
			at = a.URL + "/" + name
		}
		fmt.Fprintf(&clients, "  - { id: %s, name: %s, secret: of-%s, redirect_uris: [ \"%s/callback\" ], insecure_no_pkce: true, id_token_alg: RS256, backchannel_logout_uri: %q }\n", name, name, name, a.URL, at)
	}
	before, rest, _ := strings.Cut(string(text), "clients:\n")
	_, after, _ := strings.Cut(rest, "\nscopes:")
	whole := strings.NewReplacer("https://id.lantern.example", "http://127.0.0.1:8443", "secret_env: CONFORMANCE_UPSTREAM_SECRET", "secret: replaced-by-the-demo").
		Replace(before + "clients:\n" + clients.String() + "\nscopes:" + after)
	file := filepath.Join(t.TempDir(), "drawbridge.yaml")
	if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// startWith runs the built program with these applications, of which one signs people in.
func startWith(t *testing.T, a *receivers, program, data, file string) (*suite, *trial) {
	t.Helper()
	s := &suite{own: a.Server}
	s.running, s.kill = startBinary(t, program, data, "--config", file)
	s.read(t, "/.well-known/openid-configuration", &s.listed)
	s.read(t, "/oauth2/keys", &s.keys)
	return s, &trial{suite: s, t: t}
}

func (a *receivers) party(name string) relyingParty {
	return relyingParty{id: name, secret: "of-" + name, redirect: a.URL + "/callback"}
}

// receiver is how deliveries to an application go, as the command line lists it.
func (s *suite) receiver(t *testing.T, name string) api.Receiver {
	t.Helper()
	code, out := s.command("delivery", "list", "--json")
	var all []api.Receiver
	if err := json.Unmarshal([]byte(out), &all); code != exitDone || err != nil {
		t.Fatalf("delivery list: %d %v %s", code, err, out)
	}
	at := slices.IndexFunc(all, func(r api.Receiver) bool { return r.Receiver == "logout:"+name })
	if at < 0 {
		return api.Receiver{}
	}
	return all[at]
}

// Applications that hang, answer slowly, redirect, or are at a private address hold up
// neither the person who signs out nor the others; each hears of it as soon as it can.
func TestLogoutReceiversThatMisbehave(t *testing.T) {
	t.Parallel()
	a := newReceivers(t)
	names := []string{"quick", "slow", "hangs", "redirects", "private"}
	a.answer("slow", func(http.ResponseWriter, *http.Request) { time.Sleep(2 * time.Second) })
	a.answer("hangs", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-a.done:
		}
	})
	a.answer("redirects", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, a.URL+"/inside", http.StatusTemporaryRedirect)
	})
	file := a.configured(t, names, map[string]string{"private": "https://10.255.255.1/bye"})
	s, r := startWith(t, a, build(t), t.TempDir(), file)
	p := r.person()
	var got tokens
	for _, name := range names {
		got = p.signsIn(a.party(name), nil)
	}
	if at := p.leaves(url.Values{"id_token_hint": {got.id}}); at.status != http.StatusOK || !strings.Contains(at.body, "signed out") {
		t.Errorf("it ended at %s with %d: %s", at.url, at.status, at.body)
	}
	for _, name := range []string{"quick", "hangs", "redirects", "slow"} {
		if c := a.waits(t, name, 1)[0]; c["sid"] == nil || c["aud"] != name {
			t.Errorf("%s was told %v", name, c)
		}
	}
	failing := func(name, because string) {
		t.Helper()
		awaited(t, name+" in the list", func() (bool, bool) {
			d := s.receiver(t, name)
			return true, d.Pending == 1 && d.Failed > 0 && strings.Contains(d.Error, because)
		})
	}
	failing("hangs", "exceeded")
	failing("redirects", "redirect")
	failing("private", "10.255.255.1 is not a public one")
	for _, name := range []string{"hangs", "redirects"} { // they are mended
		before := len(a.told(name))
		a.answer(name, nil)
		if code, out := s.command("delivery", "retry", "logout:"+name); code != exitDone {
			t.Errorf("delivery retry: %d %s", code, out)
		}
		all := a.waits(t, name, before+1)
		if all[0]["jti"] == nil || all[0]["jti"] != all[len(all)-1]["jti"] {
			t.Errorf("%s is told of one end by several tokens: %v", name, all)
		}
	}
	for _, name := range []string{"quick", "slow", "hangs", "redirects"} {
		awaited(t, name+" without what waits", func() (bool, bool) {
			d := s.receiver(t, name)
			return true, d.Pending == 0 && d.Sent == 1
		})
	}
	if n := len(a.told("quick")); n != 1 {
		t.Errorf("quick was told %d times", n)
	}
	if inside := a.told("inside"); len(inside) != 0 {
		t.Errorf("a redirect was followed: %v", inside)
	}
}

// The program is killed between the end of sessions and their delivery: after a restart
// the application is told of each end, once, with its reason.
func TestAKillBetweenEndAndDeliveryLosesNoLogout(t *testing.T) {
	t.Parallel()
	a, program, data := newReceivers(t), build(t), t.TempDir()
	a.answer("fleet", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	file := a.configured(t, []string{"fleet"}, nil)
	s, r := startWith(t, a, program, data, file)
	one, two := r.person(), r.person()
	out, ended := one.signsIn(a.party("fleet"), nil), two.signsIn(a.party("fleet"), nil)
	one.leaves(url.Values{"id_token_hint": {out.id}})
	a.waits(t, "fleet", 1) // it has been tried; of the next nobody has heard
	c := s.connection("conformance")
	var found struct{ Resources []struct{ ID string } }
	if status := scimCall(t, http.MethodGet, c.SCIMURL+"/Users?"+url.Values{"filter": {`userName eq "` + ash + `"`}}.Encode(), c.SCIMToken, nil, &found); status != http.StatusOK || len(found.Resources) != 1 {
		t.Fatalf("%s is not there: %d", ash, status)
	}
	off := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": []any{map[string]any{"op": "replace", "value": map[string]any{"active": false}}}}
	if status := scimCall(t, http.MethodPatch, c.SCIMURL+"/Users/"+found.Resources[0].ID, c.SCIMToken, off, nil); status/100 != 2 {
		t.Fatalf("PATCH: %d", status)
	}
	s.kill()
	before := len(a.told("fleet"))
	a.answer("fleet", nil)
	again, _ := startWith(t, a, program, data, file)
	awaited(t, "both deliveries", func() (bool, bool) {
		d := again.receiver(t, "fleet")
		return true, d.Pending == 0 && d.Sent == 2
	})
	reasons := map[any]any{}
	after := a.told("fleet")[before:]
	for _, c := range after {
		reasons[c["sid"]] = c["end_reason"]
	}
	if len(after) != 2 || reasons[out.claims["sid"]] != "signed_out" || reasons[ended.claims["sid"]] != "deactivated" {
		t.Errorf("after the restart it was told %v of %v and %v", after, out.claims["sid"], ended.claims["sid"])
	}
}
