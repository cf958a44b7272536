package deliver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/egress"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/outbox"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

const (
	hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	oldSecret  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// verifies reads a message as a receiver does, by the text of Standard Webhooks 1.0.0,
// "Signature scheme" and "Verifying signatures", and by nothing of ours.
func verifies(secret string, header http.Header, body []byte, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	id, at := header.Get("webhook-id"), header.Get("webhook-timestamp")
	sent, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Unix()-sent > 300 || sent-now.Unix() > 300 {
		return fmt.Errorf("the timestamp %q is not of now", at)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "." + string(body)))
	for _, signature := range strings.Split(header.Get("webhook-signature"), " ") {
		version, text, _ := strings.Cut(signature, ",")
		got, err := base64.StdEncoding.DecodeString(text)
		if version == "v1" && err == nil && hmac.Equal(got, mac.Sum(nil)) {
			return nil
		}
	}
	return errors.New("no signature is good")
}

func hookKeys(t *testing.T, secrets ...string) (keys []credential.WebhookKey) {
	t.Helper()
	for _, s := range secrets {
		k, err := credential.ParseWebhookKey(secret.New(s))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys
}

// hooked is a bench whose worker sends to one webhook over HTTP.
func hooked(t *testing.T, w Webhook, h http.HandlerFunc) (*bench, Webhooks) {
	t.Helper()
	b := newBench(t)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	w.Name, w.URL = "ops", s.URL+"/hooks"
	hooks := Webhooks{All: []Webhook{w}, HTTP: egress.New(egress.Options{InsecureAllowLoopback: true}), Now: b.clock}
	b.w.Senders = map[string]Sender{bridge.KindWebhook: hooks}
	return b, hooks
}

// tell commits events and relays them.
func (b *bench) tell(hooks Webhooks, events ...event.Event) {
	b.t.Helper()
	b.update(func(tx *store.Tx) error { return tx.Append(events...) })
	if _, err := outbox.New(outbox.Config{Store: b.s, Now: b.clock}, hooks).CatchUp(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func revoked(at time.Time) event.Event {
	return event.Event{Type: event.SessionRevoked, Actor: event.ByScim, At: at, Person: "per_1", Session: "ses_1", Request: "req_1",
		Data: map[string]string{"reason": "deactivated"}, Personal: map[string]string{"email": "sam@ironbark.example"}}
}

// While a secret is replaced, who knows either verifies; the id stays the same, and the
// timestamp is that of the attempt.
func TestAWebhookIsVerifiedByTheTextOfTheStandard(t *testing.T) {
	var ids, stamps []string
	var body []byte
	var b *bench
	b, hooks := hooked(t, Webhook{Keys: hookKeys(t, hookSecret, oldSecret), Events: []event.Pattern{"session.*"}}, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		ids, stamps = append(ids, r.Header.Get("webhook-id")), append(stamps, r.Header.Get("webhook-timestamp"))
		for _, s := range []string{hookSecret, oldSecret} {
			if err := verifies(s, r.Header, body, b.clock()); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		}
		if err := verifies("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", r.Header, body, b.clock()); err == nil {
			t.Error("another secret verifies")
		}
		if err := verifies(hookSecret, r.Header, append(slices.Clone(body), ' '), b.clock()); err == nil {
			t.Error("another body verifies")
		}
		if len(ids) == 1 {
			w.WriteHeader(http.StatusBadRequest) // a failure as any other
		}
	})
	b.tell(hooks, revoked(day))
	b.work()
	b.pass(b.receiver("webhook:ops").Next.Sub(b.clock()))
	b.work()
	if len(ids) != 2 || ids[0] != ids[1] || strings.Contains(ids[0], ".") || stamps[0] == stamps[1] {
		t.Errorf("ids %v, timestamps %v", ids, stamps)
	}
	want := `{"type":"session.revoked","timestamp":"2026-11-27T09:00:00Z","data":{"actor":"scim","person":"per_1","session":"ses_1","request":"req_1","details":{"reason":"deactivated"}}}`
	if string(body) != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	if r := b.receiver("webhook:ops"); r.Sent != 1 || r.Failed != 1 || r.Pending != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAWebhookIsToldOfWhatItAskedFor(t *testing.T) {
	of := func(w Webhook, events ...event.Event) (got []string) {
		var rows []store.OutboxRow
		for i, e := range events {
			body, err := e.AppendJSON(nil)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, store.OutboxRow{ID: int64(i), At: day, Body: body})
		}
		w.Name = "ops"
		all, err := Webhooks{All: []Webhook{w}}.Translate(nil, rows)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			var m message
			if err := json.Unmarshal(d.Body, &m); err != nil || d.Receiver != "webhook:ops" {
				t.Fatal(d, err)
			}
			got = append(got, string(m.Type)+"@"+string(m.Data.Connection))
		}
		return got
	}
	fact := func(kind event.Type, conn access.ConnectionID, data ...string) event.Event {
		e := event.Event{Type: kind, Actor: event.ByBridge, At: day, Connection: conn}
		if len(data) > 0 {
			e.Data = map[string]string{"receiver": data[0]}
		}
		return e
	}
	facts := []event.Event{fact(event.SessionRevoked, "banksia"), fact(event.SessionRevoked, "southern"), fact(event.PersonDeleted, "banksia"), fact(event.SigningKeyCreated, ""),
		fact(event.DeliveryAbandoned, "", "logout:fleet"), fact(event.DeliveryAbandoned, "", "webhook:other"), fact(event.DeliveryPaused, "", "webhook:other")}
	for _, c := range []struct {
		name string
		hook Webhook
		want string
	}{
		{"one family", Webhook{Events: []event.Pattern{"session.*"}}, "[session.revoked@banksia session.revoked@southern]"},
		{"one type of one connection", Webhook{Events: []event.Pattern{"session.revoked"}, Connections: []access.ConnectionID{"southern"}}, "[session.revoked@southern]"},
		{"all of one connection, without the host", Webhook{Events: []event.Pattern{"*"}, Connections: []access.ConnectionID{"banksia"}}, "[session.revoked@banksia person.deleted@banksia]"},
		{"all, and nothing of how webhooks go", Webhook{Events: []event.Pattern{"*"}},
			"[session.revoked@banksia session.revoked@southern person.deleted@banksia signing_key.created@ delivery.abandoned@]"},
		{"nothing", Webhook{}, "[]"},
	} {
		if got := fmt.Sprint(of(c.hook, facts...)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// 410: nothing is sent any more, nothing is lost either, and there is an event of it.
func TestAWebhookThatIsGoneIsLeftAlone(t *testing.T) {
	calls, status := 0, http.StatusGone
	b, hooks := hooked(t, Webhook{Keys: hookKeys(t, hookSecret), Events: []event.Pattern{"*"}}, func(w http.ResponseWriter, _ *http.Request) { calls++; w.WriteHeader(status) })
	b.tell(hooks, revoked(day), revoked(day))
	b.work()
	b.pass(time.Hour)
	b.work()
	r := b.receiver("webhook:ops")
	if calls != 1 || !r.Paused || r.Pending != 2 || !strings.Contains(r.Error, "410") || !bridge.ReceiverOf(r, store.Stream{}).State.InTrouble() {
		t.Fatalf("%d calls: %+v", calls, r)
	}
	b.tell(hooks) // what came of it is relayed, too, and not to the webhook
	if r := b.receiver("webhook:ops"); r.Pending != 2 {
		t.Errorf("%d wait: it is told that it is paused", r.Pending)
	}
	var paused bool
	_ = b.s.View(t.Context(), func(v *store.View) error {
		rows, err := v.Outbox(0, 100)
		for _, row := range rows {
			paused = paused || strings.Contains(string(row.Body), `"delivery.paused"`) && strings.Contains(string(row.Body), `"receiver":"webhook:ops"`)
		}
		return err
	})
	if !paused {
		t.Error("there is no event of it")
	}
	status = http.StatusNoContent
	b.update(func(tx *store.Tx) error { return tx.PauseReceiver("webhook:ops", bridge.KindWebhook, false) })
	b.work()
	if r := b.receiver("webhook:ops"); calls != 3 || r.Pending != 0 || r.Sent != 2 {
		t.Errorf("%d calls: %+v", calls, r)
	}
}

func TestWhatAWebhookAnswers(t *testing.T) {
	for _, c := range []struct {
		status int
		header string
		want   string
	}{
		{200, "", "<nil>"}, {202, "", "<nil>"}, {299, "", "<nil>"},
		{400, "", "later 0s"}, {404, "", "later 0s"}, {429, "120", "later 2m0s"}, {502, "", "later 0s"}, {503, "30", "later 30s"},
		{410, "", "stopped"},
	} {
		_, hooks := hooked(t, Webhook{Keys: hookKeys(t, hookSecret)}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", c.header)
			w.WriteHeader(c.status)
		})
		err := hooks.Send(t.Context(), store.Delivery{Receiver: "webhook:ops", JTI: "msg_1", Body: []byte("{}")})
		got := fmt.Sprint(err)
		switch e := err.(type) { //nolint:errorlint // as they are returned
		case *Later:
			got = "later " + e.After.String()
		case *Stopped:
			got = "stopped"
		}
		if got != c.want {
			t.Errorf("%d: %s, want %s", c.status, got, c.want)
		}
	}
}

func TestAWebhookThatIsNoMoreIsForgotten(t *testing.T) {
	var no *Refused
	err := Webhooks{}.Send(t.Context(), store.Delivery{Receiver: "webhook:ops", Body: []byte("{}")})
	if !asRefused(err, &no) || !no.Gone {
		t.Error(err)
	}
}

// A test goes past what waits, is signed as anything, and says what came of it.
func TestAWebhookIsTested(t *testing.T) {
	var body []byte
	b, hooks := hooked(t, Webhook{Keys: hookKeys(t, hookSecret)}, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		if err := verifies(hookSecret, r.Header, body, day); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusTeapot)
	})
	answer, err := hooks.Test(t.Context(), "ops")
	if err != nil || answer.Status != http.StatusTeapot || string(body) != `{"type":"webhook.test","timestamp":"2026-11-27T09:00:00Z","data":{"actor":"administrator"}}` {
		t.Errorf("%+v, %v: %s", answer, err, body)
	}
	if _, err := hooks.Test(t.Context(), "opps"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), `did you mean "ops"?`) {
		t.Error(err)
	}
	hooks.HTTP = egress.New(egress.Options{}) // which does not call this machine
	if _, err := hooks.Test(t.Context(), "ops"); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if len(b.sent()) != 0 {
		t.Error("the test was queued")
	}
}
