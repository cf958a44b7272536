package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Receiver is whom something is sent to, and how it goes.
type Receiver struct {
	Receiver  string     `json:"receiver" doc:"logout:<client>, stream:<id> or webhook:<name>"`
	State     string     `json:"state" enum:"fine,failing,paused"`
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

func shownReceiver(r store.Receiver) Receiver {
	state := "fine"
	switch {
	case r.Paused:
		state = "paused"
	case r.Failures > 0:
		state = "failing"
	}
	return Receiver{Receiver: r.Name, State: state, Pending: r.Pending, Oldest: when(r.Oldest), Failures: r.Failures, Next: when(r.Next),
		Sent: r.Sent, Failed: r.Failed, Refused: r.Refused, Abandoned: r.Abandoned, LastOK: when(r.LastOK), LastError: when(r.LastError), Error: r.Error}
}
