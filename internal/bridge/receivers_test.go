package bridge_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// A stream that is polled, or that its application paused, is no trouble however much waits
// in it; one that nothing arrives at, or that the bridge paused, is.
func TestHowItGoesWithAStream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		push bool // to an endpoint that is down
		do   func(tr *transmitter, id string)
		want bridge.ReceiverState
	}{
		"polled":                    {want: bridge.ReceiverPolled},
		"paused by its application": {do: quieted("paused"), want: bridge.ReceiverQuieted},
		"pushed, and paused by it":  {push: true, do: quieted("paused"), want: bridge.ReceiverQuieted},
		"nothing arrives":           {push: true, do: func(tr *transmitter, _ string) { tr.pushed() }, want: bridge.ReceiverFailing},
		"nothing has arrived for long": {push: true, do: func(tr *transmitter, _ string) {
			tr.pushed()
			tr.clock.Add(25 * time.Hour)
			tr.pushed()
			tr.do(tr.bridge.PauseFailing(tr.ctx))
		}, want: bridge.ReceiverPaused},
		"nobody polls": {do: func(tr *transmitter, _ string) {
			tr.clock.Add(ssf.InactivityTimeout + time.Second)
			tr.do(tr.bridge.PauseFailing(tr.ctx))
		}, want: bridge.ReceiverPaused},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTransmitter(t, oidc.Client{ID: "app"})
			members := polled
			if c.push {
				to := newPushTo(t)
				to.answer = func(w http.ResponseWriter) { w.WriteHeader(503) }
				members = to.delivery("")
			}
			id := tr.stream("app", members)
			tr.verify("app", id, "s")
			if c.do != nil {
				c.do(tr, id)
			}
			all, err := tr.bridge.Receivers(tr.ctx)
			if err != nil || len(all) != 1 || all[0].State != c.want || all[0].Pending == 0 {
				t.Fatalf("%+v, %v; want %s", all, err, c.want)
			}
			trouble := c.want == bridge.ReceiverFailing || c.want == bridge.ReceiverPaused
			if r, err := tr.bridge.RetryReceiver(tr.ctx, "stream:"+id); err != nil || r.State != c.want || r.State.InTrouble() != trouble {
				t.Errorf("%+v, in trouble %t: %v", r, r.State.InTrouble(), err)
			}
		})
	}
}

// quieted lets the application say a stream's status, with a reason of its own.
func quieted(status string) func(*transmitter, string) {
	return func(tr *transmitter, id string) {
		tr.want(200, "app"+canManage, "POST", "/ssf/status", `{"stream_id":"`+id+`","status":"`+status+`","reason":"we move house"}`)
	}
}
