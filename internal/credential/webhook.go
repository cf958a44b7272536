package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// WebhookKey is the secret that a webhook's receiver shares with us (Standard Webhooks
// 1.0.0, symmetric signatures). The zero WebhookKey signs nothing.
type WebhookKey struct{ key func() []byte }

// webhookPrefix begins every such secret when it is written down.
const webhookPrefix = "whsec_"

// How long a secret is, in bytes.
const (
	shortestWebhookKey = 24
	longestWebhookKey  = 64
)

// ParseWebhookKey reads a secret as Standard Webhooks writes it: whsec_ and 24 to 64
// bytes in base64, on one line. The error does not repeat it.
func ParseWebhookKey(s secret.String) (WebhookKey, error) {
	encoded, ok := strings.CutPrefix(s.Reveal(), webhookPrefix)
	if !ok {
		return WebhookKey{}, errors.New("a webhook's secret begins with whsec_")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") {
		return WebhookKey{}, errors.New("behind whsec_ there is base64, with its padding")
	}
	if len(key) < shortestWebhookKey || len(key) > longestWebhookKey {
		return WebhookKey{}, fmt.Errorf("a webhook's secret is %d to %d bytes in base64, and this is %d", shortestWebhookKey, longestWebhookKey, len(key))
	}
	return WebhookKey{func() []byte { return key }}, nil
}

// Sign is the signature of a message's attempt at an instant, as it stands in the
// header webhook-signature: v1, a comma and a MAC in base64. "" without a key. id has
// no dot in it, as no id of ours has.
func (k WebhookKey) Sign(id string, at time.Time, body []byte) string {
	if k.key == nil {
		return ""
	}
	mac := hmac.New(sha256.New, k.key())
	_, _ = fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body) // a hash never fails
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Format redacts for every verb.
func (k WebhookKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, secret.String{}) }
