package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/api"
)

// TestAnAdministratorRotatesAClientsSecret with the commands alone, while the identity
// provider goes on: the old secret's access token ends when the old secret is revoked.
func TestAnAdministratorRotatesAClientsSecret(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir())
	const conn = "tundra-okta"
	first := d.newClient("connection", "client", "create", conn, "--name", "Okta", "--days", "730")
	old := d.accessToken(first.TokenURL, first.ID, first.Secret)
	if old == "" || d.asks(first.SCIMURL, old) != http.StatusOK {
		t.Fatal("the client is not let in")
	}
	second := d.newClient("connection", "client", "secret", conn, first.ID, "--note", "successor")
	fresh := d.accessToken(first.TokenURL, first.ID, second.Secret)
	if second.ID != first.ID || len(second.Secrets) != 2 || d.asks(first.SCIMURL, fresh) != http.StatusOK || d.asks(first.SCIMURL, old) != http.StatusOK {
		t.Errorf("the two do not overlap: %+v", second)
	}
	code, out := d.command("connection", "client", "list", conn)
	for _, want := range []string{first.ID, "Okta", "successor", "…" + first.Secret[len(first.Secret)-4:], time.Now().AddDate(0, 0, 730).Format("2006-01")} {
		if code != exitDone || !strings.Contains(out, want) {
			t.Errorf("the list (%d) has no %q:\n%s", code, want, out)
		}
	}
	if strings.Contains(out, first.Secret) || strings.Contains(d.log.String(), first.Secret) {
		t.Error("the secret is shown again")
	}
	if _, out := d.command("token", "list", conn); !strings.Contains(out, first.ID) {
		t.Errorf("token list hides the client:\n%s", out)
	}
	if code, out := d.command("connection", "client", "revoke", conn, first.ID, first.Secrets[0].ID); code != exitDone {
		t.Fatalf("%d %s", code, out)
	}
	if d.asks(first.SCIMURL, old) != http.StatusUnauthorized || d.asks(first.SCIMURL, fresh) != http.StatusOK {
		t.Error("revoking the old secret ends the wrong token")
	}
	if d.accessToken(first.TokenURL, first.ID, first.Secret) != "" {
		t.Error("a revoked secret still gets a token")
	}
	if code, out := d.command("connection", "client", "revoke", conn, first.ID); code != exitDone || d.asks(first.SCIMURL, fresh) != http.StatusUnauthorized {
		t.Errorf("the client lives on: %d %s", code, out)
	}
	if code, _ := d.command("connection", "client", "revoke", "banksia-entra", first.ID); code != exitNo {
		t.Errorf("another connection's client can be named: %d", code)
	}
}

func (d *running) newClient(args ...string) (made api.NewClient) {
	d.t.Helper()
	code, out := d.command(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &made); code != exitDone || err != nil {
		d.t.Fatalf("%v: %d %s (%v)", args, code, out, err)
	}
	return made
}

// accessToken asks the token endpoint by client_secret_basic; "" if it refuses.
func (d *running) accessToken(at, id, secret string) string {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, at, strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	p := visit(d.t, http.DefaultClient, req)
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(p.body), &got); err != nil {
		d.t.Fatalf("%d %s", p.status, p.body)
	}
	return got.AccessToken
}

// asks is the status of a SCIM request with that bearer token.
func (d *running) asks(base, bearer string) int {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, base+"/Users?count=0", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	return visit(d.t, http.DefaultClient, req).status
}
