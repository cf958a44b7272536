package deliver

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
)

const webhookPrefix = "webhook:"

// WebhookTest is the type of a message that tells of nothing: somebody wants to know
// whether messages arrive.
const WebhookTest event.Type = "webhook.test"

// Webhook is who is told of events.
type Webhook struct {
	Name        string
	URL         string
	Keys        []credential.WebhookKey // each signs every message
	Events      []event.Pattern
	Connections []access.ConnectionID // nil: of all, and of the host
}

// wants reports whether the webhook is told of an event. None is told how deliveries
// to webhooks go: two that fail would keep each other busy.
func (w Webhook) wants(e event.Event) bool {
	if e.Type == event.DeliveryPaused || e.Type == event.DeliveryAbandoned && strings.HasPrefix(e.Data["receiver"], webhookPrefix) {
		return false
	}
	if w.Connections != nil && !slices.Contains(w.Connections, e.Connection) {
		return false
	}
	return slices.ContainsFunc(w.Events, func(p event.Pattern) bool { return p.Matches(e.Type) })
}

// Webhooks tells webhooks of events: as translator, each of those that it has asked
// for; as sender, by a message that is signed when it is sent.
type Webhooks struct {
	All  []Webhook
	HTTP *http.Client // of internal/egress
	Now  func() time.Time
}

// message is what is sent: what the audit trail has of the event, so ids, codes and
// counts, and never what identifies a human.
type message struct {
	Type      event.Type `json:"type"`
	Timestamp time.Time  `json:"timestamp"` // of the event
	Data      happened   `json:"data"`
}

type happened struct {
	Actor      event.Actor         `json:"actor,omitzero"`
	Connection access.ConnectionID `json:"connection,omitzero"`
	Person     access.PersonID     `json:"person,omitzero"`
	Session    string              `json:"session,omitzero"`
	Request    string              `json:"request,omitzero"`
	Details    map[string]string   `json:"details,omitzero"`
}

func messageOf(e event.Event) ([]byte, error) {
	body, err := json.Marshal(message{e.Type, e.At.UTC(), happened{e.Actor, e.Connection, e.Person, e.Session, e.Request, e.Data}})
	return body, fault.Wrap(fault.Internal, "deliver.Webhooks", err)
}

// Translate implements outbox.Translator.
func (w Webhooks) Translate(_ *store.View, facts []store.OutboxRow) ([]store.Delivery, error) {
	if len(w.All) == 0 {
		return nil, nil
	}
	var all []store.Delivery
	for _, row := range facts {
		var e event.Event
		if err := json.Unmarshal(row.Body, &e); err != nil {
			return nil, fault.Wrap(fault.Internal, "deliver.Webhooks", err)
		}
		var body []byte
		for _, hook := range w.All {
			if !hook.wants(e) {
				continue
			}
			var err error
			if body == nil {
				if body, err = messageOf(e); err != nil {
					return nil, err
				}
			}
			all = append(all, store.Delivery{Receiver: webhookPrefix + hook.Name, Kind: bridge.KindWebhook, JTI: newMessageID(), Event: row.ID, Body: body, At: row.At})
		}
	}
	return all, nil
}

// newMessageID is the id of a message. Nothing in it is a dot, which would end it
// where it is signed.
func newMessageID() string { return credential.NewID("msg") }

// Send implements Sender. Any 2xx is done. 410 says that the receiver wants nothing any
// more: nothing is sent until an administrator says so. Anything else, 400 included, is
// tried again.
func (w Webhooks) Send(ctx context.Context, d store.Delivery) error {
	hook, err := w.named(strings.TrimPrefix(d.Receiver, webhookPrefix))
	if err != nil {
		return &Refused{Why: "the webhook is no more", Gone: true}
	}
	answer, err := w.post(ctx, hook, d)
	switch {
	case err != nil:
		return err
	case answer.Arrived():
		return nil
	case answer.Status == http.StatusGone:
		return &Stopped{Why: answer.Err().Error()}
	}
	return answer.Err()
}

func (w Webhooks) post(ctx context.Context, hook Webhook, d store.Delivery) (Answer, error) {
	now := w.Now()
	var signatures []string
	for _, k := range hook.Keys {
		signatures = append(signatures, k.Sign(d.JTI, now, d.Body))
	}
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Webhook-Id": {d.JTI},
		"Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)}, "Webhook-Signature": {strings.Join(signatures, " ")}}
	return Post(ctx, w.HTTP, hook.URL, d.Body, header, now)
}

// named finds a webhook: fault.NotFound if there is none by that name.
func (w Webhooks) named(name string) (Webhook, error) {
	var names []string
	for _, hook := range w.All {
		if hook.Name == name {
			return hook, nil
		}
		names = append(names, hook.Name)
	}
	why := "there is no webhook " + strconv.Quote(name) + " in the configuration that this bridge was started with"
	if meant := suggest.Closest(name, names); meant != "" {
		why += "; did you mean " + strconv.Quote(meant) + "?"
	}
	return Webhook{}, fault.New(fault.NotFound, "deliver.Webhooks", "%s", why)
}

// Test sends a message of type webhook.test at once, past all that waits, and says what
// the receiver answered. fault.NotFound if there is no such webhook. Any other error
// says why there was no answer.
func (w Webhooks) Test(ctx context.Context, name string) (Answer, error) {
	hook, err := w.named(name)
	if err != nil {
		return Answer{}, err
	}
	body, err := messageOf(event.Event{Type: WebhookTest, Actor: event.ByAdministrator, At: w.Now()})
	if err != nil {
		return Answer{}, err
	}
	answer, err := w.post(ctx, hook, store.Delivery{JTI: newMessageID(), Body: body})
	if err != nil {
		return Answer{}, fault.New(fault.Unavailable, "deliver.Webhooks", "%s", reasonOf(err))
	}
	return answer, nil
}
