//go:build interop

package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// openid-client, by an application that signs, sends requests ahead, binds its tokens to
// a key and hears of sign-outs.
func TestOpenIDClientSigned(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: "of-a-test", Algorithm: "ES256", Use: "sig"}
	published, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := key.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, published, 0o600); err != nil {
		t.Fatal(err)
	}
	back, told := fmt.Sprintf("http://127.0.0.1:%d/callback", freePort(t)), freePort(t)
	b := startBridge(t, freePort(t), sample(fmt.Sprintf(`
  - id: signed
    name: Signed
    jwks_file: %s
    redirect_uris: [ %s ]
    grant_types: [ authorization_code, refresh_token, "urn:ietf:params:oauth:grant-type:token-exchange" ]
    resources: [ https://reports.example ]
    require_par: true
    require_dpop: true
    backchannel_logout_uri: http://127.0.0.1:%d/logout
`, file, back, told), "", "", "dpop_nonce: required"))
	p := start(t, "../../testdata/openid-client", []string{"ISSUER=" + b.Issuer, "CLIENT_ID=signed", "REDIRECT_URI=" + back, "PRIVATE_KEY=" + string(secret),
		"LOGIN_HINT=" + b.connection("southern-entra").People[0], "CONNECTION=southern-entra", "RESOURCE=https://reports.example", fmt.Sprint("LOGOUT_PORT=", told)}, "node", "signed.mjs")
	t.Log(p.await("that all steps passed", func(line string) bool { return len(line) > 2 && line[:2] == "1." }))
}
