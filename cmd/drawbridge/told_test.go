package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/drawbridge-id/drawbridge/examples"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

const hookKey = "bm90LWEtc2VjcmV0LWZvci1sb29wYmFjay1vbmx5"

// withMore is the sample organisation with applications of a partner and a webhook.
func withMore(t *testing.T, hook string) string {
	t.Helper()
	more := fmt.Sprintf(`
webhooks:
  - name: operations
    url: %[1]s/hook
    secret: whsec_%[2]s
    events: [ "session.*" ]
clients:
  - id: atlas
    name: Atlas Routes
    secret: atlas-secret-for-loopback-only
    redirect_uris: [ %[1]s/atlas ]
    consent: true
    pairwise_sector: atlas.example
`, hook, hookKey)
	file := filepath.Join(t.TempDir(), "drawbridge.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(examples.Drawbridge), "\nclients:\n", more, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// message is one webhook as it came, if its signature is good.
func message(r *http.Request) (kind string, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	key, err := base64.StdEncoding.DecodeString(hookKey)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
		return "", fmt.Errorf("signature %q of %s", r.Header.Get("webhook-signature"), body)
	}
	var m struct {
		Type string
		Data struct{ Details map[string]string }
	}
	err = json.Unmarshal(body, &m)
	return m.Type + " " + m.Data.Details["reason"], err
}

// A partner's application is given nothing before the person has agreed, knows people by
// another name than the vendor's own, and loses its tokens when it is taken back. When
// the company disables the person, the webhook says so.
func TestAPartnersApplicationAndAWebhook(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 20)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hook" {
			return // the browser came back to Atlas
		}
		kind, err := message(r)
		if err != nil {
			t.Error(err)
		}
		heard <- kind
	}))
	t.Cleanup(receiver.Close)
	d, b := startDemo(t, t.TempDir(), "--config", withMore(t, receiver.URL)), newBrowser(t)
	person := d.connection("tundra-okta").People[0]
	atlas := &oidctest.Client{Issuer: d.Issuer, ClientID: "atlas", ClientSecret: secret.New("atlas-secret-for-loopback-only"), RedirectURI: receiver.URL + "/atlas"}
	verifier := oauth2.GenerateVerifier()
	asked := get(t, b, d.Issuer+"/oauth2/authorize?"+url.Values{"response_type": {"code"}, "client_id": {"atlas"}, "redirect_uri": {atlas.RedirectURI}, "scope": {"openid"}, "connection": {"tundra-okta"},
		"login_hint": {person}, "code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"}}.Encode())
	wantPage(t, asked, http.StatusOK, "Atlas Routes", "Allow")
	request := regexp.MustCompile(`name="request" value="([^"]+)"`).FindStringSubmatch(asked.body)
	if request == nil {
		t.Fatalf("no form:\n%s", asked.body)
	}
	back, err := url.Parse(post(t, b, d.Issuer+"/me/consent", url.Values{"request": {request[1]}, "answer": {"allow"}}).url)
	if err != nil {
		t.Fatal(err)
	}
	agreed, err := atlas.Exchange(t.Context(), back.Query().Get("code"), verifier, "")
	if err != nil {
		t.Fatal(err)
	}
	own, err := d.client("tundra-okta").SignIn(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	if agreed.Claims["sub"] == own.Claims["sub"] || agreed.Claims["sub"] == nil {
		t.Errorf("the partner knows the person as %v", agreed.Claims["sub"])
	}
	wantPage(t, post(t, b, d.Issuer+"/me/applications", url.Values{"application": {"atlas"}}), http.StatusOK, "You have not allowed any")
	if said, err := atlas.Introspect(t.Context(), agreed.AccessToken); err != nil || said["active"] != false {
		t.Errorf("after it was taken back: %v, %v", said, err)
	}
	if code, out := d.command("demo", "disable", person); code != exitDone {
		t.Fatalf("demo disable: %d\n%s", code, out)
	}
	for timeout := time.After(20 * time.Second); ; {
		select {
		case kind := <-heard:
			if strings.HasPrefix(kind, "session.revoked") {
				return
			}
		case <-timeout:
			t.Fatal("the webhook did not hear that sessions ended")
		}
	}
}
