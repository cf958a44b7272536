package credential

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// hookSecret is the secret of the vector that libraries of Standard Webhooks are tested with.
const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestAWebhookIsSignedAsStandardWebhooksPublishesIt(t *testing.T) {
	k, err := ParseWebhookKey(secret.New(hookSecret))
	if err != nil {
		t.Fatal(err)
	}
	got := k.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s := (WebhookKey{}).Sign("msg_1", time.Unix(0, 0), nil); s != "" {
		t.Errorf("no key signs %s", s)
	}
}

func TestAWebhooksSecretIs24To64Bytes(t *testing.T) {
	of := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for text, says := range map[string]string{
		of(24): "", of(32): "", of(64): "",
		of(23): "this is 23", of(65): "this is 65", "whsec_": "this is 0",
		"": "begins with whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "begins with whsec_", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "begins with whsec_",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS": "base64", "whsec_MfKQ9r8GKYqrTwjU\nPD8ILPZIo2LaLaSw": "base64", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa_-": "base64",
	} {
		_, err := ParseWebhookKey(secret.New(text))
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

// FuzzParseWebhookKey: what is read signs, and is what was written.
func FuzzParseWebhookKey(f *testing.F) {
	f.Add(hookSecret)
	f.Add("whsec_")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseWebhookKey(secret.New(s))
		if err != nil {
			return
		}
		if back := "whsec_" + base64.StdEncoding.EncodeToString(k.key()); back != s || k.Sign("m", time.Unix(0, 0), nil) == "" {
			t.Errorf("%q was read as %q", s, back)
		}
	})
}
