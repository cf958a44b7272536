package deliver

import (
	"context"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// Streams says where a signal goes; bridge.Bridge does.
type Streams interface {
	// Push signs a delivery of a stream: fault.NotFound if the stream is no more.
	Push(ctx context.Context, d store.Delivery) (bridge.Pushing, error)
}

// Signals pushes security event tokens to the receivers of streams (RFC 8935).
type Signals struct {
	Streams Streams
	HTTP    *http.Client // of internal/egress
	Now     func() time.Time
}

// Send implements Sender. Any 2xx is done, 202 as it should be; 400 is final (RFC 8935
// section 2.3). Anything else is tried again.
func (s Signals) Send(ctx context.Context, d store.Delivery) error {
	to, err := s.Streams.Push(ctx, d)
	if fault.Is(err, fault.NotFound) {
		return &Refused{Why: "the stream is no more", Gone: true}
	}
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/secevent+jwt"}, "Accept": {"application/json"}}
	if !to.Authorization.Empty() {
		header.Set("Authorization", to.Authorization.Reveal())
	}
	answer, err := Post(ctx, s.HTTP, to.Endpoint, []byte(to.Token), header, s.Now())
	switch {
	case err != nil:
		return err
	case answer.Arrived():
		return nil
	case answer.Status == http.StatusBadRequest:
		return &Refused{Why: refusalOf(answer)}
	}
	return answer.Err()
}

// refusalOf is why a receiver will not have a token, in its own words.
func refusalOf(a Answer) string {
	e, err := ssf.ParseSETError(a.Text)
	if err != nil {
		return a.Err().Error()
	}
	return e.String()
}
