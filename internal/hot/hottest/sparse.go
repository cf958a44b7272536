package hottest

import (
	"reflect"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// sparseRoundTrip: what was not asked for is not there afterwards either. An engine that encodes
// made a nil Claims the claims parameter `null`, and the callback refused it.
func sparseRoundTrip(t *testing.T, e hot.Engine) {
	a := hot.AuthRequest{ID: "req_1", Client: "fleet-web", RedirectURI: "https://fleet.example/callback", Created: instant(), Expires: instant().Add(time.Minute)}
	must(t, e.PutAuthRequest(t.Context(), a))
	asked, err := e.AuthRequest(t.Context(), a.ID, instant())
	must(t, err)
	alike(t, "a request", asked, a)

	d, g := code(1)
	g.Request = hot.AuthRequest{Client: a.Client, RedirectURI: a.RedirectURI}
	must(t, e.PutCode(t.Context(), d, g, instant()))
	alike(t, "a code", consume(t, e, d, g, instant(), hot.OK), g)

	f := hot.Family{ID: "fam_2", Bound: ofFamily("fam_2"), Active: "asg_1", OAuthScopes: []string{"openid"}, N: 1, Rotated: instant(), Expires: instant().Add(time.Hour), Salt: "salt"}
	must(t, e.PutFamily(t.Context(), f))
	stored, err := e.Family(t.Context(), f.ID, instant())
	must(t, err)
	alike(t, "a family", stored, f)
}

func alike(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s that asks for little\ngot  %+v\nwant %+v", what, got, want)
	}
}
