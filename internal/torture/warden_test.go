//go:build lanes

package torture

import (
	"context"
	"fmt"
	"net/http"

	"github.com/drawbridge-id/drawbridge/internal/history"
	"github.com/drawbridge-id/drawbridge/internal/history/models"
)

// warden makes SCIM tokens and takes them back: what one of them opened at every node is
// closed at every node, when the end of it was answered.
func warden(a *actor) {
	var made struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}
	path := "/connections/" + a.c.id + "/tokens"
	t := a.try("make a SCIM token", quickly, func(ctx context.Context) error {
		a.via.asked(a.nodes[0])
		return a.api(ctx, a.node(), http.MethodPost, path, map[string]any{"note": "warden"}, &made)
	})
	if !t.acked() {
		a.rest(200, 400)
		return
	}
	id := fmt.Sprint("scim-token-", a.serial.Add(1))
	a.rec.made(id, holding{made.Secret, refreshing}, t.at, id) // no prober shows it
	a.knock(id, made.Secret)
	a.insist("revoke a SCIM token", func(ctx context.Context) error {
		d := a.node()
		a.via.asked(d)
		err := a.api(ctx, d, http.MethodDelete, path+"/"+made.ID, nil, nil)
		if o, _ := outcome(err); o == models.Refused { //nolint:errcheck // it is the same
			return nil // an earlier try, whose answer was lost, did it
		}
		return err
	}, func(t attempt) {
		a.rec.ended(history.End{Key: id, What: "the SCIM token was revoked", Node: t.node, At: t.at, Acked: t.acked()})
	})
	a.knock(id, made.Secret)
	a.rest(100, 300)
	a.knock(id, made.Secret)
}

// knock shows a SCIM token to every node.
func (a *actor) knock(id, secret string) {
	for _, d := range shuffled(a.rng, a.nodes) {
		ctx, cancel := context.WithTimeout(a.ctx, quickly)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.issuer+"/scim/v2/"+a.c.id+"/Users?count=1", nil)
		if err != nil {
			a.t.Error(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		at := history.Span{From: a.rec.now()}
		var said map[string]any
		o, err := outcome(d.ask(req, &said))
		at.To = a.rec.now()
		cancel()
		a.rec.tally("scim", o, at.To-at.From, err)
		a.rec.used(id, "SCIM", d.name, at, o)
	}
}
