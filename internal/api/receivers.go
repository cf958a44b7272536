package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Receiver is whom something is sent to, and how it goes.
type Receiver struct {
	Receiver  string     `json:"receiver" doc:"logout:<client>, stream:<id> or webhook:<name>"`
	State     string     `json:"state" enum:"fine,failing,paused,polled,paused by the application" doc:"polled: a stream that its application fetches; paused: a webhook that answered 410, or a stream that the bridge paused"`
	Pending   int64      `json:"pending" doc:"deliveries that wait"`
	Oldest    *time.Time `json:"oldest,omitempty" doc:"when what waits longest happened"`
	Failures  int64      `json:"failures" doc:"attempts in vain since the last one that arrived"`
	Next      *time.Time `json:"next,omitempty" doc:"no attempt before"`
	Sent      int64      `json:"sent" doc:"deliveries that have arrived"`
	Failed    int64      `json:"failed" doc:"attempts in vain, ever"`
	Refused   int64      `json:"refused" doc:"deliveries that the receiver will not have"`
	Abandoned int64      `json:"abandoned" doc:"deliveries that were given up, being too old or too many"`
	LastOK    *time.Time `json:"last_ok,omitempty"`
	LastError *time.Time `json:"last_error,omitempty"`
	Error     string     `json:"error,omitempty" doc:"what the last attempt in vain came to; partly the receiver's own words"`
}

func (a *api) receiverRoutes(h huma.API) {
	get(a, h, "/receivers", "To whom something is sent: applications, streams of signals, webhooks", a.receivers)
	register(a, h, http.MethodPost, "/webhooks/{webhook}/test", "Send a message of type webhook.test to a webhook at once, and say what it answered", http.StatusOK, a.testWebhook)
	register(a, h, http.MethodPost, "/receivers/{receiver}/retry", "Send what waits for a receiver again at once", http.StatusOK, a.retryReceiver)
}

func (a *api) receivers(ctx context.Context, _ *struct{}) (*body[[]Receiver], error) {
	all, err := a.Bridge.Receivers(ctx)
	out := make([]Receiver, len(all))
	for i, r := range all {
		out[i] = shownReceiver(r)
	}
	return &body[[]Receiver]{out}, err
}

type receiverName struct {
	Receiver string `path:"receiver" maxLength:"200"`
}

func (a *api) retryReceiver(ctx context.Context, in *receiverName) (*body[Receiver], error) {
	r, err := a.Bridge.RetryReceiver(ctx, in.Receiver)
	r.Next = time.Time{}
	return &body[Receiver]{shownReceiver(r)}, err
}

// WebhookAnswer is what a webhook answered to a test.
type WebhookAnswer struct {
	Arrived bool   `json:"arrived" doc:"it answered 2xx"`
	Status  int    `json:"status" doc:"of its answer"`
	Error   string `json:"error,omitempty" doc:"why it counts as an attempt in vain; partly the receiver's own words"`
}

type webhookName struct {
	Webhook string `path:"webhook" maxLength:"64"`
}

func (a *api) testWebhook(ctx context.Context, in *webhookName) (*body[WebhookAnswer], error) {
	if a.TestWebhook == nil {
		return nil, fault.New(fault.Unsupported, "api.testWebhook", "this bridge has no webhooks")
	}
	answer, err := a.TestWebhook(ctx, in.Webhook)
	return &body[WebhookAnswer]{answer}, err
}

// inTrouble are the receivers that somebody should look at.
func (a *api) inTrouble(ctx context.Context) ([]Receiver, error) {
	all, err := a.Bridge.Receivers(ctx)
	var out []Receiver
	for _, r := range all {
		if r.State.InTrouble() {
			out = append(out, shownReceiver(r))
		}
	}
	return out, err
}

func shownReceiver(r bridge.Receiver) Receiver {
	return Receiver{Receiver: r.Name, State: string(r.State), Pending: r.Pending, Oldest: when(r.Oldest), Failures: r.Failures, Next: when(r.Next),
		Sent: r.Sent, Failed: r.Failed, Refused: r.Refused, Abandoned: r.Abandoned, LastOK: when(r.LastOK), LastError: when(r.LastError), Error: r.Error}
}
