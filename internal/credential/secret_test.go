package credential

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// Canary: no secret of this package leaves by printing or encoding what holds it.
func TestSecretsDoNotPrint(t *testing.T) {
	text := NewRootKey()
	above, err := ParseRootKey([]byte(text.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	root := NewDataKey()
	spelled, err := root.Text()
	if err != nil {
		t.Fatal(err)
	}
	key, err := root.RefreshKey()
	if err != nil {
		t.Fatal(err)
	}
	cursors, err := root.CursorKey()
	if err != nil {
		t.Fatal(err)
	}
	marks, err := root.MarkKey()
	if err != nil {
		t.Fatal(err)
	}
	nonces, err := root.NonceKey()
	if err != nil {
		t.Fatal(err)
	}
	hook, err := ParseWebhookKey(secret.New("whsec_" + base64.StdEncoding.EncodeToString([]byte("a webhook's key, 30 bytes long"))))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := root.GenerateKey(ES256, KeyActive, noon())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := NewKeyring(root, []SealedKey{sealed})
	if err != nil {
		t.Fatal(err)
	}
	private, err := root.open(sealed.Sealed, sealed.place())
	if err != nil {
		t.Fatal(err)
	}
	refresh := key.Seal("fam_1", 1, "salt")
	parsed, err := ParseRefresh(refresh.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	code := NewOpaque(KindCode)
	scim, _ := NewSCIMToken()
	clientSecret, _ := NewClientSecret()
	access, err := root.SCIMAccessKey()
	if err != nil {
		t.Fatal(err)
	}
	scimAccess, err := access.Seal(someAccess())
	if err != nil {
		t.Fatal(err)
	}
	var spellings []string
	for _, raw := range [][]byte{above.key()[:], root.key()[:], key.key()[:], cursors.key()[:], nonces.key()[:], parsed.mac()[:], private[36:68], hook.key()} {
		spellings = append(spellings, string(raw), fmt.Sprint(raw), fmt.Sprintf("%x", raw), fmt.Sprintf("%X", raw),
			strings.Trim(fmt.Sprintf("%#v", raw), "[]byte{}"), base64.RawURLEncoding.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw))
	}
	for _, s := range []string{text.Reveal(), spelled.Reveal(), refresh.Reveal(), code.Reveal(), scim.Reveal(), clientSecret.Reveal(), scimAccess.Reveal()} {
		spellings = append(spellings, strings.TrimSpace(s), fmt.Sprintf("%x", s))
	}
	type wrapped struct {
		Inner any
	}
	// fmt asks no Formatter of unexported fields.
	type holder struct {
		above   RootKey
		root    DataKey
		key     RefreshKey
		cursors CursorKey
		access  SCIMAccessKey
		marks   MarkKey
		nonces  NonceKey
		hook    WebhookKey
		refresh Refresh
		ring    *Keyring
	}
	shy := holder{above, root, key, cursors, access, marks, nonces, hook, parsed, ring}
	for _, held := range []any{text, spelled, above, &above, root, &root, key, &key, cursors, &cursors, parsed, &parsed, ring, refresh, code, scim, clientSecret, scimAccess, access, &access, marks, &marks, nonces, &nonces, hook, &hook, shy, &shy} {
		for _, shown := range []any{held, wrapped{held}, []any{held}, map[string]any{"k": held}} {
			var out []string
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				if held == any(ring) && shown != held {
					continue // printed through a pointer inside, a keyring is its address
				}
				out = append(out, fmt.Sprintf(verb, shown))
			}
			encoded, err := json.Marshal(shown)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range append(out, string(encoded)) {
				for _, s := range spellings {
					if strings.Contains(o, s) {
						t.Errorf("%T shows a secret", held)
					}
				}
			}
		}
	}
}

// A refused credential is not repeated in the error.
func TestErrorsDoNotRepeatTheCredential(t *testing.T) {
	i := testIssuer(t, ES256)
	for name, parse := range map[string]func(string) error{
		"opaque":   func(s string) error { _, err := ParseOpaque(KindCode, s); return err },
		"scim":     func(s string) error { _, _, err := ParseSCIMToken(s); return err },
		"refresh":  func(s string) error { _, err := ParseRefresh(s); return err },
		"access":   func(s string) error { _, err := i.Verify(s, noon()); return err },
		"id":       func(s string) error { _, err := i.VerifyIDToken(s); return err },
		"secret":   func(s string) error { _, _, err := ParseClientSecret(s); return err },
		"scimat":   func(s string) error { _, err := scimKey(t).Open(s, noon()); return err },
		"cursor":   func(s string) error { _, err := cursorKey(t).Open(s, "list"); return err },
		"root":     func(s string) error { _, err := ParseRootKey([]byte(s)); return err },
		"data":     func(s string) error { _, err := ParseDataKey(s); return err },
		"envelope": func(s string) error { _, err := ParseEnvelope([]byte(s)); return err },
		"webhook":  func(s string) error { _, err := ParseWebhookKey(secret.New(s)); return err },
	} {
		for _, prefix := range []string{"", "drb_code_", "drb_scim_", "drb_refresh_", "drb_root_", "drb_secret_", "drb_scimat_", "eyJh.", "whsec_"} {
			err := parse(prefix + "canary4711")
			if err == nil || strings.Contains(err.Error(), "canary4711") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
