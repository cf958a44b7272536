package resource_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/drawbridge-id/drawbridge/oidc/resource"
)

// fleets says where vehicles belong: the id of a vehicle's scope, and those above it.
var fleets = map[string]resource.Scope{
	"truck-1": {ID: "scp_86skdcfnq48bez2qfpk83m36cf", Above: []string{"scp_tp0t09wbg8ydj17pcxcykgazg4", "scp_1m0qtz444n5tk4s6zy0rmxjrpq"}},
}

func scopeOfVehicle(r *http.Request) (resource.Scope, error) {
	s, there := fleets[r.PathValue("id")]
	if !there {
		return resource.Scope{}, fmt.Errorf("there is no vehicle %q", r.PathValue("id"))
	}
	return s, nil
}

func live(w http.ResponseWriter, r *http.Request) {
	t := resource.From(r.Context())
	fmt.Fprintf(w, "%s watches as %s\n", t.Subject, t.Grant.Name)
}

func settings(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "saved") }

// An API of two requests: one for whoever may watch that vehicle, one for administrators
// who have signed in during the last ten minutes.
func Example() {
	guard, err := resource.New(resource.Config{
		Issuer: "https://id.example", Audience: "fleet-api",
		ClientID: "fleet-api", ClientSecret: os.Getenv("CLIENT_SECRET"),
		URL: "https://api.example",
	})
	if err != nil {
		log.Fatal(err)
	}
	go guard.Run(context.Background())
	mux := http.NewServeMux()
	mux.Handle("GET /vehicles/{id}/live", guard.Protect(http.HandlerFunc(live), resource.Workflow("live_view").AtEach(scopeOfVehicle)))
	mux.Handle("PUT /settings", guard.Protect(http.HandlerFunc(settings), resource.Require("administrator").StepUp(10*time.Minute)))
	log.Fatal(http.ListenAndServe("127.0.0.1:8081", mux)) //nolint:gosec // an example
}
